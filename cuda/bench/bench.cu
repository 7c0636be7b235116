// SPDX-License-Identifier: Apache-2.0
// Times clips on a device by events, beside what the device itself reads and copies in the same run, and each clip in
// every way that kernels can be launched. Each figure is a line of JSON, written as it comes.
//
//   gradclip_bench OUT.jsonl [--quick] [--seconds N] [--label TEXT] [--shape NAME]
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "common/update.hpp"
#include "gradclip/cuda.hpp"
#include "gradclip/piece.hpp"
#include "kernels/device_structs.hpp"

using gradclip::CudaPlan;
using gradclip::CudaStatus;
using gradclip::DType;
using gradclip::HistoryForm;
using gradclip::NormKind;
using gradclip::Piece;
using gradclip::RuleNumbers;
using gradclip::UpdateForm;
using gradclip::UpdateNumbers;

namespace {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "gradclip_bench: %s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

void check(const CudaStatus& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "gradclip_bench: code %d from %s %s\n", status.code, status.call, status.why ? status.why : "");
  std::exit(1);
}

// ---- the device's own rates ----------------------------------------------------------------------------------------

__global__ void readKernel(const uint4* from, std::size_t vectors, unsigned* sink) {
  unsigned bits = 0;
  const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
  std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  for (; i + 3 * step < vectors; i += 4 * step) {
    const uint4 a = from[i], b = from[i + step], c = from[i + 2 * step], d = from[i + 3 * step];
    bits |= (a.x | a.y | a.z | a.w) | (b.x | b.y | b.z | b.w) | (c.x | c.y | c.z | c.w) | (d.x | d.y | d.z | d.w);
  }
  for (; i < vectors; i += step) bits |= from[i].x;
  if (bits == 0x12345678u) *sink = bits;
}

/// Reads and writes in place, as a scale does.
__global__ void flipKernel(uint4* at, std::size_t vectors) {
  const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
  std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  for (; i + 3 * step < vectors; i += 4 * step) {
    uint4 v[4];
    for (int k = 0; k < 4; ++k) v[k] = at[i + k * step];
    for (int k = 0; k < 4; ++k) {
      v[k].x ^= 1u;
      at[i + k * step] = v[k];
    }
  }
  for (; i < vectors; i += step) at[i].x ^= 1u;
}

/// Moves what an update of float32 moves: reads gradients, weights and `states` of their length, writes all but the
/// gradients.
template <int states>
__global__ void updateTrafficKernel(const uint4* gradients, uint4* weights, uint4* first, uint4* second,
                                    std::size_t vectors) {
  const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < vectors; i += 2 * step) {
    uint4 v[2][4];
    for (int k = 0; k < 2; ++k) {
      const std::size_t at = i + k * step;
      if (at >= vectors) break;
      v[k][0] = gradients[at];
      v[k][1] = weights[at];
      v[k][2] = first[at];
      if (states == 2) v[k][3] = second[at];
    }
    for (int k = 0; k < 2; ++k) {
      const std::size_t at = i + k * step;
      if (at >= vectors) break;
      v[k][1].x ^= v[k][0].x;
      v[k][2].x ^= v[k][0].y;
      weights[at] = v[k][1];
      first[at] = v[k][2];
      if (states == 2) {
        v[k][3].x ^= v[k][0].z;
        second[at] = v[k][3];
      }
    }
  }
}

/// Numbers of a type around 1, one in `rare` above 4, from a counter.
__global__ void fillKernel(unsigned char* to, std::size_t elements, int dtype, unsigned rare) {
  const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < elements; i += step) {
    unsigned hash = static_cast<unsigned>(i * 2654435761u) ^ static_cast<unsigned>(i >> 13);
    hash ^= hash >> 15;
    const bool large = rare != 0 && hash % rare == 0;
    const unsigned sign = hash & 0x80000000u, fraction = hash & 0x3fffffu;
    const unsigned bits = sign | (large ? 0x40a00000u : 0x3f000000u) | fraction;  // 5 to 8, or 0.5 to 0.75
    switch (dtype) {
      case 0: reinterpret_cast<double*>(to)[i] = __uint_as_float(bits); break;
      case 1: reinterpret_cast<unsigned*>(to)[i] = bits; break;
      case 2: {
        const unsigned half = (bits >> 16 & 0x8000u) | ((bits & 0x7fffffffu) - 0x38000000u) >> 13;
        reinterpret_cast<unsigned short*>(to)[i] = static_cast<unsigned short>(half);
        break;
      }
      default: reinterpret_cast<unsigned short*>(to)[i] = static_cast<unsigned short>(bits >> 16);
    }
  }
}

