// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace gradclip::emulator {

struct Device;

/// A context of a device: its primary one, which the runtime makes where it needs one, or one that somebody created.
struct Context {
  Device* device;
  bool isPrimary;
};

/// The calling thread's context, or null.
Context* cudaContext();

/// Makes a device's primary context the calling thread's where it has none, as every call does that needs a context.
void needContext();

/// What cudaSetDevice does: the device's primary context becomes the calling thread's, whatever it had.
void usePrimary(Device& device);

}  // namespace gradclip::emulator
