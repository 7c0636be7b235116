// SPDX-License-Identifier: Apache-2.0
#include "contexts.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "gradclip_emulator.hpp"
#include "world.hpp"

namespace gradclip::emulator {

namespace {

thread_local Context* current = nullptr;

struct Contexts {
  std::mutex lock;
  std::map<int, std::unique_ptr<Context>> primary;  ///< of the devices where it is active
  std::vector<std::unique_ptr<Context>> created;
  std::vector<std::unique_ptr<Context>> forgotten;  ///< threads may still have them
};

Contexts& all() {
  static auto* contexts = new Contexts;
  return *contexts;
}

Context* primaryOf(Device& device) {
  std::lock_guard<std::mutex> lock(all().lock);
  auto& primary = all().primary[device.ordinal];
  if (primary == nullptr) primary = std::make_unique<Context>(Context{&device, true});
  return primary.get();
}

}  // namespace

Context* cudaContext() { return current; }

void needContext() {
  if (current == nullptr) current = primaryOf(currentDevice());
}

void usePrimary(Device& device) { current = primaryOf(device); }

void* context() noexcept { return current; }

void setContext(void* context) noexcept { current = static_cast<Context*>(context); }

void* primaryContext(int device) noexcept {
  const auto number = static_cast<std::size_t>(device);
  return device < 0 || number >= world().devices.size() ? nullptr : primaryOf(*world().devices[number]);
}

int deviceOfContext(void* context) noexcept { return static_cast<Context*>(context)->device->ordinal; }

void* createContext(int device) noexcept {
  std::lock_guard<std::mutex> lock(all().lock);
  all().created.push_back(
      std::make_unique<Context>(Context{world().devices[static_cast<std::size_t>(device)].get(), false}));
  return current = all().created.back().get();
}

int contexts(int device) noexcept {
  std::lock_guard<std::mutex> lock(all().lock);
  int count = static_cast<int>(all().primary.count(device));
  for (const auto& context : all().created) count += context->device->ordinal == device ? 1 : 0;
  return count;
}

void forgetContexts() noexcept {
  std::lock_guard<std::mutex> lock(all().lock);
  current = nullptr;
  for (auto& entry : all().primary) all().forgotten.push_back(std::move(entry.second));
  for (auto& context : all().created) all().forgotten.push_back(std::move(context));
  all().primary.clear();
  all().created.clear();
  selectDevice(0);
}

}  // namespace gradclip::emulator
