// SPDX-License-Identifier: Apache-2.0
#include "switch.hpp"

#include <cstdint>
#include <cstring>

#include "sanitizers.hpp"

// By hand: ucontext saves the signal mask by a system call. It ends in a return, which is predicted well because every
// fiber was left by the same call; a jump there leaves the predictor one return behind, and a shuffle takes 54 ns a
// lane instead of 34 (Xeon with AVX-512, 2 cores, shared).
#if defined(__x86_64__)

asm(R"(
.text
.globl gradclip_emulator_switch
.hidden gradclip_emulator_switch
.type gradclip_emulator_switch, @function
gradclip_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size gradclip_emulator_switch, .-gradclip_emulator_switch
)");

namespace {
// Six registers, the entry, and a return address of 0 where a walk of the stack ends.
constexpr std::size_t kWords = 8;
constexpr std::size_t kEntry = 6;
}  // namespace

#elif defined(__aarch64__)

asm(R"(
.text
.globl gradclip_emulator_switch
.hidden gradclip_emulator_switch
.type gradclip_emulator_switch, @function
gradclip_emulator_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size gradclip_emulator_switch, .-gradclip_emulator_switch
)");

namespace {
constexpr std::size_t kWords = 20;
constexpr std::size_t kEntry = 11;  // x30
}  // namespace

#else
#error "the emulator switches stacks on x86-64 and aarch64 only"
#endif

namespace gradclip::emulator {

GRADCLIP_UNTRACKED void* prepareStack(char* bottom, std::size_t bytes, void (*entry)()) {
  std::uintptr_t words[kWords] = {};
  words[kEntry] = reinterpret_cast<std::uintptr_t>(entry);
  char* top = bottom + bytes - sizeof(words);
  std::memcpy(top, words, sizeof(words));
  return top;
}

}  // namespace gradclip::emulator