// ---- timing --------------------------------------------------------------------------------------------------------

struct Options {
  std::FILE* out = nullptr;
  bool quick = false;
  double seconds = 300;
  std::string label = "default", device, shape;
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();

  bool wants(const std::string& name) const {
    if (!shape.empty() && shape != name) return false;
    if (elapsed() <= seconds) return true;
    std::printf("left out for want of time: %s\n", name.c_str());
    return false;
  }
  double elapsed() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); }
};

struct Times {
  double least, median;  ///< microseconds
  double host;           ///< of the calls, median
};

/// Rounds of warm-up, then of timing, each between two events; what is done before each round is not timed.
Times timed(
    const Options& options, const std::function<void()>& work, const std::function<void()>& before = [] {}) {
  const int warm = options.quick ? 2 : 5, rounds = options.quick ? 5 : 20;
  cudaEvent_t from, to;
  check(cudaEventCreate(&from), "cudaEventCreate");
  check(cudaEventCreate(&to), "cudaEventCreate");
  std::vector<double> device, host;
  for (int i = 0; i < warm + rounds; ++i) {
    before();
    check(cudaEventRecord(from), "cudaEventRecord");
    const auto called = std::chrono::steady_clock::now();
    work();
    const auto returned = std::chrono::steady_clock::now();
    check(cudaEventRecord(to), "cudaEventRecord");
    check(cudaEventSynchronize(to), "cudaEventSynchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, from, to), "cudaEventElapsedTime");
    if (i < warm) continue;
    device.push_back(milliseconds * 1e3);
    host.push_back(std::chrono::duration<double, std::micro>(returned - called).count());
  }
  cudaEventDestroy(from);
  cudaEventDestroy(to);
  std::sort(device.begin(), device.end());
  std::sort(host.begin(), host.end());
  return {device.front(), device[device.size() / 2], host[host.size() / 2]};
}

/// What the device takes to read so many bytes.
Times timedRead(const Options& options, const uint4* from, std::size_t vectors) {
  unsigned* sink = nullptr;
  check(cudaMalloc(reinterpret_cast<void**>(&sink), 4), "cudaMalloc");
  const Times read = timed(options, [&] { readKernel<<<132 * 8, 256>>>(from, vectors, sink); });
  cudaFree(sink);
  return read;
}

/// What it takes to read and write them. Done twice: an even number of flips leaves them as they were.
Times timedFlip(const Options& options, uint4* at, std::size_t vectors) {
  const auto flip = [&] { flipKernel<<<132 * 8, 256>>>(at, vectors); };
  const Times times = timed(options, flip);
  (void)timed(options, flip);
  return times;
}

void report(const Options& options, const std::string& what, const std::string& shape, const std::string& type,
            double bytes, const Times& times, double limit) {
  const double rate = bytes / times.median * 1e-3;  // GB/s
  std::fprintf(options.out,
               "{\"device\": \"%s\", \"label\": \"%s\", \"what\": \"%s\", \"shape\": \"%s\", \"type\": \"%s\", "
               "\"bytes\": %.0f, \"least_us\": %.3f, "
               "\"median_us\": %.3f, \"host_us\": %.3f, \"gb_per_s\": %.1f, \"of_limit\": %.4f}\n",
               options.device.c_str(), options.label.c_str(), what.c_str(), shape.c_str(), type.c_str(), bytes,
               times.least, times.median, times.host, rate, limit > 0 ? limit / times.median : 0.0);
  std::fflush(options.out);
  std::printf("%-10s %-22s %-18s %-9s %10.1f us (least %.1f, host %.1f)  %7.0f GB/s  %.3f of the limit\n",
              options.label.c_str(), what.c_str(), shape.c_str(), type.c_str(), times.median, times.least, times.host,
              rate, limit > 0 ? limit / times.median : 0.0);
  std::fflush(stdout);
}

// ---- gradients -----------------------------------------------------------------------------------------------------

struct Tensor {
  DType dtype;
  std::int64_t elements;
  std::int64_t offset = 0;  ///< elements between an aligned address and the first
};

/// Ways to launch a clip's kernels, by the environment variable that a plan looks for when it is made.
struct Way {
  const char* name;
  const char* variable;
  const char* value;

  void ask() const {
    if (variable != nullptr) setenv(variable, value, 1);
  }
  void forget() const {
    if (variable != nullptr) unsetenv(variable);
  }
};
constexpr Way kWays[] = {{"", nullptr, nullptr},
                         {", one after another", "GRADCLIP_CUDA_DEPENDENT_LAUNCH", "0"},
                         {", one launch", "GRADCLIP_CUDA_ONE_LAUNCH", "1"}};
constexpr std::size_t kWayCount = sizeof kWays / sizeof *kWays, kOneLaunch = 2;

/// Tensors in one allocation, each aligned to 256 bytes but for its offset, and a plan of them for every way.
class Gradients {
 public:
  Gradients(const std::vector<Tensor>& tensors, unsigned rare, bool zero = false) {
    std::int64_t tiles = 0;
    for (const Tensor& tensor : tensors) {
      const std::int64_t size = gradclip::elementBytes(tensor.dtype);
      table_.push_back({static_cast<std::int64_t>(bytes_) + tensor.offset * size, 0, tensor.elements, tiles,
                        static_cast<std::int32_t>(table_.size()), tensor.dtype});
      const std::int64_t tile = gradclip::tileElements(tensor.dtype);
      tiles += (tensor.elements + tile - 1) / tile;
      moved += static_cast<double>(tensor.elements * size);
      bytes_ += static_cast<std::size_t>((tensor.elements + tensor.offset) * size + 255) / 256 * 256;
    }
    check(cudaMalloc(&memory_, bytes_), "cudaMalloc");
    check(cudaMemset(memory_, 0, bytes_), "cudaMemset");
    for (Piece& piece : table_) {
      piece.address += static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(memory_));
    }
    if (!zero) fill(rare);
    const auto count = static_cast<std::int32_t>(table_.size());
    for (std::size_t way = 0; way < kWayCount; ++way) {
      kWays[way].ask();
      check(CudaPlan::create(0, table_.data(), count, {count, count, 0}, &plans_[way]));
      kWays[way].forget();
    }
  }
  ~Gradients() {
    for (CudaPlan* plan : plans_) (void)CudaPlan::destroy(plan);
    cudaFree(memory_);
  }
  Gradients(const Gradients&) = delete;
  Gradients& operator=(const Gradients&) = delete;

  CudaPlan& plan(std::size_t way = 0) { return *plans_[way]; }

  void fill(unsigned rare) {
    for (const Piece& piece : table_) {
      if (piece.count == 0) continue;
      fillKernel<<<1024, 256>>>(reinterpret_cast<unsigned char*>(static_cast<std::uintptr_t>(piece.address)),
                                static_cast<std::size_t>(piece.count), gradclip::ordinal(piece.dtype), rare);
    }
    check(cudaDeviceSynchronize(), "fill");
  }

  /// Kernels of a clip by a plan: what goes into a graph.
  std::size_t kernels(std::size_t way) {
    cudaStream_t stream;
    cudaGraph_t graph;
    std::size_t count = 0;
    std::int32_t capture = 0;
    RuleNumbers rule;
    rule.limit.max = 1;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    check(plan(way).captureByNorm(static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(stream)), rule, &capture));
    check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
    check(cudaGraphGetNodes(graph, nullptr, &count), "cudaGraphGetNodes");
    plan(way).closeCapture(capture);
    check(cudaGraphDestroy(graph), "cudaGraphDestroy");
    check(cudaStreamDestroy(stream), "cudaStreamDestroy");
    return count;
  }
  uint4* vectors() { return static_cast<uint4*>(memory_); }
  std::size_t vectorCount() const { return bytes_ / 16; }

  double norm() {
    std::int64_t ticket = 0;
    check(plan().globalNorm(0, {NormKind::L2, 0}, &ticket));
    check(plan().synchronize());
    double value = 0;
    check(plan().norm({NormKind::L2, 0}, 1.0, 0, static_cast<std::int32_t>(table_.size()), &value));
    return value;
  }

  /// Gives every tensor the place of its neighbour, for tensors of one length and type.
  void rebind() {
    for (std::size_t i = 0; i + 1 < table_.size(); i += 2) std::swap(table_[i].address, table_[i + 1].address);
    check(plan().rebind(table_.data()));
  }

  double moved = 0;  ///< bytes of all gradients

 private:
  std::vector<Piece> table_;
  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
  CudaPlan* plans_[kWayCount] = {};
};

