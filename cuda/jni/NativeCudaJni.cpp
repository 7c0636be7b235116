// SPDX-License-Identifier: Apache-2.0
// dev.gradclip.internal.jni.NativeCuda. Compiled without C++ exceptions, so none leaves a function; errors are Java
// exceptions left pending.
#include "dev_gradclip_internal_jni_NativeCuda.h"

#include "cuda_exceptions.hpp"
#include "gradclip/cuda.hpp"
#include "guard.hpp"
#include "pieces.hpp"

#if defined(GRADCLIP_EMULATED)
#include <gradclip_emulator.hpp>
#endif

using namespace gradclip;

namespace {

CudaPlan& planOf(jlong handle) { return *pointer<CudaPlan>(handle); }

jlong addressOf(const void* p) { return static_cast<jlong>(reinterpret_cast<std::uintptr_t>(p)); }

NormOf normOf(jint norm, jdouble p) { return {static_cast<NormKind>(norm), p}; }

GivenNorm normAt(jlong address, jboolean isFloat32, jboolean isSquared) {
  return {0.0, address, isFloat32 != JNI_FALSE, isSquared != JNI_FALSE};
}

const RuleNumbers& ruleOf(jlong address) { return *pointer<RuleNumbers>(address); }

/// The ticket of a call that went well; else 0, with an exception pending.
jlong ticketOf(JNIEnv* env, const CudaStatus& status, std::int64_t ticket) { return checked(env, status) ? ticket : 0; }

}  // namespace

