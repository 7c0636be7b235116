// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Marks functions whose accesses ThreadSanitizer doesn't see.
#if defined(__SANITIZE_THREAD__)
#define GRADCLIP_UNTRACKED __attribute__((no_sanitize("thread")))
#else
#define GRADCLIP_UNTRACKED
#endif