struct Shape {
  std::string name;
  std::vector<Tensor> tensors;
};

std::vector<Shape> shapesOf(DType dtype, bool quick) {
  const std::int64_t size = gradclip::elementBytes(dtype);
  std::vector<Shape> shapes = {{"1x40MB", {{dtype, (std::int64_t{40} << 20) / size}}},
                               {"1x16MB", {{dtype, (std::int64_t{16} << 20) / size}}},
                               {"1x4MB", {{dtype, (std::int64_t{4} << 20) / size}}},
                               {"1000x4", std::vector<Tensor>(1000, {dtype, 4})},
                               {"10000x100", std::vector<Tensor>(10000, {dtype, 100})}};
  if (quick) return shapes;
  shapes.push_back({"1x1GiB", {{dtype, (std::int64_t{1} << 30) / size}}});
  shapes.push_back({"1x1GiB-misaligned", {{dtype, (std::int64_t{1} << 30) / size - 8, 1}}});
  shapes.push_back({"beyond-2^31", {{dtype, (std::int64_t{1} << 31) + 12345}}});
  return shapes;
}

Shape mixed() {
  Shape shape{"500-mixed-540MB", {}};
  for (int i = 0; i < 500; ++i) {
    const DType dtype = i % 3 == 0 ? DType::Float32 : i % 3 == 1 ? DType::BFloat16 : DType::Float16;
    shape.tensors.push_back({dtype, 450000 - i * 37});
  }
  return shape;
}

