// SPDX-License-Identifier: Apache-2.0
// The byte limit of a clip and update: plain C that reads the gradient for a norm, reads it once more, and reads and
// writes the weights and their state, with next to no arithmetic.
//   limit THREADS ELEMENTS STATES PAGES   STATES: 0 for SGD, 1 with momentum, 2 for AdamW
// PAGES is plain, for memory as LibTorch's tensors have it, or huge, which spares the processor most look-ups of pages.
// For each line that it reads it prints the microseconds of a pass, the median of some.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { HUGE_PAGE = 2 << 20, MAX_THREADS = 256, MAX_PASSES = 1000, LANES = 64 };

static int threads, states, huge;
static size_t count;
static float *gradient, *weights, *first, *second;
static pthread_barrier_t request;
static atomic_int turn, arrived, passing;
static float sums[MAX_THREADS * 16];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Many partial sums, because -O3 keeps the order of additions, and one sum would wait for each of them.
static float norm(const float *g, size_t n) {
  float lanes[LANES] = {0}, sum = 0;
  for (size_t i = 0; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) lanes[j] += g[i + j] * g[i + j];
  for (int j = 0; j < LANES; j++) sum += lanes[j];
  return sum;
}

static void plain(const float *restrict g, float *restrict w, size_t n, float c) {
  for (size_t i = 0; i < n; i++) w[i] -= c * g[i];
}

static void momentum(const float *restrict g, float *restrict w, float *restrict b, size_t n, float c) {
  for (size_t i = 0; i < n; i++) w[i] -= b[i] = 0.9f * b[i] + c * g[i];
}

static void adam(const float *restrict g, float *restrict w, float *restrict m, float *restrict v, size_t n, float c) {
  for (size_t i = 0; i < n; i++) {
    float clipped = c * g[i];
    m[i] += 0.1f * (clipped - m[i]);
    v[i] = 0.999f * v[i] + 0.001f * clipped * clipped;
    w[i] -= 1e-12f * (m[i] + v[i]);
  }
}

// All threads, spinning: a pass must not pay for waking them. One that others keep off its processor is let on.
static void meet(void) {
  int seen = atomic_load(&turn);
  if (atomic_fetch_add(&arrived, 1) == threads - 1) {
    atomic_store(&arrived, 0);
    atomic_fetch_add(&turn, 1);
  } else {
    for (int spins = 0; atomic_load(&turn) == seen; spins++)
      if (spins > 1 << 12) sched_yield();
  }
}

static void pass(int thread) {
  size_t from = count * (size_t)thread / (size_t)threads;
  size_t n = count * (size_t)(thread + 1) / (size_t)threads - from;
  sums[thread * 16] = norm(gradient + from, n);
  meet();
  float total = 0;
  for (int t = 0; t < threads; t++) total += sums[t * 16];
  float c = 1 / (1 + total);
  if (states == 0) plain(gradient + from, weights + from, n, c);
  else if (states == 1) momentum(gradient + from, weights + from, first + from, n, c);
  else adam(gradient + from, weights + from, first + from, second + from, n, c);
  meet();
}

static void *worker(void *arg) {
  for (;;) {
    pthread_barrier_wait(&request);
    for (;;) {
      meet();
      if (!atomic_load(&passing)) {
        // The next request changes it, so all threads have read it before.
        meet();
        break;
      }
      pass((int)(size_t)arg);
    }
  }
  return NULL;
}

static float *filled(float value) {
  size_t page = huge ? HUGE_PAGE : 4096;
  size_t bytes = (count * sizeof(float) + page - 1) / page * page;
  float *memory = aligned_alloc(page, bytes);
#ifdef MADV_HUGEPAGE
  if (huge) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  for (size_t i = 0; i < count; i++) memory[i] = value;
  return memory;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median_micros(void) {
  static double micros[MAX_PASSES];
  int n = 0;
  atomic_store(&passing, 1);
  pthread_barrier_wait(&request);
  for (double end = now() + 0.01; n < MAX_PASSES && (n < 3 || now() < end); n++) {
    meet();
    double start = now();
    pass(0);
    micros[n] = 1e6 * (now() - start);
  }
  atomic_store(&passing, 0);
  meet();
  meet();
  qsort(micros, (size_t)n, sizeof *micros, ascending);
  return micros[n / 2];
}

int main(int argc, char **argv) {
  if (argc != 5 || (threads = atoi(argv[1])) < 1 || threads > MAX_THREADS) {
    fprintf(stderr, "usage: limit THREADS ELEMENTS STATES PAGES\n");
    return 2;
  }
  count = strtoull(argv[2], NULL, 10);
  states = atoi(argv[3]);
  huge = strcmp(argv[4], "huge") == 0;
  gradient = filled(1e-3f);
  weights = filled(1);
  if (states > 0) first = filled(1e-3f);
  if (states > 1) second = filled(1e-3f);
  pthread_barrier_init(&request, NULL, (unsigned)threads);
  for (int t = 1; t < threads; t++) {
    pthread_t id;
    pthread_create(&id, NULL, worker, (void *)(size_t)t);
  }
  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    printf("%.3f\n", median_micros());
    fflush(stdout);
  }
  return 0;
}
