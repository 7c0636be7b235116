// SPDX-License-Identifier: Apache-2.0
// What the runtime has no words for: the driver's functions, looked up, so that the library needs no libcuda to load.
#pragma once

#include <cstdint>

namespace gradclip {

/// The calling thread's context, a CUcontext; null where it has none, or there is no driver.
void* currentContext();
void setCurrentContext(void* context);

/// A device's primary context, made where it is not active, and kept; null where that fails.
void* primaryContext(int device);

/// Whether a device's primary context is active.
bool hasPrimaryContext(int device);

/// The device of a context, or -1.
int deviceOfContext(void* context);

/// The allocation that holds an address; false where none does.
bool memoryRange(std::int64_t address, std::int64_t* base, std::int64_t* bytes);

}  // namespace gradclip