RuleNumbers clipTo(double maxNorm) {
  RuleNumbers rule;
  rule.limit.max = maxNorm;
  return rule;
}

/// A rule that clips a little at each call: gradients that were clipped once stay as they are under the same threshold.
class Shrinking {
 public:
  explicit Shrinking(double maxNorm) : maxNorm_(maxNorm) {}

  RuleNumbers next() { return clipTo(maxNorm_ *= 0.999); }

 private:
  double maxNorm_;
};

// ---- histories -----------------------------------------------------------------------------------------------------

/// Gives a rule a history on the plan's device: a head, and the norms behind it.
RuleNumbers withHistory(CudaPlan& plan, RuleNumbers rule, const gradclip::HistoryHead& head,
                        const std::vector<double>& norms = {}) {
  std::vector<double> block(gradclip::kHistoryHead);
  std::memcpy(block.data(), &head, sizeof head);
  block.insert(block.end(), norms.begin(), norms.end());
  const auto bytes = static_cast<std::int64_t>(block.size() * sizeof(double));
  check(plan.createHistory(bytes, &rule.history));
  check(gradclip::cudaCopyToDevice(0, 0, rule.history, block.data(), bytes));
  return rule;
}

gradclip::HistoryHead headOf(HistoryForm form, int window, double a, double b) {
  gradclip::HistoryHead head{};
  head.form = static_cast<double>(form);
  head.window = window;
  head.a = a;
  head.b = b;
  head.steps = 100.0 * window;
  return head;
}

/// Of 0.999 at each clip: an average that keeps all of itself, and a limit below it.
RuleNumbers laggedRule(CudaPlan& plan) {
  gradclip::HistoryHead head = headOf(HistoryForm::Lagged, 1, 1.0, 0.0);
  head.first = 1.0;
  RuleNumbers rule = withHistory(plan, clipTo(0.999), head);
  rule.onePass = 1;
  return rule;
}

/// A full window of norms from half of one to twice that, as they came and in ascending order.
std::vector<double> fullWindow(int window, double norm) {
  std::vector<double> norms;
  for (int i = 0; i < window; ++i) {
    norms.push_back(norm * (0.5 + 1.5 * static_cast<double>(std::int64_t{i} * 7919 % window) / window));
  }
  std::vector<double> ascending = norms;
  std::sort(ascending.begin(), ascending.end());
  norms.insert(norms.end(), ascending.begin(), ascending.end());
  return norms;
}

