// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

#include <cstdlib>
#include <mutex>

#include "block.hpp"
#include "call.hpp"
#include "gradclip_emulator.hpp"
#include "world.hpp"

namespace gradclip::emulator {

namespace {

constexpr std::size_t kMemory = std::size_t{8} << 30;

const char* variable(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? nullptr : text;
}

}  // namespace

std::size_t memorySetting() {
  const char* text = variable("GRADCLIP_EMULATOR_MEMORY");
  if (text == nullptr) return kMemory;
  char* end = nullptr;
  const std::size_t number = std::strtoull(text, &end, 10);
  switch (*end) {
    case '\0': return number;
    case 'K': return number << 10;
    case 'M': return number << 20;
    case 'G': return number << 30;
    default: return kMemory;
  }
}

int devicesSetting() {
  const char* text = variable("GRADCLIP_EMULATOR_DEVICES");
  const int number = text == nullptr ? 1 : std::atoi(text);
  return number < 1 ? 1 : number > 8 ? 8 : number;
}

std::uint64_t seedSetting() {
  const char* text = variable("GRADCLIP_EMULATOR_SEED");
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

void seed(std::uint64_t order) noexcept {
  std::lock_guard<std::mutex> execution(world().execution);
  Block::seed(order);
}

void reset() noexcept {
  forgetLastError();
  std::lock_guard<std::mutex> state(world().state);
  for (const auto& device : world().devices) device->fault = cudaSuccess;
}

void deviceMemory(std::size_t bytes) noexcept {
  std::lock_guard<std::mutex> state(world().state);
  world().memory = bytes;
}

}  // namespace gradclip::emulator
