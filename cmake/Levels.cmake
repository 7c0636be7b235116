# SPDX-License-Identifier: Apache-2.0
# The SIMD levels of this architecture, as name:Highway target.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  set(GRADCLIP_LEVELS v2:HWY_SSE4 v3:HWY_AVX2 v4:HWY_AVX3)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(GRADCLIP_LEVELS neon:HWY_NEON)
else()
  message(FATAL_ERROR "gradclip: no SIMD level for ${CMAKE_SYSTEM_PROCESSOR}; expected x86_64 or aarch64")
endif()

include(HeaderOnly)
gradclip_header_only(GRADCLIP_HIGHWAY hwy highway.h)

# Compiles the sources once per level into the target.
function(gradclip_add_levels target)
  foreach(entry IN LISTS GRADCLIP_LEVELS)
    string(REPLACE ":" ";" pair ${entry})
    list(GET pair 0 level)
    list(GET pair 1 highway)
    add_library(${target}_${level} OBJECT ${ARGN})
    target_link_libraries(${target}_${level} PRIVATE gradclip_library_flags)
    target_include_directories(${target}_${level} PRIVATE src)
    target_include_directories(${target}_${level} SYSTEM PRIVATE ${GRADCLIP_HIGHWAY})
    target_compile_definitions(${target}_${level} PRIVATE GRADCLIP_LEVEL=${level} GRADCLIP_TARGET=${highway})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_${level}>)
  endforeach()
endfunction()