/// Clips by rules that remember, none of which has a threshold below the norm.
void benchHistories(const Options& options, Gradients& gradients, const std::string& shape, const char* type,
                    double limit) {
  const double norm = gradients.norm(), none = HUGE_VAL;
  CudaPlan& plan = gradients.plan();
  const auto clip = [&](const char* kind, const RuleNumbers& rule) {
    std::int64_t ticket = 0;
    const Times times = timed(options, [&] { check(plan.clipByNorm(0, rule, {}, &ticket)); });
    report(options, std::string("clip, nothing to do, ") + kind, shape, type, gradients.moved, times, limit);
    check(plan.synchronize());
  };
  clip("percentile",
       withHistory(plan, clipTo(none), headOf(HistoryForm::Percentile, 10000, 9999.0, 0.0), fullWindow(10000, norm)));
  clip("autoClip",
       withHistory(plan, clipTo(none), headOf(HistoryForm::AutoClip, 4096, 1.0, 0.0), fullWindow(4096, norm)));
  gradclip::HistoryHead head = headOf(HistoryForm::ZClip, 25, 0.97, 2.5);
  head.first = norm;
  clip("zClip", withHistory(plan, clipTo(none), head, std::vector<double>(25, norm)));
}

/// The first plan's figure is the default; so many others stand beside it. `time` takes a plan.
template <class Time>
void reportWays(const Options& options, Gradients& gradients, std::size_t count, const char* what,
                const std::string& shape, const char* type, double bytes, double limit, const Time& time) {
  for (std::size_t way = 0; way < count; ++way) {
    report(options, what + std::string(kWays[way].name), shape, type, bytes, time(gradients.plan(way)), limit);
    check(gradients.plan(way).synchronize());
  }
}

void benchShape(const Options& options, const Shape& shape, const char* type) {
  if (!options.wants(shape.name)) return;
  Gradients gradients(shape.tensors, 100);
  const double bytes = gradients.moved;
  const Times read = timedRead(options, gradients.vectors(), gradients.vectorCount());
  const Times flip = timedFlip(options, gradients.vectors(), gradients.vectorCount());
  report(options, "read", shape.name, type, bytes, read, 0);
  report(options, "read and write", shape.name, type, 2 * bytes, flip, 0);
  std::int64_t ticket = 0;
  const double norm = gradients.norm(), both = read.median + flip.median;
  // Where the gradients do not fit, or a clip has nothing to apply, one launch is the default again, and left out.
  const std::size_t fitting = gradients.kernels(kOneLaunch) == 1 ? kWayCount : kOneLaunch;
  const auto ways = [&](std::size_t count, const char* what, double moved, double limit, const auto& time) {
    reportWays(options, gradients, count, what, shape.name, type, moved, limit, time);
  };
  const auto clipping = [&](const RuleNumbers& rule) {
    return [&options, &ticket, rule](CudaPlan& plan) {
      return timed(options, [&] { check(plan.clipByNorm(0, rule, {}, &ticket)); });
    };
  };
  ways(kOneLaunch, "norm", bytes, read.median, [&](CudaPlan& plan) {
    return timed(options, [&] { check(plan.globalNorm(0, {NormKind::L2, 0}, &ticket)); });
  });
  ways(fitting, "clip, nothing to do", bytes, read.median, clipping(clipTo(2 * norm)));
  RuleNumbers perTensor = clipTo(norm);
  perTensor.granularity = gradclip::Granularity::Segment;
  ways(fitting, "per tensor, nothing", bytes, read.median, clipping(perTensor));
  Shrinking shrinking(norm / 2);
  ways(fitting, "clip", 3 * bytes, both, [&](CudaPlan& plan) {
    return timed(options, [&] { check(plan.clipByNorm(0, shrinking.next(), {}, &ticket)); });
  });
  ways(fitting, "clip, laggedNorm", 2 * bytes, flip.median, [&](CudaPlan& plan) {
    const RuleNumbers rule = laggedRule(plan);
    return timed(options, [&] { check(plan.clipByNorm(0, rule, {}, &ticket)); });
  });
  if (shape.name == "1x4MB" && shape.tensors[0].dtype == DType::Float32) {
    benchHistories(options, gradients, shape.name, type, read.median);
  }
  CudaPlan& plan = gradients.plan();
  const Times decide = timed(options, [&] { check(plan.clipByNorm(0, clipTo(norm / 4), {false, false}, &ticket)); });
  report(options, "decide alone", shape.name, type, 0, decide, 0);
  check(plan.synchronize());

  // The elements that lie beyond the limits do so in the first round alone.
  RuleNumbers values;
  values.min = -4;
  values.max = 4;
  const auto clamps = [&](const char* what, const RuleNumbers& rule, double moved, double limit) {
    const Times times = timed(options, [&] { check(plan.clipByValue(0, rule, &ticket)); });
    report(options, what, shape.name, type, moved, times, limit);
    check(plan.synchronize());
  };
  clamps("clamp, nothing over", values, bytes, read.median);
  values.policy = gradclip::Policy::Zero;
  clamps("clamp, zero, nothing", values, bytes, read.median);
  values.policy = gradclip::Policy::Propagate;
  values.limit.inverseScale = 0.999;
  clamps("clamp, unscaling", values, 2 * bytes, flip.median);
}

