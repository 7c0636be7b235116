// SPDX-License-Identifier: Apache-2.0
/// What the sanitizers must be told about fibers, and about order between kernel threads.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

// The scheduler works on behalf of all kernel threads at once; only what the kernels themselves do may count as a race.
#include "emulated/untracked.h"

namespace gradclip::emulator {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

#if defined(__SANITIZE_THREAD__)
constexpr bool kTracksRaces = true;
/// All that this context did before is ordered before what another does after acquire() of the same token.
GRADCLIP_UNTRACKED inline void release(void* token) { __tsan_release(token); }
GRADCLIP_UNTRACKED inline void acquire(void* token) { __tsan_acquire(token); }
GRADCLIP_UNTRACKED inline void* createContext() { return __tsan_create_fiber(0); }
GRADCLIP_UNTRACKED inline void destroyContext(void* context) { __tsan_destroy_fiber(context); }
GRADCLIP_UNTRACKED inline void* currentContext() { return __tsan_get_current_fiber(); }
GRADCLIP_UNTRACKED inline void enterContext(void* context) {
  __tsan_switch_to_fiber(context, __tsan_switch_to_fiber_no_sync);
}
#else
constexpr bool kTracksRaces = false;
inline void release(void*) {}
inline void acquire(void*) {}
inline void* createContext() { return nullptr; }
inline void destroyContext(void*) {}
inline void* currentContext() { return nullptr; }
inline void enterContext(void*) {}
#endif

/// Makes the thread act as another context, such as a stream, while it lives. Only in untracked functions, and around
/// calls that touch nothing but what the other context may touch.
class As {
 public:
  GRADCLIP_UNTRACKED explicit As(void* context) : own_(currentContext()) { enterContext(context); }
  GRADCLIP_UNTRACKED ~As() { enterContext(own_); }
  As(const As&) = delete;
  As& operator=(const As&) = delete;

 private:
  void* own_;
};

GRADCLIP_UNTRACKED inline void releaseAs(void* context, void* token) {
  As as(context);
  release(token);
}

GRADCLIP_UNTRACKED inline void acquireAs(void* context, void* token) {
  As as(context);
  acquire(token);
}

}  // namespace gradclip::emulator
