# SPDX-License-Identifier: Apache-2.0
# Sets `variable` to a folder that holds only the header-only library `name`. The folder such a library is installed in
# may be the machine's own /usr/include, which must not be given to a cross compiler.
function(gradclip_header_only variable name header)
  find_path(GRADCLIP_${name}_ROOT ${name}/${header} REQUIRED)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/headers)
  file(CREATE_LINK ${GRADCLIP_${name}_ROOT}/${name} ${CMAKE_BINARY_DIR}/headers/${name} SYMBOLIC)
  set(${variable} ${CMAKE_BINARY_DIR}/headers PARENT_SCOPE)
endfunction()
