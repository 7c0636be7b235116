// SPDX-License-Identifier: Apache-2.0
// One range a clip, closed again, and none for what is no clip.
#include <dlfcn.h>

#include <cstdlib>

#include "cuda_support.hpp"

namespace {

int counted(const char* name) {
  void* const profiler = dlopen(std::getenv("NVTX_INJECTION64_PATH"), RTLD_NOW);
  REQUIRE(profiler != nullptr);
  const int* const counter = static_cast<const int*>(dlsym(profiler, name));
  REQUIRE(counter != nullptr);
  return *counter;
}

template <class Work>
void checkRanges(int expected, const Work& work) {
  const int before = counted("profiledClips");
  work();
  CHECK(counted("profiledClips") - before == expected);
  CHECK(counted("profiledOpen") == 0);
}

}  // namespace

TEST_CASE("one range a clip") {
  Bound bound({{DType::Float32, normal(DType::Float32, 3000, 1, 1)}});
  std::int64_t ticket = 0;
  checkRanges(1, [&] { REQUIRE_OK(bound->clipByNorm(0, {}, {}, &ticket)); });
  checkRanges(1, [&] { REQUIRE_OK(bound->clipByValue(0, {}, &ticket)); });
  checkRanges(1, [&] { REQUIRE_OK(bound->clipWithNorm(0, {}, {}, &ticket)); });
  checkRanges(0, [&] { REQUIRE_OK(bound->globalNorm(0, {}, &ticket)); });
  REQUIRE_OK(bound->synchronize());
}
