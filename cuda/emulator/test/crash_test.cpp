// SPDX-License-Identifier: Apache-2.0
#include <sys/wait.h>
#include <unistd.h>

#include "support.hpp"

// Accesses that go past the checks end the process. Each is tried in a child, on the host or in a kernel.
namespace {

template <class Action>
bool dies(Action action) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    close(STDOUT_FILENO);  // doctest's and the sanitizers' reports
    close(STDERR_FILENO);
    action();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

struct Plain {
  volatile char* p;
};

__global__ void plainRead(Plain p) { static_cast<void>(*p.p); }

struct Nothing {};

__global__ void sharedBeyondEnd(Nothing) { sharedMemory<volatile char>()[64] = 1; }

int deep(int depth) {
  volatile char frame[4096];
  frame[0] = static_cast<char>(depth);
  return depth == 0 ? 0 : deep(depth - 1) + frame[0];
}

__global__ void deepStack(Nothing) { deep(1000); }

}  // namespace

TEST_CASE("the host can't touch device memory") {
  const Device<char> memory(4096);
  const Plain plain{memory};
  CHECK(dies([&] { static_cast<void>(*plain.p); }));
  CHECK(dies([&] { *plain.p = 1; }));
}

TEST_CASE("a kernel can't touch device memory but by the checked words") {
  const Device<char> memory(4096);
  CHECK(dies([&] { launched(plainRead, 1, 1, Plain{memory}); }));
}

TEST_CASE("the host can't touch freed pinned memory, nor what follows any") {
  char* p = nullptr;
  REQUIRE_OK(cudaHostAlloc(&p, 4096, cudaHostAllocMapped));
  const Plain beyond{p + 4096};
  const Plain freed{p};
  CHECK(dies([&] { *beyond.p = 1; }));
  CHECK_FALSE(dies([&] { *freed.p = 1; }));
  REQUIRE_OK(cudaFreeHost(p));
  CHECK(dies([&] { *freed.p = 1; }));
}

TEST_CASE("shared memory ends where the launch said, and the stack does") {
  CHECK(dies([] { launched(sharedBeyondEnd, 1, 1, Nothing{}, 64); }));
  CHECK(dies([] { launched(deepStack, 1, 1, Nothing{}); }));
}

TEST_CASE("bytes overwritten beside pinned memory are found when it is freed") {
  char* p = nullptr;
  REQUIRE_OK(cudaHostAlloc(&p, 100, cudaHostAllocMapped));
  static_cast<volatile char*>(p)[100] = 1;
  CHECK(cudaFreeHost(p) == cudaErrorIllegalAddress);
  CHECK(cudaDeviceSynchronize() == cudaErrorIllegalAddress);
  reset();
}
