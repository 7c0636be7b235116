# SPDX-License-Identifier: Apache-2.0
# Sets CMAKE_CUDA_ARCHITECTURES: machine code for each architecture of this list that nvcc knows, and PTX of the newest for
# those to come.
set(GRADCLIP_CUDA_ARCHITECTURES 75 80 86 89 90 100 120)

execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-arch OUTPUT_VARIABLE known RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "gradclip: ${CMAKE_CUDA_COMPILER} --list-gpu-arch failed")
endif()
set(CMAKE_CUDA_ARCHITECTURES "")
foreach(architecture IN LISTS GRADCLIP_CUDA_ARCHITECTURES)
  if(known MATCHES "compute_${architecture}\n")
    list(APPEND CMAKE_CUDA_ARCHITECTURES ${architecture}-real)
    set(newest ${architecture})
  endif()
endforeach()
list(APPEND CMAKE_CUDA_ARCHITECTURES ${newest}-virtual)
