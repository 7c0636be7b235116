// SPDX-License-Identifier: Apache-2.0
// dev.gradclip.internal.threads.NativeOpenMp: a job on the OpenMP threads that another library of the process has
// running.
#include <dlfcn.h>
#include <pthread.h>

#include "dev_gradclip_internal_threads_NativeOpenMp.h"
#include "pieces.hpp"

// By the names of old C libraries: those of the one built with would ask for glibc 2.34.
#if defined(__x86_64__)
#define GRADCLIP_OLDEST "GLIBC_2.2.5"
#else
#define GRADCLIP_OLDEST "GLIBC_2.17"
#endif
__asm__(".symver dlopen, dlopen@" GRADCLIP_OLDEST);
__asm__(".symver dlsym, dlsym@" GRADCLIP_OLDEST);
__asm__(".symver pthread_key_create, pthread_key_create@" GRADCLIP_OLDEST);
__asm__(".symver pthread_setspecific, pthread_setspecific@" GRADCLIP_OLDEST);

using namespace gradclip;

namespace {

using Region = void (*)(void*);
using Parallel = void (*)(Region, void*, unsigned, unsigned);
using Count = int (*)();

/// What all threads of a region read.
struct Shared {
  JavaVM* vm;
  jobject job;
  jmethodID work;
  Count number;
};

/// Detaches a thread that OpenMP ends from the JVM; its value is the JVM.
pthread_key_t detachKey;
bool hasDetachKey = false;
jmethodID workMethod = nullptr;

void detach(void* vm) { static_cast<JavaVM*>(vm)->DetachCurrentThread(); }

/// The calling thread's, which is attached to the JVM until it ends; null where the JVM takes no more threads.
JNIEnv* environment(JavaVM* vm) {
  void* env = nullptr;
  if (vm->GetEnv(&env, JNI_VERSION_1_8) == JNI_OK) return static_cast<JNIEnv*>(env);
  char name[] = "gradclip-openmp";
  JavaVMAttachArgs args{JNI_VERSION_1_8, name, nullptr};
  if (vm->AttachCurrentThreadAsDaemon(&env, &args) != JNI_OK) return nullptr;
  pthread_setspecific(detachKey, vm);
  return static_cast<JNIEnv*>(env);
}

/// One thread's part. The caller's is number 0, whose exception stays pending. Of another's the job knows already,
/// unless its stack was used up at the call; pending, it would meet the thread's next region.
void work(void* data) {
  const Shared& shared = *static_cast<const Shared*>(data);
  JNIEnv* env = environment(shared.vm);
  if (env == nullptr) return;
  const int number = shared.number();
  env->CallVoidMethod(shared.job, shared.work, static_cast<jint>(number));
  if (number != 0) env->ExceptionClear();
}

}  // namespace

extern "C" {

JNIEXPORT void JNICALL Java_dev_gradclip_internal_threads_NativeOpenMp_prepare(JNIEnv* env, jclass, jclass job) {
  workMethod = env->GetMethodID(job, "work", "(I)V");
  // The library stays when a class loader goes; one key serves those that come after.
  hasDetachKey = hasDetachKey || pthread_key_create(&detachKey, detach) == 0;
}

JNIEXPORT jlong JNICALL Java_dev_gradclip_internal_threads_NativeOpenMp_symbol(JNIEnv* env, jclass, jstring library,
                                                                       jstring name) {
  const char* file = env->GetStringUTFChars(library, nullptr);
  if (file == nullptr) return 0;
  void* handle = dlopen(file, RTLD_LAZY | RTLD_NOLOAD);
  env->ReleaseStringUTFChars(library, file);
  if (handle == nullptr || !hasDetachKey || workMethod == nullptr) return 0;
  const char* symbol = env->GetStringUTFChars(name, nullptr);
  if (symbol == nullptr) return 0;
  void* found = dlsym(handle, symbol);
  env->ReleaseStringUTFChars(name, symbol);
  // The handle is kept: the library must stay while its threads are ours to use.
  return static_cast<jlong>(reinterpret_cast<std::uintptr_t>(found));
}

JNIEXPORT jint JNICALL Java_dev_gradclip_internal_threads_NativeOpenMp_count(JNIEnv*, jclass, jlong function) {
  return reinterpret_cast<Count>(pointer<void>(function))();
}

JNIEXPORT void JNICALL Java_dev_gradclip_internal_threads_NativeOpenMp_run(JNIEnv* env, jclass, jlong parallel,
                                                                           jlong number, jint threads, jobject job) {
  JavaVM* vm = nullptr;
  // A local reference belongs to one thread; the others need a global one. Without, the caller does all the work.
  const jobject global = env->GetJavaVM(&vm) == JNI_OK ? env->NewGlobalRef(job) : nullptr;
  if (global == nullptr) {
    env->CallVoidMethod(job, workMethod, 0);
    return;
  }
  Shared shared{vm, global, workMethod, reinterpret_cast<Count>(pointer<void>(number))};
  reinterpret_cast<Parallel>(pointer<void>(parallel))(work, &shared, static_cast<unsigned>(threads), 0);
  env->DeleteGlobalRef(global);
}

}  // extern "C"
