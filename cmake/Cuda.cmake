# SPDX-License-Identifier: Apache-2.0
# The CUDA backend, compiled twice from the same sources: for a device where nvcc is given, and for the emulator.
option(GRADCLIP_EMULATOR "Build the CUDA backend on the emulator" OFF)
set(GRADCLIP_NVCC "" CACHE FILEPATH "nvcc; empty: no library for real devices")

# Those that compile longest first, so that none of them is left when all else is done.
set(GRADCLIP_KERNELS src/kernels/update.cu src/kernels/one_launch.cu src/kernels/lagged.cu src/kernels/clamp.cu src/kernels/decide.cu
  src/kernels/measure.cu src/kernels/scale.cu src/kernels/set_numbers.cu)
set(GRADCLIP_CUDA_HOST src/plan/devices.cpp src/plan/driver.cpp src/plan/graphs.cpp src/plan/bound_pieces.cpp src/plan/tile_tables.cpp
  src/plan/device_memory.cpp src/plan/plan.cpp src/plan/captures.cpp src/plan/updates.cpp)

# The JNI library of one of the two.
function(gradclip_add_cuda_jni target backend)
  gradclip_add_jni_library(${target} jni/NativeCudaJni.cpp)
  target_link_libraries(${target} PRIVATE ${backend} gradclip_library_flags)
  target_include_directories(${target} PRIVATE ${GRADCLIP_JNI_HEADERS})
  target_compile_definitions(${target} PRIVATE GRADCLIP_BUILD_ID="${GRADCLIP_BUILD_ID_VALUE}")
endfunction()

if(GRADCLIP_EMULATOR)
  add_subdirectory(emulator)
  # Kernels are ordinary C++ there.
  foreach(kernel IN LISTS GRADCLIP_KERNELS)
    string(REPLACE .cu _emulated.cpp copy ${kernel})
    set(copy ${CMAKE_CURRENT_BINARY_DIR}/${copy})
    file(CONFIGURE OUTPUT ${copy} CONTENT "#include \"${CMAKE_CURRENT_SOURCE_DIR}/${kernel}\"\n" @ONLY)
    list(APPEND emulated_kernels ${copy})
  endforeach()
  add_library(gradclip_cuda_emulated_backend STATIC ${emulated_kernels} ${GRADCLIP_CUDA_HOST})
  target_include_directories(gradclip_cuda_emulated_backend PUBLIC src)
  target_link_libraries(gradclip_cuda_emulated_backend PUBLIC gradclip_emulator PRIVATE gradclip_library_flags)
  # NVTX alone of a toolkit that is here: in the folder beside it there is the real cuda_runtime.h.
  find_path(GRADCLIP_NVTX nvtx3/nvToolsExt.h PATHS $ENV{CUDA_HOME}/include /usr/local/cuda/include)
  if(GRADCLIP_NVTX)
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/nvtx)
    file(CREATE_LINK ${GRADCLIP_NVTX}/nvtx3 ${CMAKE_BINARY_DIR}/nvtx/nvtx3 SYMBOLIC)
    target_include_directories(gradclip_cuda_emulated_backend SYSTEM PUBLIC ${CMAKE_BINARY_DIR}/nvtx)
    target_link_libraries(gradclip_cuda_emulated_backend PUBLIC ${CMAKE_DL_LIBS})
  endif()
  if(GRADCLIP_JNI_HEADERS)
    gradclip_add_cuda_jni(gradclip_cuda_emulated gradclip_cuda_emulated_backend)
    set_target_properties(gradclip_cuda_emulated PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/emulated)
  endif()
endif()