extern "C" {

// ---- library and devices -------------------------------------------------------------------------------------------

JNIEXPORT jstring JNICALL Java_dev_gradclip_internal_jni_NativeCuda_buildId(JNIEnv* env, jclass) {
  return env->NewStringUTF(GRADCLIP_BUILD_ID);
}

JNIEXPORT jstring JNICALL Java_dev_gradclip_internal_jni_NativeCuda_unavailable(JNIEnv* env, jclass) {
  char reason[512];
  return cudaUsable(reason, sizeof reason) ? nullptr : env->NewStringUTF(reason);
}

JNIEXPORT jint JNICALL Java_dev_gradclip_internal_jni_NativeCuda_devices(JNIEnv*, jclass) { return cudaDevices(); }

JNIEXPORT jstring JNICALL Java_dev_gradclip_internal_jni_NativeCuda_describe(JNIEnv* env, jclass, jint device) {
  char text[1024];
  return checked(env, cudaDescribe(device, text, sizeof text)) ? env->NewStringUTF(text) : nullptr;
}

JNIEXPORT jint JNICALL Java_dev_gradclip_internal_jni_NativeCuda_currentDevice(JNIEnv*, jclass) {
  return cudaCurrentDevice();
}

JNIEXPORT jint JNICALL Java_dev_gradclip_internal_jni_NativeCuda_deviceOf(JNIEnv* env, jclass, jlong address) {
  int device = -1;
  checked(env, cudaDeviceOf(address, &device));
  return device;
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_freeMemory(JNIEnv* env, jclass, jint device) {
  std::int64_t bytes = 0;
  checked(env, cudaFreeMemory(device, &bytes));
  return bytes;
}

// ---- memory and streams --------------------------------------------------------------------------------------------

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_allocate(JNIEnv* env, jclass, jint device,
                                                                           jlong bytes) {
  std::int64_t address = 0;
  checked(env, cudaAllocate(device, bytes, &address));
  return address;
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_free(JNIEnv* env, jclass, jint device, jlong address) {
  checked(env, cudaRelease(device, address));
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_copyToDevice(JNIEnv* env, jclass, jint device,
                                                                          jlong stream, jlong to, jlong from,
                                                                          jlong bytes) {
  checked(env, cudaCopyToDevice(device, stream, to, pointer<void>(from), bytes));
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_copyToHost(JNIEnv* env, jclass, jint device,
                                                                            jlong stream, jlong to, jlong from,
                                                                            jlong bytes) {
  checked(env, cudaCopyToHost(device, stream, pointer<void>(to), from, bytes));
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_createStream(JNIEnv* env, jclass, jint device) {
  std::int64_t stream = 0;
  checked(env, cudaCreateStream(device, &stream));
  return stream;
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_destroyStream(JNIEnv* env, jclass, jint device,
                                                                           jlong stream) {
  checked(env, cudaDestroyStream(device, stream));
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_synchronizeStream(JNIEnv* env, jclass, jint device,
                                                                               jlong stream) {
  checked(env, cudaSynchronizeStream(device, stream));
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_beginCapture(JNIEnv* env, jclass, jint device,
                                                                          jlong stream) {
  checked(env, cudaBeginCapture(device, stream));
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_endCapture(JNIEnv* env, jclass, jint device,
                                                                         jlong stream) {
  std::int64_t graph = 0;
  checked(env, cudaFinishCapture(device, stream, &graph));
  return graph;
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_launchGraph(JNIEnv* env, jclass, jint device,
                                                                             jlong graph, jlong stream) {
  checked(env, cudaLaunchGraph(device, graph, stream));
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_destroyGraph(JNIEnv* env, jclass, jint device,
                                                                          jlong graph) {
  checked(env, cudaDestroyGraph(device, graph));
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_address(JNIEnv* env, jclass, jobject direct) {
  return addressOf(env->GetDirectBufferAddress(direct));
}

JNIEXPORT jobject JNICALL Java_dev_gradclip_internal_jni_NativeCuda_view(JNIEnv* env, jclass, jlong address,
                                                                         jlong bytes) {
  return env->NewDirectByteBuffer(pointer<void>(address), bytes);
}

// ---- plans ---------------------------------------------------------------------------------------------------------

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_createPlan(JNIEnv* env, jclass, jint device,
                                                                             jlong table, jint segments, jint gradients,
                                                                             jint parts) {
  CudaPlan* plan = nullptr;
  const Counts counts = {segments, gradients, parts};
  return checked(env, CudaPlan::create(device, pointer<Piece>(table), segments, counts, &plan)) ? addressOf(plan) : 0;
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_destroyPlan(JNIEnv* env, jclass, jlong plan) {
  checked(env, CudaPlan::destroy(pointer<CudaPlan>(plan)));
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_ring(JNIEnv*, jclass, jlong plan) {
  return addressOf(planOf(plan).ring());
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_rebind(JNIEnv* env, jclass, jlong plan, jlong table) {
  checked(env, planOf(plan).rebind(pointer<Piece>(table)));
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_measure(JNIEnv* env, jclass, jlong plan, jlong stream,
                                                                     jint norm, jdouble p, jint fromSegment,
                                                                     jint toSegment) {
  checked(env, planOf(plan).measure(stream, normOf(norm, p), fromSegment, toSegment));
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_globalNorm(JNIEnv* env, jclass, jlong plan,
                                                                             jlong stream, jint norm, jdouble p) {
  std::int64_t ticket = 0;
  const CudaStatus status = planOf(plan).globalNorm(stream, normOf(norm, p), &ticket);
  return ticketOf(env, status, ticket);
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_clipByNorm(JNIEnv* env, jclass, jlong plan,
                                                                             jlong stream, jlong rule,
                                                                             jboolean measured, jboolean applies) {
  const FloatGuard guard;
  const CudaPlan::Steps steps = {measured == JNI_FALSE, applies != JNI_FALSE};
  std::int64_t ticket = 0;
  const CudaStatus status = planOf(plan).clipByNorm(stream, ruleOf(rule), steps, &ticket);
  return ticketOf(env, status, ticket);
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_clipWithNorm(JNIEnv* env, jclass, jlong plan,
                                                                           jlong stream, jlong rule, jdouble norm) {
  std::int64_t ticket = 0;
  const CudaStatus status = planOf(plan).clipWithNorm(stream, ruleOf(rule), {norm}, &ticket);
  return ticketOf(env, status, ticket);
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_clipWithNormAt(JNIEnv* env, jclass, jlong plan,
                                                                             jlong stream, jlong rule, jlong norm,
                                                                             jboolean isFloat32, jboolean isSquared) {
  std::int64_t ticket = 0;
  const CudaStatus status =
      planOf(plan).clipWithNorm(stream, ruleOf(rule), normAt(norm, isFloat32, isSquared), &ticket);
  return ticketOf(env, status, ticket);
}

JNIEXPORT jint JNICALL Java_dev_gradclip_internal_jni_NativeCuda_captureWithNormAt(JNIEnv* env, jclass, jlong plan,
                                                                               jlong stream, jlong rule, jlong norm,
                                                                               jboolean isFloat32, jboolean isSquared) {
  std::int32_t capture = 0;
  checked(env, planOf(plan).captureWithNorm(stream, ruleOf(rule), normAt(norm, isFloat32, isSquared), &capture));
  return capture;
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_clipByValue(JNIEnv* env, jclass, jlong plan,
                                                                          jlong stream, jlong rule) {
  std::int64_t ticket = 0;
  const CudaStatus status = planOf(plan).clipByValue(stream, ruleOf(rule), &ticket);
  return ticketOf(env, status, ticket);
}

JNIEXPORT jint JNICALL Java_dev_gradclip_internal_jni_NativeCuda_captureByNorm(JNIEnv* env, jclass, jlong plan,
                                                                           jlong stream, jlong rule) {
  std::int32_t capture = 0;
  checked(env, planOf(plan).captureByNorm(stream, ruleOf(rule), &capture));
  return capture;
}

JNIEXPORT jint JNICALL Java_dev_gradclip_internal_jni_NativeCuda_captureByValue(JNIEnv* env, jclass, jlong plan,
                                                                            jlong stream, jlong rule) {
  std::int32_t capture = 0;
  checked(env, planOf(plan).captureByValue(stream, ruleOf(rule), &capture));
  return capture;
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_setNumbers(JNIEnv* env, jclass, jlong plan,
                                                                            jlong stream, jint capture, jlong rule) {
  checked(env, planOf(plan).setNumbers(stream, capture, ruleOf(rule)));
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_createUpdates(JNIEnv* env, jclass, jlong plan,
                                                                               jint form, jboolean masterWeights,
                                                                               jlong firstPieces, jint tensors) {
  checked(env,
          planOf(plan).createUpdates({form, masterWeights != JNI_FALSE, tensors, pointer<std::int32_t>(firstPieces)}));
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_createHistory(JNIEnv* env, jclass, jlong plan,
                                                                                jlong bytes) {
  std::int64_t address = 0;
  checked(env, planOf(plan).createHistory(bytes, &address));
  return address;
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_step(JNIEnv* env, jclass, jlong plan, jlong stream,
                                                                       jlong rule, jboolean clamps, jlong numbers) {
  const FloatGuard guard;
  const UpdateNumbers& update = *pointer<UpdateNumbers>(numbers);
  std::int64_t ticket = 0;
  const CudaStatus status = clamps != JNI_FALSE
                                ? planOf(plan).stepByValue(stream, ruleOf(rule), update, &ticket)
                                : planOf(plan).stepByNorm(stream, ruleOf(rule), update, &ticket);
  return ticketOf(env, status, ticket);
}

JNIEXPORT jint JNICALL Java_dev_gradclip_internal_jni_NativeCuda_captureStep(JNIEnv* env, jclass, jlong plan,
                                                                             jlong stream, jlong rule, jboolean clamps,
                                                                             jlong numbers) {
  const UpdateNumbers& update = *pointer<UpdateNumbers>(numbers);
  std::int32_t capture = 0;
  checked(env, clamps != JNI_FALSE ? planOf(plan).captureStepByValue(stream, ruleOf(rule), update, &capture)
                                   : planOf(plan).captureStepByNorm(stream, ruleOf(rule), update, &capture));
  return capture;
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_setUpdate(JNIEnv* env, jclass, jlong plan,
                                                                           jlong stream, jint capture, jlong numbers) {
  checked(env, planOf(plan).setUpdate(stream, capture, *pointer<UpdateNumbers>(numbers)));
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_progressAddress(JNIEnv*, jclass, jlong plan) {
  return planOf(plan).progressAddress();
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_updateStateAddress(JNIEnv*, jclass, jlong plan,
                                                                                     jint slot, jint tensor) {
  return planOf(plan).updateStateAddress(slot, tensor);
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_closeCapture(JNIEnv*, jclass, jlong plan,
                                                                              jint capture) {
  planOf(plan).closeCapture(capture);
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_captureSlot(JNIEnv*, jclass, jlong plan,
                                                                              jint capture) {
  return addressOf(planOf(plan).captureSlot(capture));
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_await(JNIEnv* env, jclass, jlong plan, jlong ticket) {
  const FloatGuard guard;
  bool overwritten = false;
  if (!checked(env, planOf(plan).await(ticket, &overwritten)) || !overwritten) return;
  env->ThrowNew(env->FindClass("java/lang/IllegalStateException"),
                "the result is gone: 256 calls have followed; read each result before that many more");
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_synchronize(JNIEnv* env, jclass, jlong plan) {
  const FloatGuard guard;
  checked(env, planOf(plan).synchronize());
}

JNIEXPORT jdouble JNICALL Java_dev_gradclip_internal_jni_NativeCuda_norm(JNIEnv* env, jclass, jlong plan, jint norm,
                                                                     jdouble p, jdouble inverseScale, jint fromSegment,
                                                                     jint toSegment) {
  const FloatGuard guard;
  double value = 0;
  checked(env, planOf(plan).norm(normOf(norm, p), inverseScale, fromSegment, toSegment, &value));
  return value;
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_partials(JNIEnv* env, jclass, jlong plan, jlong to) {
  checked(env, planOf(plan).partials(pointer<double>(to)));
}

JNIEXPORT jdouble JNICALL Java_dev_gradclip_internal_jni_NativeCuda_coefficient(JNIEnv* env, jclass, jlong plan,
                                                                            jint segment) {
  const FloatGuard guard;
  double value = 0;
  checked(env, planOf(plan).coefficient(segment, &value));
  return value;
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_coefficientAddress(JNIEnv*, jclass, jlong plan) {
  return planOf(plan).coefficientAddress();
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_jni_NativeCuda_findingAddress(JNIEnv*, jclass, jlong plan) {
  return planOf(plan).findingAddress();
}

// ---- the emulator --------------------------------------------------------------------------------------------------

#if defined(GRADCLIP_EMULATED)

JNIEXPORT jboolean JNICALL Java_dev_gradclip_internal_jni_NativeCuda_emulated(JNIEnv*, jclass) { return JNI_TRUE; }

JNIEXPORT jlongArray JNICALL Java_dev_gradclip_internal_jni_NativeCuda_emulatorCounters(JNIEnv* env, jclass) {
  const emulator::Counters counters = emulator::counters();
  emulator::resetCounters();
  const jlong values[] = {counters.launches, counters.allocations, counters.copiesToDevice, counters.copiesToHost,
                          counters.synchronisations};
  const jlongArray array = env->NewLongArray(5);
  if (array != nullptr) env->SetLongArrayRegion(array, 0, 5, values);
  return array;
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_emulatorReset(JNIEnv*, jclass, jlong seed) {
  emulator::reset();
  emulator::seed(static_cast<std::uint64_t>(seed));
}

#else

JNIEXPORT jboolean JNICALL Java_dev_gradclip_internal_jni_NativeCuda_emulated(JNIEnv*, jclass) { return JNI_FALSE; }

JNIEXPORT jlongArray JNICALL Java_dev_gradclip_internal_jni_NativeCuda_emulatorCounters(JNIEnv* env, jclass) {
  env->ThrowNew(env->FindClass("java/lang/UnsupportedOperationException"), "this library uses real devices");
  return nullptr;
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_jni_NativeCuda_emulatorReset(JNIEnv* env, jclass, jlong) {
  env->ThrowNew(env->FindClass("java/lang/UnsupportedOperationException"), "this library uses real devices");
}

#endif

}  // extern "C"