/// Lengths of ResNet-50's parameters in their order.
std::vector<std::int64_t> resNet50() {
  std::vector<std::int64_t> lengths = {64 * 3 * 49, 64, 64};
  const int blocks[] = {3, 4, 6, 3};
  std::int64_t in = 64;
  for (int stage = 0; stage < 4; ++stage) {
    const std::int64_t width = std::int64_t{64} << stage, out = 4 * width;
    for (int block = 0; block < blocks[stage]; ++block) {
      for (std::int64_t length : {in * width, width, width, width * width * 9, width, width, width * out, out, out}) {
        lengths.push_back(length);
      }
      if (block == 0) {
        for (std::int64_t length : {in * out, out, out}) lengths.push_back(length);
      }
      in = out;
    }
  }
  lengths.push_back(2048 * 1000);
  lengths.push_back(1000);
  return lengths;
}

/// Weights with gradients and state, updated by clipped gradients, beside what the same bytes take.
void benchUpdate(const Options& options, const std::string& shape, const std::vector<std::int64_t>& lengths) {
  if (!options.wants(shape)) return;
  const auto count = static_cast<std::int32_t>(lengths.size());
  std::vector<Piece> table;
  std::int64_t bytes = 0, tiles = 0, elements = 0;
  const std::int64_t tile = gradclip::tileElements(DType::Float32);
  for (std::int32_t i = 0; i < 2 * count; ++i) {
    const std::int64_t length = lengths[static_cast<std::size_t>(i % count)];
    table.push_back({bytes, 0, length, tiles, i, DType::Float32});
    tiles += (length + tile - 1) / tile;
    bytes += (4 * length + 255) / 256 * 256;
    elements += i < count ? length : 0;
  }
  void* memory = nullptr;
  check(cudaMalloc(&memory, static_cast<std::size_t>(bytes)), "cudaMalloc");
  fillKernel<<<1024, 256>>>(static_cast<unsigned char*>(memory), static_cast<std::size_t>(bytes / 4), 1, 100);
  check(cudaDeviceSynchronize(), "fill");
  for (Piece& piece : table) {
    piece.address += static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(memory));
  }
  std::vector<std::int32_t> firstPiece;
  for (std::int32_t i = 0; i <= count; ++i) firstPiece.push_back(i);

  // The same bytes in four allocations of one length.
  const std::size_t vectors = static_cast<std::size_t>(elements) / 4;
  uint4* same[4];
  for (uint4*& one : same) {
    check(cudaMalloc(reinterpret_cast<void**>(&one), vectors * 16), "cudaMalloc");
    check(cudaMemset(one, 1, vectors * 16), "cudaMemset");
  }
  const double gradients = 4.0 * static_cast<double>(elements);
  const Times read = timedRead(options, same[0], vectors);
  for (UpdateForm form : {UpdateForm::Adam, UpdateForm::SgdMomentum}) {
    const bool adam = form == UpdateForm::Adam;
    const char* name = adam ? "AdamW" : "SGD with momentum";
    const double moved = (adam ? 7 : 5) * gradients;
    const Times traffic = timed(options, [&] {
      if (adam) updateTrafficKernel<2><<<132 * 8, 256>>>(same[0], same[1], same[2], same[3], vectors);
      else updateTrafficKernel<1><<<132 * 8, 256>>>(same[0], same[1], same[2], same[3], vectors);
    });
    report(options, std::string("bytes of ") + name, shape, "FLOAT32", moved, traffic, 0);
    const UpdateNumbers numbers = {static_cast<std::int32_t>(form), adam ? gradclip::kDecoupled : 0,
                                   1e-5, 0.01, 0.9, 0.0, 0.9, 0.999, 1e-8};
    for (std::size_t way = 0; way < kOneLaunch; ++way) {
      CudaPlan* plan = nullptr;
      kWays[way].ask();
      check(CudaPlan::create(0, table.data(), 2 * count, {2 * count, count, 0}, &plan));
      kWays[way].forget();
      check(plan->createUpdates({numbers.form, false, count, firstPiece.data()}));
      std::int64_t ticket = 0;
      RuleNumbers values;
      values.min = -4;
      values.max = 4;
      const std::string ways = kWays[way].name;
      const Times alone = timed(options, [&] { check(plan->stepByValue(0, values, numbers, &ticket)); });
      report(options, std::string("clamp + ") + name + ways, shape, "FLOAT32", moved, alone, traffic.median);
      const Times step = timed(options, [&] { check(plan->stepByNorm(0, clipTo(1), numbers, &ticket)); });
      report(options, std::string("clip + ") + name + ways, shape, "FLOAT32", moved + gradients, step,
             read.median + traffic.median);
      check(plan->synchronize());
      (void)CudaPlan::destroy(plan);
    }
  }
  for (uint4* one : same) cudaFree(one);
  cudaFree(memory);
}

