// SPDX-License-Identifier: Apache-2.0
#include "world.hpp"

#include <algorithm>

#include "block.hpp"
#include "contexts.hpp"
#include "settings.hpp"

namespace gradclip::emulator {

namespace {

// Addresses cost nothing; many more than there is memory keep freed ones unused for long.
constexpr std::size_t kAddressBytes = std::size_t{64} << 30;
constexpr std::size_t kHostAddressBytes = std::size_t{16} << 30;

thread_local int currentOrdinal = 0;
thread_local std::vector<std::shared_ptr<Stream>> threadStreams;  // one a device, as far as asked for

std::shared_ptr<Stream> threadStream() {
  Device& device = currentDevice();
  for (auto& stream : threadStreams) {
    if (stream->device == &device) return stream;
  }
  auto stream = std::make_shared<Stream>();
  stream->device = &device;
  device.streams.push_back(stream);
  threadStreams.push_back(stream);
  return stream;
}

}  // namespace

Device::Device(int number, std::size_t addressBytes) : ordinal(number), addresses(addressBytes) {
  auto stream = std::make_shared<Stream>();
  stream->device = this;
  stream->legacy = true;
  streams.push_back(std::move(stream));
}

World::World() : hostAddresses(kHostAddressBytes), memory(memorySetting()) {
  const int count = devicesSetting();
  for (int i = 0; i < count; ++i) {
    devices.push_back(std::make_unique<Device>(i, std::max(kAddressBytes, 4 * memory)));
  }
  Block::instance().seed(seedSetting());
}

World& world() {
  static World* all = new World;  // never deleted: threads of a JVM outlive main's statics
  return *all;
}

Device& currentDevice() {
  if (const Context* context = cudaContext()) return *context->device;
  return *world().devices[static_cast<std::size_t>(currentOrdinal)];
}

std::shared_ptr<Stream> findStream(cudaStream_t handle) {
  if (handle == nullptr || handle == cudaStreamLegacy) return currentDevice().streams.front();
  if (handle == cudaStreamPerThread) return threadStream();
  for (const auto& device : world().devices) {
    for (const auto& stream : device->streams) {
      if (static_cast<void*>(stream.get()) == static_cast<void*>(handle) && !stream->destroyed) return stream;
    }
  }
  return nullptr;
}

void selectDevice(int ordinal) { currentOrdinal = ordinal; }

}  // namespace gradclip::emulator
