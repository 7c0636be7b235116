# SPDX-License-Identifier: Apache-2.0
# A shared library that exports only its Java_ functions, carries its own C++ runtime and looks nothing up at run time
# but the C library.
set(GRADCLIP_JAVA_HOME "$ENV{JAVA_HOME}" CACHE PATH "JDK whose include folder has jni.h")
find_path(GRADCLIP_JNI_H jni.h PATHS ${GRADCLIP_JAVA_HOME}/include NO_DEFAULT_PATH REQUIRED)

# -z nodelete: threads that end after the class loader was collected still run what the library left with them.
function(gradclip_add_jni_library target)
  add_library(${target} SHARED ${ARGN})
  target_include_directories(${target} SYSTEM PRIVATE ${GRADCLIP_JNI_H} ${GRADCLIP_JNI_H}/linux)
  set(exports ${CMAKE_CURRENT_SOURCE_DIR}/jni/exports.map)
  target_link_options(${target} PRIVATE -static-libstdc++ -static-libgcc
    -Wl,--version-script=${exports} -Wl,--build-id=none -Wl,--no-undefined -Wl,--gc-sections -Wl,-z,relro,-z,now,-z,nodelete -Wl,-s)
  set_target_properties(${target} PROPERTIES LINK_DEPENDS ${exports})
endfunction()
