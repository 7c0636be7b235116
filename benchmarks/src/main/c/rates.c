// SPDX-License-Identifier: Apache-2.0
// The machine's own rates, which clipping is held against: reading and scaling floats in plain C on some threads.
//   rates THREADS BYTES...   prints a line a size: bytes, read seconds, scale seconds (medians of one pass)
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_THREADS = 256, MAX_PASSES = 2000 };

static int threads;
static float *data;
static size_t count;
static atomic_int phase;   // odd: read, even: scale; grows with every pass
static atomic_int arrived;
static volatile float sink[MAX_THREADS * 16];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// -Ofast lets the compiler keep many partial sums, so that the loop waits for memory and not for additions.
static float read_all(const float *x, size_t n) {
  float sum = 0;
  for (size_t i = 0; i < n; i++) sum += x[i];
  return sum;
}

static void scale_all(float *x, size_t n, float c) {
  for (size_t i = 0; i < n; i++) x[i] *= c;
}

static void work(int thread, int pass) {
  size_t from = count * (size_t)thread / (size_t)threads;
  size_t to = count * (size_t)(thread + 1) / (size_t)threads;
  if (pass & 1) sink[thread * 16] = read_all(data + from, to - from);
  else scale_all(data + from, to - from, 1.0000001f);
}

static void *helper(void *arg) {
  int thread = (int)(size_t)arg;
  for (int seen = 0;;) {
    int pass;
    while ((pass = atomic_load(&phase)) == seen) {
    }
    if (pass < 0) return NULL;
    seen = pass;
    work(thread, pass);
    atomic_fetch_add(&arrived, 1);
  }
}

static double run(int pass) {
  atomic_store(&arrived, 0);
  double start = now();
  atomic_store(&phase, pass);
  work(0, pass);
  while (atomic_load(&arrived) < threads - 1) {
  }
  return now() - start;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  if (argc < 3 || (threads = atoi(argv[1])) < 1 || threads > MAX_THREADS) {
    fprintf(stderr, "usage: rates THREADS BYTES...\n");
    return 2;
  }
  pthread_t ids[MAX_THREADS];
  for (int t = 1; t < threads; t++) pthread_create(&ids[t], NULL, helper, (void *)(size_t)t);
  int pass = 1;
  for (int i = 2; i < argc; i++) {
    size_t bytes = strtoull(argv[i], NULL, 10);
    count = bytes / sizeof(float);
    data = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    for (size_t j = 0; j < count; j++) data[j] = 1e-3f;
    static double read[MAX_PASSES], scale[MAX_PASSES];
    int n = 0;
    for (double end = now() + 0.4; n < MAX_PASSES && (n < 5 || now() < end); n++) {
      read[n] = run(pass++);
      scale[n] = run(pass++);
    }
    qsort(read, (size_t)n, sizeof *read, ascending);
    qsort(scale, (size_t)n, sizeof *scale, ascending);
    printf("%zu %.9f %.9f\n", bytes, read[n / 2], scale[n / 2]);
    fflush(stdout);
    free(data);
  }
  atomic_store(&phase, -1);
  for (int t = 1; t < threads; t++) pthread_join(ids[t], NULL);
  return 0;
}