/// A clamp changes what it clamps: each round has gradients filled anew. Its limit is to read them, and to write those
/// 32 bytes that have an element beyond the limits.
void benchClamp(const Options& options, DType dtype, const char* type) {
  const std::string name = options.quick ? "1x64MiB" : "1x512MiB";
  if (!options.wants(name)) return;
  RuleNumbers values;
  values.min = -4;
  values.max = 4;
  constexpr unsigned kRare = 100;
  const std::int64_t size = gradclip::elementBytes(dtype);
  Gradients gradients({{dtype, (std::int64_t{1} << (options.quick ? 26 : 29)) / size}}, kRare);
  const Times read = timedRead(options, gradients.vectors(), gradients.vectorCount());
  const Times flip = timedFlip(options, gradients.vectors(), gradients.vectorCount());
  std::int64_t ticket = 0;
  const Times clamp = timed(
      options, [&] { check(gradients.plan().clipByValue(0, values, &ticket)); }, [&] { gradients.fill(kRare); });
  const double touched = 1.0 - std::pow(1.0 - 1.0 / kRare, 32.0 / static_cast<double>(size));
  const double limit = read.median + touched * (flip.median - read.median);
  report(options, "clamp, 1 % over", name, type, gradients.moved, clamp, limit);
}

/// A matrix of 16 Mi floats by its rows, and by its columns, of each of which the elements lie a row apart.
void benchUnits(const Options& options) {
  const std::string shape = "8192x2048";
  if (options.quick || !options.wants(shape)) return;
  constexpr std::int64_t kRows = 8192, kColumns = 2048;
  for (bool columns : {false, true}) {
    Gradients matrix(std::vector<Tensor>(1, {DType::Float32, kRows * kColumns}), 100);
    const std::int64_t units = columns ? kColumns : kRows, elements = columns ? kRows : kColumns;
    const std::int64_t tile = gradclip::tileElements(DType::Float32), tiles = (elements + tile - 1) / tile;
    std::vector<Piece> table;
    for (std::int64_t unit = 0; unit < units; ++unit) {
      const std::int64_t first = reinterpret_cast<std::intptr_t>(matrix.vectors()) + 4 * unit * (columns ? 1 : kColumns);
      table.push_back({first, 0, elements, unit * tiles, static_cast<std::int32_t>(unit), DType::Float32,
                       columns ? 1 : 0, columns ? kColumns : 0});
    }
    const auto count = static_cast<std::int32_t>(units);
    CudaPlan* plan = nullptr;
    check(CudaPlan::create(0, table.data(), count, {count, count, 0}, &plan));
    const Times read = timedRead(options, matrix.vectors(), matrix.vectorCount());
    const Times flip = timedFlip(options, matrix.vectors(), matrix.vectorCount());
    const std::string what = columns ? "per column" : "per row";
    std::int64_t ticket = 0;
    RuleNumbers rule = clipTo(1e30);
    rule.granularity = gradclip::Granularity::Segment;
    const Times nothing = timed(options, [&] { check(plan->clipByNorm(0, rule, {}, &ticket)); });
    report(options, what + ", nothing", shape, "FLOAT32", matrix.moved, nothing, read.median);
    Shrinking shrinking(1);
    const Times clips = timed(options, [&] {
      rule.limit.max = shrinking.next().limit.max;
      check(plan->clipByNorm(0, rule, {}, &ticket));
    });
    report(options, what + ", clips", shape, "FLOAT32", 3 * matrix.moved, clips, read.median + flip.median);
    check(plan->synchronize());
    (void)CudaPlan::destroy(plan);
  }
}

