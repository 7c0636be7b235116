# SPDX-License-Identifier: Apache-2.0
# Sets CMAKE_CUDA_ARCHITECTURES. GRADCLIP_CUDA_ARCHITECTURES "all": machine code for each architecture of the list below that
# nvcc knows, and PTX of the oldest, of 9.0 and of the newest, for those in between and to come; what a release holds. Else a number: machine code for that one, and PTX
# of the oldest, which the driver compiles for every other GPU when it loads the library. Each architecture takes nvcc half a
# minute on two processors.
set(GRADCLIP_CUDA_ARCHITECTURES "all" CACHE STRING "all, or the compute capability of one GPU without the point: 90")
set(known_to_gradclip 75 80 86 89 90 100 120)

execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-arch OUTPUT_VARIABLE known_to_nvcc RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "gradclip: ${CMAKE_CUDA_COMPILER} --list-gpu-arch failed")
endif()
set(known "")
foreach(architecture IN LISTS known_to_gradclip)
  if(known_to_nvcc MATCHES "compute_${architecture}\n")
    list(APPEND known ${architecture})
  endif()
endforeach()

if(GRADCLIP_CUDA_ARCHITECTURES STREQUAL "all")
  set(CMAKE_CUDA_ARCHITECTURES ${known})
  list(TRANSFORM CMAKE_CUDA_ARCHITECTURES APPEND -real)
  list(GET known 0 oldest)
  list(GET known -1 newest)
  foreach(virtual ${oldest} 90 ${newest})
    if(virtual IN_LIST known)
      list(APPEND CMAKE_CUDA_ARCHITECTURES ${virtual}-virtual)
    endif()
  endforeach()
  list(REMOVE_DUPLICATES CMAKE_CUDA_ARCHITECTURES)
elseif(known_to_nvcc MATCHES "compute_${GRADCLIP_CUDA_ARCHITECTURES}\n")
  list(GET known 0 oldest)
  set(CMAKE_CUDA_ARCHITECTURES ${GRADCLIP_CUDA_ARCHITECTURES}-real ${oldest}-virtual)
else()
  message(FATAL_ERROR "gradclip: ${CMAKE_CUDA_COMPILER} does not know the architecture ${GRADCLIP_CUDA_ARCHITECTURES}; "
    "expected all, or one of ${known}")
endif()

# What the library says it has code for.
set(GRADCLIP_MACHINE_CODE ${CMAKE_CUDA_ARCHITECTURES})
list(FILTER GRADCLIP_MACHINE_CODE INCLUDE REGEX "-real$")
set(GRADCLIP_PTX ${CMAKE_CUDA_ARCHITECTURES})
list(FILTER GRADCLIP_PTX INCLUDE REGEX "-virtual$")
foreach(kind GRADCLIP_MACHINE_CODE GRADCLIP_PTX)
  list(TRANSFORM ${kind} REPLACE "-.*" "")
  list(JOIN ${kind} "," ${kind})
endforeach()
