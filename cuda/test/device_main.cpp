// SPDX-License-Identifier: Apache-2.0
// The device tests on a real device; 77 where there is none.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>

#include "gradclip/cuda.hpp"

int main(int count, char** arguments) {
  char text[1024];
  if (!gradclip::cudaUsable(text, sizeof text)) {
    std::printf("gradclip: device tests not run: %s\n", text);
    return 77;
  }
  if (gradclip::cudaDescribe(0, text, sizeof text).ok()) std::printf("%s", text);
  return doctest::Context(count, arguments).run();
}
