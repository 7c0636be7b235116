# SPDX-License-Identifier: Apache-2.0
# Sets GRADCLIP_BUILD_ID_VALUE and writes it beside the library, as gradclip.build-id.
if(GRADCLIP_BUILD_ID)
  set(GRADCLIP_BUILD_ID_VALUE "${GRADCLIP_BUILD_ID}")
else()
  file(GLOB_RECURSE sources RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS
    ${CMAKE_CURRENT_SOURCE_DIR}/include/* ${CMAKE_CURRENT_SOURCE_DIR}/src/* ${CMAKE_CURRENT_SOURCE_DIR}/jni/*)
  list(SORT sources)
  set(hashes "")
  foreach(source IN LISTS sources)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source})
    file(SHA256 ${CMAKE_CURRENT_SOURCE_DIR}/${source} hash)
    string(APPEND hashes "${source} ${hash}\n")
  endforeach()
  string(SHA256 hash "${hashes}")
  set(GRADCLIP_BUILD_ID_VALUE "${GRADCLIP_VERSION}+${hash}")
endif()
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/gradclip.build-id CONTENT "${GRADCLIP_BUILD_ID_VALUE}\n" @ONLY)
