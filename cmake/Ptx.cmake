# SPDX-License-Identifier: Apache-2.0
# The device tests once more, on the PTX that nvcc makes of the kernels, translated to C++ for the emulator: it checks what g++'s
# build of the sources can't (contraction, rounding modes, conversions, vector loads, predication, calls). Not checked: ptxas, the
# memory model, speed, and the 20 bits that PTX promises of rcp.approx, on which powers other than 1, 2 and infinity build.
set(GRADCLIP_PTX_NVCC "" CACHE FILEPATH "nvcc whose PTX the emulator runs; empty: none")
option(GRADCLIP_PTX_ALL "PTX of all architectures that differ, and of contracted code, which must fail" OFF)

if(GRADCLIP_PTX_NVCC)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
endif()

# Adds the target NAME: the translations of all kernels for one architecture, compiled. Further arguments go to nvcc.
function(gradclip_add_ptx name architecture translate_options)
  set(directory ${CMAKE_BINARY_DIR}/${name})
  file(MAKE_DIRECTORY ${directory})
  set(generated "")
  file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/gradclip/*.hpp ${PROJECT_SOURCE_DIR}/src/common/*
    ${PROJECT_SOURCE_DIR}/src/kernels/*)
  foreach(kernel IN LISTS GRADCLIP_KERNELS)
    get_filename_component(file ${kernel} NAME_WE)
    add_custom_command(OUTPUT ${directory}/${file}.cpp
      COMMAND ${GRADCLIP_PTX_NVCC} -std=c++17 -O3 -arch=compute_${architecture} -ptx -ccbin ${CMAKE_CXX_COMPILER} ${ARGN}
        -I${PROJECT_SOURCE_DIR}/include -I${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/${kernel} -o ${directory}/${file}.ptx
      COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/emulator/ptx/translate.py ${translate_options}
        ${directory}/${file}.ptx ${directory}/${file}.cpp
      DEPENDS ${PROJECT_SOURCE_DIR}/${kernel} ${headers} ${PROJECT_SOURCE_DIR}/emulator/ptx/translate.py VERBATIM)
    list(APPEND generated ${directory}/${file}.cpp)
  endforeach()
  add_library(${name} OBJECT ${generated} ${PROJECT_SOURCE_DIR}/emulator/ptx/registry.cpp)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/emulator/ptx)
  target_link_libraries(${name} PRIVATE gradclip_emulator)
  target_compile_definitions(${name} PRIVATE GRADCLIP_PTX_ARCHITECTURE=${architecture})
  # Names of PTX, registers that are read once: no place for warnings. At -O3 clamp alone takes a minute, at -O1 each takes
  # twice as long as here (measure 6.4 s instead of 3.3), and the tests run for 18 s instead of 21.
  target_compile_options(${name} PRIVATE -Og -w -ffp-contract=off -fwrapv -fno-strict-aliasing)
endfunction()