if(GRADCLIP_NVCC)
  set(CMAKE_CUDA_COMPILER ${GRADCLIP_NVCC})
  include(CudaArchitectures)
  set(CMAKE_CUDA_STANDARD 17)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
  set(CMAKE_CUDA_FLAGS_RELEASE "-O3")
  enable_language(CUDA)
  set(CMAKE_CUDA_COMPILER_LAUNCHER sh ${CMAKE_CURRENT_SOURCE_DIR}/../cmake/ptxas-report.sh)
  add_library(gradclip_cuda_backend STATIC ${GRADCLIP_KERNELS} ${GRADCLIP_CUDA_HOST})
  set_target_properties(gradclip_cuda_backend PROPERTIES CUDA_RUNTIME_LIBRARY Static)
  target_include_directories(gradclip_cuda_backend PUBLIC include src)
  target_link_libraries(gradclip_cuda_backend PUBLIC ${CMAKE_DL_LIBS})
  target_include_directories(gradclip_cuda_backend SYSTEM PRIVATE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
  set_property(SOURCE src/plan/devices.cpp APPEND PROPERTY
    COMPILE_DEFINITIONS GRADCLIP_MACHINE_CODE=${GRADCLIP_MACHINE_CODE} GRADCLIP_PTX=${GRADCLIP_PTX})
  # Every driver that CUDA 13 runs on unpacks both.
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8)
    set(compress --compress-mode=size)
  else()
    set(compress -Xfatbin=-compress-all)
  endif()
  # -fmad=false, as -ffp-contract=off for the host.
  target_compile_options(gradclip_cuda_backend PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:-fmad=false ${compress} --threads 2 -Xptxas -v -Werror all-warnings
      -Xcompiler=-Wall,-Wextra,-fno-exceptions,-fno-rtti,-ffp-contract=off>
    "$<$<COMPILE_LANGUAGE:CXX>:${GRADCLIP_WARNINGS};-ffp-contract=off;-fno-exceptions;-fno-rtti;-ffile-prefix-map=${CMAKE_CURRENT_SOURCE_DIR}=cuda>")
  # What a test reads: the report of each kernel file, and the code of the inner loops.
  add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/cuda-report/measure.ptx
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/cuda-report
    COMMAND ${CMAKE_CUDA_COMPILER} -std=c++17 -O3 -fmad=false -arch=compute_80 -ptx
      -ccbin ${CMAKE_CXX_COMPILER} -I${CMAKE_CURRENT_SOURCE_DIR}/include
      -I${CMAKE_CURRENT_SOURCE_DIR}/src ${CMAKE_CURRENT_SOURCE_DIR}/src/kernels/measure.cu -o ${CMAKE_BINARY_DIR}/cuda-report/measure.ptx
    DEPENDS gradclip_cuda_backend VERBATIM)
  add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/cuda-report/ptxas.txt
    COMMAND sh -c "cat CMakeFiles/gradclip_cuda_backend.dir/src/kernels/*.ptxas > cuda-report/ptxas.txt"
    WORKING_DIRECTORY ${CMAKE_BINARY_DIR}
    DEPENDS gradclip_cuda_backend ${CMAKE_BINARY_DIR}/cuda-report/measure.ptx VERBATIM)
  add_custom_target(gradclip_cuda_report ALL
    DEPENDS ${CMAKE_BINARY_DIR}/cuda-report/measure.ptx ${CMAKE_BINARY_DIR}/cuda-report/ptxas.txt)
  # An executable that needs a driver alone.
  function(gradclip_link_device target)
    set_target_properties(${target} PROPERTIES CUDA_RUNTIME_LIBRARY Static)
    target_link_libraries(${target} PRIVATE gradclip_cuda_backend -static-libstdc++ -static-libgcc)
    target_include_directories(${target} SYSTEM PRIVATE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
  endfunction()
  if(GRADCLIP_DEVICE_TESTS)
    add_executable(gradclip_bench bench/bench.cu)
    gradclip_link_device(gradclip_bench)
  endif()
  if(GRADCLIP_JNI_HEADERS)
    gradclip_add_cuda_jni(gradclip_cuda gradclip_cuda_backend)
    set_target_properties(gradclip_cuda PROPERTIES CUDA_RUNTIME_LIBRARY Static)
  endif()
endif()