void benchSpecial(const Options& options) {
  std::int64_t ticket = 0;
  {
    Gradients zeros({{DType::Float32, std::int64_t{1} << (options.quick ? 24 : 28)}}, 0, true);
    const Times times = timed(options, [&] { check(zeros.plan().globalNorm(0, {NormKind::L2, 0}, &ticket)); });
    report(options, "norm of zeros", "1", "FLOAT32", zeros.moved, times, 0);
  }
  Gradients many(std::vector<Tensor>(1000, {DType::Float32, 1000}), 0);
  Shrinking shrinking(1);
  const Times rebound = timed(options, [&] {
    many.rebind();
    check(many.plan().clipByNorm(0, shrinking.next(), {}, &ticket));
  });
  report(options, "rebind, all moved", "1000x1000", "FLOAT32", many.moved, rebound, 0);
  check(many.plan().synchronize());

  std::int64_t stream = 0, graph = 0;
  std::int32_t capture = 0;
  check(gradclip::cudaCreateStream(0, &stream));
  check(gradclip::cudaBeginCapture(0, stream));
  RuleNumbers unscaling = clipTo(1);
  unscaling.limit.inverseScale = 0.999;  // so that each replay writes
  check(many.plan().captureByNorm(stream, unscaling, &capture));
  check(gradclip::cudaFinishCapture(0, stream, &graph));
  const auto on = reinterpret_cast<cudaStream_t>(static_cast<std::uintptr_t>(stream));
  const Times replay = timed(options, [&] {
    check(gradclip::cudaLaunchGraph(0, graph, stream));
    check(cudaStreamSynchronize(on), "cudaStreamSynchronize");
  });
  report(options, "graph replay, waited", "1000x1000", "FLOAT32", many.moved, replay, 0);
  many.plan().closeCapture(capture);
  check(gradclip::cudaDestroyGraph(0, graph));
  check(gradclip::cudaDestroyStream(0, stream));
}

void usage() {
  std::puts("gradclip_bench OUT.jsonl [--quick] [--seconds N] [--label TEXT] [--shape NAME]\n"
            "Times clips on the first CUDA device and appends a line of JSON for each figure.\n"
            "  --quick      small gradients, few rounds\n"
            "  --seconds N  begins nothing more after so long (300)\n"
            "  --label TEXT which build this is\n"
            "  --shape NAME one of the shapes that a run prints, and no other");
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  const char* out = nullptr;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    if (argument == "--help" || argument == "-h") {
      usage();
      return 0;
    }
    if (argument == "--quick") options.quick = true;
    else if (argument == "--seconds" && i + 1 < count) options.seconds = std::atof(arguments[++i]);
    else if (argument == "--label" && i + 1 < count) options.label = arguments[++i];
    else if (argument == "--shape" && i + 1 < count) options.shape = arguments[++i];
    else if (argument[0] != '-' && out == nullptr) out = arguments[i];
    else {
      std::fprintf(stderr, "gradclip_bench: unknown argument %s\n", argument.c_str());
      return 2;
    }
  }
  if (out == nullptr) {
    usage();
    return 2;
  }
  char text[1024];
  if (!gradclip::cudaUsable(text, sizeof text)) {
    std::printf("gradclip: benchmark not run: %s\n", text);
    return 77;
  }
  options.out = std::fopen(out, "a");
  if (options.out == nullptr) {
    std::fprintf(stderr, "gradclip_bench: can't write %s\n", out);
    return 2;
  }
  check(cudaSetDevice(0), "cudaSetDevice");
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  options.device = properties.name;
  if (options.shape.empty()) benchSpecial(options);
  benchUnits(options);
  benchUpdate(options, "resnet50", resNet50());
  benchUpdate(options, "10000x100", std::vector<std::int64_t>(10000, 100));
  benchUpdate(options, "1x1GiB", {std::int64_t{1} << (options.quick ? 24 : 28)});
  const std::pair<DType, const char*> types[] = {{DType::Float32, "FLOAT32"},
                                                 {DType::BFloat16, "BFLOAT16"},
                                                 {DType::Float16, "FLOAT16"},
                                                 {DType::Float64, "FLOAT64"}};
  for (auto [dtype, type] : types) {
    benchClamp(options, dtype, type);
    for (const Shape& shape : shapesOf(dtype, options.quick)) benchShape(options, shape, type);
  }
  benchShape(options, mixed(), "mixed");
  std::fclose(options.out);
  return 0;
}
