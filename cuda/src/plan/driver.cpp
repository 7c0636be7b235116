// SPDX-License-Identifier: Apache-2.0
#include "plan/driver.hpp"

#include <cuda_runtime.h>

#include "plan/status.hpp"

#if defined(GRADCLIP_EMULATED)
#include <gradclip_emulator.hpp>
#endif

namespace gradclip {

#if defined(GRADCLIP_EMULATED)

void* currentContext() { return emulator::context(); }
void setCurrentContext(void* context) { emulator::setContext(context); }
void* primaryContext(int device) { return emulator::primaryContext(device); }
int deviceOfContext(void* context) { return emulator::deviceOfContext(context); }
bool hasPrimaryContext(int device) { return emulator::contexts(device) > 0; }

bool memoryRange(std::int64_t address, std::int64_t* base, std::int64_t* bytes) {
  void* start = nullptr;
  std::size_t size = 0;
  if (emulator::memoryRange(devicePointer(address), &start, &size) != cudaSuccess) return false;
  *base = addressOf(start);
  *bytes = static_cast<std::int64_t>(size);
  return true;
}

#else

namespace {

void* find(const char* name) {
  void* found = nullptr;
#if CUDART_VERSION < 12000
  const bool known = cudaGetDriverEntryPoint(name, &found, cudaEnableDefault) == cudaSuccess;
#else
  cudaDriverEntryPointQueryResult result;
#if CUDART_VERSION >= 12050
  const cudaError_t error = cudaGetDriverEntryPointByVersion(name, &found, 12000, cudaEnableDefault, &result);
#else
  const cudaError_t error = cudaGetDriverEntryPoint(name, &found, cudaEnableDefault, &result);
#endif
  const bool known = error == cudaSuccess && result == cudaDriverEntryPointSuccess;
#endif
  cudaGetLastError();
  return known ? found : nullptr;
}

/// A function of the driver, looked up once: a look-up costs as much as a call. Found by two threads at once it is the
/// same.
template <class Function>
class Driver {
 public:
  constexpr explicit Driver(const char* name) : name_(name) {}

  template <class... Arguments>
  bool operator()(Arguments... arguments) {
    Function* function = __atomic_load_n(&function_, __ATOMIC_RELAXED);
    if (function == nullptr) {
      function = reinterpret_cast<Function*>(find(name_));
      __atomic_store_n(&function_, function, __ATOMIC_RELAXED);
    }
    return function != nullptr && function(arguments...) == 0;
  }

 private:
  const char* name_;
  Function* function_ = nullptr;
};

Driver<int(void**)> getContext("cuCtxGetCurrent");
Driver<int(void*)> setContext("cuCtxSetCurrent");
Driver<int(int*)> getDevice("cuCtxGetDevice");
Driver<int(int*, int)> deviceHandle("cuDeviceGet");
Driver<int(void**, int)> retainPrimary("cuDevicePrimaryCtxRetain");
Driver<int(int, unsigned*, int*)> primaryState("cuDevicePrimaryCtxGetState");
Driver<int(unsigned long long*, std::size_t*, unsigned long long)> addressRange("cuMemGetAddressRange");

}  // namespace

void* currentContext() {
  void* context = nullptr;
  return getContext(&context) ? context : nullptr;
}

void setCurrentContext(void* context) { (void)setContext(context); }

void* primaryContext(int device) {
  // Retained once, and never given back: the runtime keeps it as well, once somebody has used the device.
  constexpr int kDevices = 64;
  static void* kept[kDevices] = {};
  if (device < 0 || device >= kDevices) return nullptr;
  void* context = __atomic_load_n(&kept[device], __ATOMIC_ACQUIRE);
  int handle = 0;
  if (context != nullptr || !deviceHandle(&handle, device) || !retainPrimary(&context, handle)) return context;
  __atomic_store_n(&kept[device], context, __ATOMIC_RELEASE);
  return context;
}

bool hasPrimaryContext(int device) {
  int handle = 0, active = 0;
  unsigned flags = 0;
  return deviceHandle(&handle, device) && primaryState(handle, &flags, &active) && active != 0;
}

int deviceOfContext(void* context) {
  void* const found = currentContext();
  if (found != context) setCurrentContext(context);
  int device = -1;
  if (!getDevice(&device)) device = -1;
  if (found != context) setCurrentContext(found);
  return device;
}

bool memoryRange(std::int64_t address, std::int64_t* base, std::int64_t* bytes) {
  unsigned long long start = 0;
  std::size_t size = 0;
  if (!addressRange(&start, &size, static_cast<unsigned long long>(address))) return false;
  *base = static_cast<std::int64_t>(start);
  *bytes = static_cast<std::int64_t>(size);
  return true;
}

#endif

}  // namespace gradclip
