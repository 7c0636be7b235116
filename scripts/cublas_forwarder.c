// SPDX-License-Identifier: Apache-2.0
// JCublas2 12.6 wants libcublas.so.12; a host with CUDA 13 has libcublas.so.13. This library takes that name and hands the
// handful of functions that the tests call on to the newer one:
//   cc -shared -fPIC -Wl,-soname,libcublas.so.12 -Wl,--version-script=cublas_forwarder.map cublas_forwarder.c -o libcublas.so.12 -ldl
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

typedef void *Handle;
typedef int Status;

static void *function(const char *name) {
  static void *library;
  if (!library) library = dlopen("libcublas.so.13", RTLD_NOW | RTLD_GLOBAL);
  // Of a Python wheel, whose folder no loader knows.
  if (!library && getenv("GRADCLIP_CUBLAS")) library = dlopen(getenv("GRADCLIP_CUBLAS"), RTLD_NOW | RTLD_GLOBAL);
  void *found = library ? dlsym(library, name) : NULL;
  if (!found) {
    fprintf(stderr, "cublas_forwarder: no %s in libcublas.so.13: %s\n", name, dlerror());
    abort();
  }
  return found;
}

#define FORWARD(name, types, ...) \
  Status name types {             \
    Status(*to) types = (Status(*) types)function(#name); \
    return to(__VA_ARGS__);       \
  }

FORWARD(cublasCreate_v2, (Handle * h), h)
FORWARD(cublasDestroy_v2, (Handle h), h)
FORWARD(cublasSetStream_v2, (Handle h, void *stream), h, stream)
FORWARD(cublasSetPointerMode_v2, (Handle h, int mode), h, mode)
FORWARD(cublasSnrm2_v2, (Handle h, int n, const float *x, int step, float *out), h, n, x, step, out)
FORWARD(cublasDnrm2_v2, (Handle h, int n, const double *x, int step, double *out), h, n, x, step, out)
FORWARD(cublasSasum_v2, (Handle h, int n, const float *x, int step, float *out), h, n, x, step, out)
FORWARD(cublasDasum_v2, (Handle h, int n, const double *x, int step, double *out), h, n, x, step, out)
FORWARD(cublasIsamax_v2, (Handle h, int n, const float *x, int step, int *out), h, n, x, step, out)
FORWARD(cublasIdamax_v2, (Handle h, int n, const double *x, int step, int *out), h, n, x, step, out)
FORWARD(cublasSscal_v2, (Handle h, int n, const float *a, float *x, int step), h, n, a, x, step)
FORWARD(cublasDscal_v2, (Handle h, int n, const double *a, double *x, int step), h, n, a, x, step)
