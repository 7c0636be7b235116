// SPDX-License-Identifier: Apache-2.0
// Updates weights with clipped gradients: reads each gradient once more, with its weight and its state, and writes
// these; backwards, for what was measured last is still in the L2 cache. The last block counts the step.
#include <initializer_list>
#include <type_traits>

#include "kernels/changes.cuh"
#include "kernels/grids.hpp"
#include "kernels/launch.hpp"
#include "kernels/tiles.cuh"

namespace gradclip {

/// What a warp keeps of the decision.
struct Decided {
  bool perSegment, zeroesNonFinite;
};

/// What a block keeps. The numbers lie here because they are either parameters or, of a captured step, in the device's
/// memory: in registers they would make Adam's spill.
struct UpdateShared {
  UpdateNumbers numbers;
  ClampLimits limits;
  unsigned arrivedBefore;
};

// Named: nvcc makes the name of an unnamed one from the path of this file, and it would end up in the library.
inline namespace updating {

/// The type of the arithmetic, by the size of a weight.
template <int Size>
using ArithmeticOf = std::conditional_t<Size == 8, double, float>;

/// Elements of a lane that follow each other: 16 bytes of state.
template <class A>
constexpr int kEach = static_cast<int>(16 / sizeof(A));

template <UpdateForm Form>
constexpr int kStates = statesOf(Form);

/// So many elements as they are stored, by their size.
template <int Size>
struct Packed {
  static constexpr int kCount = kEach<ArithmeticOf<Size>>, kBytes = kCount * Size;
  std::uint32_t word[kBytes / 4];
};

template <int Size>
__device__ __forceinline__ Packed<Size> loadPacked(const Byte* p) {
  if constexpr (Packed<Size>::kBytes == 16) {
    const uint4 all = loadGlobal<uint4>(p);
    return {{all.x, all.y, all.z, all.w}};
  } else {
    const uint2 all = loadGlobal<uint2>(p);
    return {{all.x, all.y}};
  }
}

template <int Size>
__device__ __forceinline__ void storePacked(Byte* p, const Packed<Size>& v) {
  if constexpr (Packed<Size>::kBytes == 16) {
    storeGlobal<uint4>(p, uint4{v.word[0], v.word[1], v.word[2], v.word[3]});
  } else {
    storeGlobal<uint2>(p, uint2{v.word[0], v.word[1]});
  }
}

__device__ __forceinline__ float halfOf(std::int32_t dtype, std::uint32_t bits) {
  const auto half = static_cast<std::uint16_t>(bits);
  return static_cast<DType>(dtype) == DType::Float16 ? Element<Float16>::decode(half) : Element<BFloat16>::decode(half);
}

/// Of halves it is the type that says which.
template <int Size>
__device__ __forceinline__ ArithmeticOf<Size> elementOf(const Packed<Size>& v, int c, std::int32_t dtype) {
  if constexpr (Size == 8) {
    return bitCast<double>(static_cast<std::uint64_t>(v.word[2 * c + 1]) << 32 | v.word[2 * c]);
  } else if constexpr (Size == 4) {
    return bitCast<float>(v.word[c]);
  } else {
    return halfOf(dtype, v.word[c / 2] >> (c % 2 * 16));
  }
}

template <int Size>
__device__ __forceinline__ Packed<Size> packed(const ArithmeticOf<Size>* x, std::int32_t dtype) {
  Packed<Size> v;
  if constexpr (Size == 2) {
    GRADCLIP_UNROLL
    for (int i = 0; i < Packed<2>::kCount / 2; ++i) {
      const Pair pair = {x[2 * i], x[2 * i + 1]};
      v.word[i] = static_cast<DType>(dtype) == DType::Float16 ? wordOf<Float16>(pair) : wordOf<BFloat16>(pair);
    }
  } else {
    GRADCLIP_UNROLL
    for (int c = 0; c < Packed<Size>::kCount; ++c) {
      if constexpr (Size == 8) {
        const auto bits = bitCast<std::uint64_t>(x[c]);
        v.word[2 * c] = static_cast<std::uint32_t>(bits);
        v.word[2 * c + 1] = static_cast<std::uint32_t>(bits >> 32);
      } else {
        v.word[c] = bitCast<std::uint32_t>(x[c]);
      }
    }
  }
  return v;
}

/// What a warp works on: a tile of gradients, and where its weights and their state are.
struct UpdateTile {
  Byte *g, *p, *first, *second;
  Byte* rounded;  // 16-bit weights whose master weights are at p; else null
  int count;
  std::int32_t gradientType, weightType, roundedType;
};

/// The update's numbers, which for a captured step may have been set since.
__device__ __forceinline__ UpdateNumbers numbersOf(const UpdateParams& params) {
  if (params.capture.numbers == nullptr) return params.numbers;
  const CapturedUpdate now = loadStruct(&params.capture.numbers->update);
  return now.owner == params.capture.id ? now.numbers : params.numbers;
}

/// A tensor's numbers in this step.
__device__ __forceinline__ SegmentUpdate segmentUpdate(const UpdateNumbers& numbers, const TensorProgress& progress,
                                                       double coefficient, double min, double max) {
  SegmentUpdate s = {coefficient, min, max, numbers.learningRate, 1.0, progress.steps == 0 ? 1.0 : 0.0};
  if (static_cast<UpdateForm>(numbers.form) == UpdateForm::Adam) {
    s.stepSize = numbers.learningRate / (1.0 - progress.power1 * numbers.beta1);
    s.rootCorrection2 = sqrt(1.0 - progress.power2 * numbers.beta2);
  }
  return s;
}

/// One weight and its state; 1 if a limit changed the gradient.
template <UpdateForm Form, class A>
__device__ __forceinline__ unsigned updateOne(const UpdateStep<A>& u, A g, A& p, A& a, A& b) {
  g = u.clipped(g);
  const unsigned changed = u.clamp(g) ? 1u : 0u;
  if constexpr (Form == UpdateForm::Sgd) {
    u.sgd(g, p);
  } else if constexpr (Form == UpdateForm::SgdMomentum) {
    u.sgdMomentum(g, p, a);
  } else {
    u.adam(g, p, a, b);
  }
  return changed;
}

// ---- whole tiles ---------------------------------------------------------------------------------------------------

/// Rows that are loaded before the first is used: as many as 64 registers hold, or half as many where some spilled, of
/// momentum's halves, of doubles and of Adam's master weights, and from 10.0 on of all of Adam and of plain SGD's
/// halves.
constexpr int atOnce(UpdateForm form, int wordsOfRow, bool isDouble, bool rounds) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
  constexpr bool kFewer = true;
#else
  constexpr bool kFewer = false;
#endif
  if (form == UpdateForm::Adam) return isDouble || rounds || kFewer ? 2 : 4;
  if (form == UpdateForm::SgdMomentum) return 4;
  return wordsOfRow <= 4 && !kFewer ? 16 : isDouble ? 4 : 8;
}

/// Rows of a warp's elements: a lane's of each lie beside those of the next lane. With Rounds the weights are master
/// weights, from which 16-bit weights are rounded.
template <UpdateForm Form, int G, int P, bool Rounds>
struct Rows {
  using A = ArithmeticOf<P>;
  static constexpr int kState = static_cast<int>(sizeof(A));
  static constexpr int kOfTile = static_cast<int>(kTileBytes) / (static_cast<int>(kWarp) * Packed<G>::kBytes);
  static constexpr int kWords = (Packed<G>::kBytes + Packed<P>::kBytes + 16 * kStates<Form>) / 4;
  static constexpr int kAtOnce = atOnce(Form, kWords, kState == 8, Rounds);
  static_assert(kOfTile % kAtOnce == 0, "tiles have whole groups of rows");

  Packed<G> g[kAtOnce];
  Packed<P> p[kAtOnce];
  Packed<kState> first[kAtOnce], second[kAtOnce];

  template <int Size>
  static __device__ __forceinline__ Byte* at(Byte* start, int row) {
    return start + (row * static_cast<int>(kWarp) + static_cast<int>(laneIndex())) * Packed<Size>::kBytes;
  }

  __device__ __forceinline__ void load(const UpdateTile& tile, int row) {
    GRADCLIP_UNROLL
    for (int k = 0; k < kAtOnce; ++k) {
      g[k] = loadPacked<G>(at<G>(tile.g, row + k));
      p[k] = loadPacked<P>(at<P>(tile.p, row + k));
      if constexpr (kStates < Form >> 0) first[k] = loadPacked<kState>(at<kState>(tile.first, row + k));
      if constexpr (kStates < Form >> 1) second[k] = loadPacked<kState>(at<kState>(tile.second, row + k));
    }
    __syncwarp(kAllLanes);  // or the compiler puts loads off until registers are free
  }

  __device__ __forceinline__ unsigned update(const UpdateStep<A>& u, const UpdateTile& tile, int row, bool zeroes) {
    unsigned changed = 0;
    GRADCLIP_UNROLL
    for (int k = 0; k < kAtOnce; ++k) {
      A w[kEach<A>], a[kEach<A>], b[kEach<A>];
      GRADCLIP_UNROLL
      for (int c = 0; c < kEach<A>; ++c) {
        w[c] = elementOf<P>(p[k], c, tile.weightType);
        if constexpr (kStates < Form >> 0) a[c] = elementOf<kState>(first[k], c, 0);
        if constexpr (kStates < Form >> 1) b[c] = elementOf<kState>(second[k], c, 0);
        changed += updateOne<Form, A>(u, elementOf<G>(g[k], c, tile.gradientType), w[c], a[c], b[c]);
      }
      storePacked<P>(at<P>(tile.p, row + k), packed<P>(w, tile.weightType));
      if constexpr (Rounds) storePacked<2>(at<2>(tile.rounded, row + k), packed<2>(w, tile.roundedType));
      if constexpr (kStates < Form >> 0) storePacked<kState>(at<kState>(tile.first, row + k), packed<kState>(a, 0));
      if constexpr (kStates < Form >> 1) storePacked<kState>(at<kState>(tile.second, row + k), packed<kState>(b, 0));
      if (zeroes) storePacked<G>(at<G>(tile.g, row + k), Packed<G>{});
    }
    return changed;
  }
};

/// A tensor's numbers are waited for once the first rows are on their way.
template <UpdateForm Form, int G, int P, bool Rounds>
__device__ __forceinline__ unsigned updateWhole(const UpdateTile& tile, const UpdateNumbers& numbers,
                                                const TensorProgress& progress, double coefficient, double min,
                                                double max) {
  using Each = Rows<Form, G, P, Rounds>;
  Each rows;
  rows.load(tile, 0);
  UpdateStep<typename Each::A> u(numbers, segmentUpdate(numbers, progress, coefficient, min, max));
  u.exact = 1.0;  // a coefficient that needs doubles is not for whole tiles: no code for it
  const bool zeroes = (numbers.flags & kZeroGradients) != 0;
  unsigned changed = rows.update(u, tile, 0, zeroes);
#if defined(__CUDA_ARCH__)
#pragma unroll 1
#endif
  for (int row = Each::kAtOnce; row < Each::kOfTile; row += Each::kAtOnce) {
    rows.load(tile, row);
    changed += rows.update(u, tile, row, zeroes);
  }
  return changed;
}

// ---- any tile ------------------------------------------------------------------------------------------------------

template <class A>
using RawOf = std::conditional_t<sizeof(A) == 8, std::uint64_t, std::uint32_t>;

template <class A>
__device__ __forceinline__ RawOf<A> loadRaw(const Byte* p, int i, std::int32_t dtype) {
  if constexpr (sizeof(A) == 8) {
    return loadGlobal<std::uint64_t>(p + 8 * i);
  } else {
    if (static_cast<DType>(dtype) == DType::Float32) return loadGlobal<std::uint32_t>(p + 4 * i);
    return loadGlobal<std::uint16_t>(p + 2 * i);
  }
}

template <class A>
__device__ __forceinline__ A decodeRaw(RawOf<A> bits, std::int32_t dtype) {
  if constexpr (sizeof(A) == 8) {
    return bitCast<double>(bits);
  } else {
    return static_cast<DType>(dtype) == DType::Float32 ? bitCast<float>(bits) : halfOf(dtype, bits);
  }
}

template <class A>
__device__ __forceinline__ void storeRaw(Byte* p, int i, std::int32_t dtype, A value) {
  if constexpr (sizeof(A) == 8) {
    storeGlobal<double>(p + 8 * i, value);
  } else {
    const auto type = static_cast<DType>(dtype);
    if (type == DType::Float32) return storeGlobal<float>(p + 4 * i, value);
    storeGlobal<std::uint16_t>(
        p + 2 * i, type == DType::Float16 ? Element<Float16>::encode(value) : Element<BFloat16>::encode(value));
  }
}

/// Elements that a lane has in flight: with four of Adam's some spill.
template <UpdateForm Form>
constexpr int kAnyOf = Form == UpdateForm::Adam ? 2 : 4;

/// Any tile, element by element: what is short, or not aligned, or has elements to be zeroed, or a coefficient that
/// needs doubles, or whose master weights are made in this step. Out of line: whole tiles shall not pay for it in
/// registers.
template <UpdateForm Form, class A>
GRADCLIP_NOINLINE __device__ Changes updateAny(UpdateTile tile, UpdateNumbers numbers, SegmentUpdate segment,
                                               bool zeroesNonFinite) {
  constexpr int kStep = static_cast<int>(kWarp), kAny = kAnyOf<Form>;
  constexpr std::int32_t kStateType = static_cast<std::int32_t>(sizeof(A) == 8 ? DType::Float64 : DType::Float32);
  const UpdateStep<A> u(numbers, segment);
  const bool zeroes = (numbers.flags & kZeroGradients) != 0;
  const bool makesMaster = tile.rounded != nullptr && u.first;
  const Byte* const weights = makesMaster ? tile.rounded : tile.p;
  const std::int32_t weightType = makesMaster ? tile.roundedType : tile.weightType;
  Changes changes = {0, 0};
  for (int from = static_cast<int>(laneIndex()); from < tile.count; from += kAny * kStep) {
    RawOf<A> g[kAny], p[kAny], first[kAny], second[kAny];
    GRADCLIP_UNROLL
    for (int k = 0; k < kAny; ++k) {
      const int i = from + k * kStep;
      g[k] = p[k] = first[k] = second[k] = 0;
      if (i >= tile.count) continue;
      g[k] = loadRaw<A>(tile.g, i, tile.gradientType);
      p[k] = loadRaw<A>(weights, i, weightType);
      if constexpr (kStates < Form >> 0) first[k] = loadRaw<A>(tile.first, i, kStateType);
      if constexpr (kStates < Form >> 1) second[k] = loadRaw<A>(tile.second, i, kStateType);
    }
    GRADCLIP_UNROLL
    for (int k = 0; k < kAny; ++k) {
      const int i = from + k * kStep;
      if (i >= tile.count) continue;
      A x = decodeRaw<A>(g[k], tile.gradientType), w = decodeRaw<A>(p[k], weightType);
      A a = bitCast<A>(first[k]), b = bitCast<A>(second[k]);
      const bool bad = zeroesNonFinite && !(x - x == A(0));
      if (bad) x = A(0);
      changes.zeroed |= bad ? 1u : 0u;
      changes.elements += updateOne<Form, A>(u, x, w, a, b);
      storeRaw<A>(tile.p, i, tile.weightType, w);
      if constexpr (sizeof(A) == 4) {
        if (tile.rounded != nullptr) storeRaw<A>(tile.rounded, i, tile.roundedType, w);
      }
      if constexpr (kStates < Form >> 0) storeRaw<A>(tile.first, i, kStateType, a);
      if constexpr (kStates < Form >> 1) storeRaw<A>(tile.second, i, kStateType, b);
      if (zeroes || bad) storeRaw<A>(tile.g, i, tile.gradientType, A(0));
    }
  }
  return changes;
}

// ---- tiles ---------------------------------------------------------------------------------------------------------

__device__ __forceinline__ int sizeOf(std::int32_t dtype) {
  const auto type = static_cast<DType>(dtype);
  return type == DType::Float64 ? 8 : type == DType::Float32 ? 4 : 2;
}

/// Where a tile and what belongs to it lie; no elements where gradient or weights are absent.
__device__ __forceinline__ UpdateTile tileOf(const UpdateParams& params, std::uint32_t number, const DevicePiece& piece,
                                             const DevicePiece& weights, const UpdatePiece& own) {
  const int size = sizeOf(piece.dtype), weightSize = sizeOf(weights.dtype), stateSize = weightSize == 8 ? 8 : 4;
  const std::uint64_t bytes = bytesBefore(piece, number), before = bytes / static_cast<unsigned>(size);
  const bool fits = (size == 8) == (weightSize == 8) && weights.bytes > 0 && bytes < piece.bytes;
  const std::uint64_t left = fits ? piece.bytes - bytes : 0;
  const auto count = static_cast<int>((left < kTileBytes ? left : kTileBytes) / static_cast<unsigned>(size));
  const std::uint64_t state = own.state + before * static_cast<unsigned>(stateSize);
  Byte* const bound = bytesAt(weights.address + before * static_cast<unsigned>(weightSize));
  const bool hasMaster = params.updates.master != 0 && weightSize == 2;
  return {bytesAt(piece.address + bytes),
          hasMaster ? bytesAt(params.updates.master + state) : bound,
          bytesAt(params.updates.slots[0] + state),
          bytesAt(params.updates.slots[1] + state),
          hasMaster ? bound : nullptr,
          count,
          piece.dtype,
          hasMaster ? static_cast<std::int32_t>(DType::Float32) : weights.dtype,
          weights.dtype};
}

/// Whether a tile is whole, and a lane's elements lie at multiples of the bytes that are moved at once.
__device__ __forceinline__ bool isWhole(const UpdateTile& tile) {
  const int size = sizeOf(tile.gradientType);
  const auto apart = [](const Byte* p, int element) {
    return static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(p) & (element == 2 ? 7u : 15u));
  };
  return tile.count * size == static_cast<int>(kTileBytes) &&
         (apart(tile.g, size) | apart(tile.p, sizeOf(tile.weightType)) | apart(tile.first, 4) |
          apart(tile.rounded, 2)) == 0;
}

/// What becomes of a segment's gradients.
struct Clip {
  double coefficient, min, max;
};

template <class A>
__device__ __forceinline__ Clip clipOf(const UpdateParams& params, const UpdateShared& shared, const Decided& decided,
                                       std::uint32_t segment) {
  const double infinite = bitCast<double>(Element<double>::Bits{Element<double>::kInfinity});
  if (!params.clamps) {
    // One of all gradients is read anew for each tile, too: kept, it would take registers that elements need.
    const double* const at = decided.perSegment ? params.coefficients + segment : &params.decision->coefficient;
    return {loadGlobal<double>(at), -infinite, infinite};
  }
  const ClampLimits limits = limitsOf(params.parts, segment, shared.limits);
  return {limits.inverseScale, static_cast<double>(limitIn<A>(limits.min)),
          static_cast<double>(limitIn<A>(limits.max))};
}

template <UpdateForm Form, class A>
__device__ __forceinline__ Changes updateTile(const UpdateParams& params, const UpdateShared& shared,
                                              const Decided& decided, const UpdateTile& tile, std::uint32_t segment,
                                              std::uint32_t tensor) {
  const TensorProgress progress = loadStruct(params.updates.progress + tensor);
  const Clip clip = clipOf<A>(params, shared, decided, segment);
  const UpdateNumbers& n = shared.numbers;
  const bool makesMaster = tile.rounded != nullptr && progress.steps == 0;
  if (decided.zeroesNonFinite || (sizeof(A) == 4 && needsDouble(clip.coefficient)) || makesMaster || !isWhole(tile)) {
    const SegmentUpdate numbers = segmentUpdate(n, progress, clip.coefficient, clip.min, clip.max);
    return updateAny<Form, A>(tile, n, numbers, decided.zeroesNonFinite);
  }
  const auto whole = [&](auto g, auto p, auto rounds) {
    return Changes{updateWhole<Form, decltype(g)::value, decltype(p)::value, decltype(rounds)::value>(
                       tile, n, progress, clip.coefficient, clip.min, clip.max),
                   0};
  };
  constexpr std::integral_constant<int, 8> kDouble{};
  constexpr std::integral_constant<int, 4> kSingle{};
  constexpr std::integral_constant<int, 2> kHalf{};
  if constexpr (sizeof(A) == 8) {
    return whole(kDouble, kDouble, std::false_type());
  } else {
    const bool single = sizeOf(tile.weightType) == 4;
    const auto withWeights = [&](auto g) {
      if (tile.rounded != nullptr) return whole(g, kSingle, std::true_type());
      return single ? whole(g, kSingle, std::false_type()) : whole(g, kHalf, std::false_type());
    };
    return sizeOf(tile.gradientType) == 4 ? withWeights(kSingle) : withWeights(kHalf);
  }
}

/// Counts the step of each tensor that is present, whether it has elements or not. By all threads of the last block,
/// each of which waits for several tensors at once.
__device__ inline void countStep(const UpdateParams& params, const UpdateNumbers& numbers) {
  constexpr int kAtOnce = 4;
  const UpdateTable& updates = params.updates;
  for (std::uint32_t from = threadIdx.x; from < updates.tensors; from += kAtOnce * blockDim.x) {
    // Each loop's loads are independent of each other.
    const auto isThere = [&](int k) { return from + k * blockDim.x < updates.tensors; };
    std::uint32_t first[kAtOnce] = {};
    GRADCLIP_UNROLL
    for (int k = 0; k < kAtOnce; ++k) {
      if (isThere(k)) first[k] = loadGlobal<std::uint32_t>(updates.firstPiece + from + k * blockDim.x);
    }
    bool present[kAtOnce] = {};
    GRADCLIP_UNROLL
    for (int k = 0; k < kAtOnce; ++k) {
      if (isThere(k)) present[k] = loadGlobal<std::uint64_t>(&params.tiles.pieces[first[k]].address) != 0;
    }
    TensorProgress progress[kAtOnce];
    GRADCLIP_UNROLL
    for (int k = 0; k < kAtOnce; ++k) {
      if (present[k]) progress[k] = loadStruct(updates.progress + from + k * blockDim.x);
    }
    GRADCLIP_UNROLL
    for (int k = 0; k < kAtOnce; ++k) {
      if (!present[k]) continue;
      ++progress[k].steps;
      if (static_cast<UpdateForm>(numbers.form) == UpdateForm::Adam) {
        progress[k].power1 *= numbers.beta1;
        progress[k].power2 *= numbers.beta2;
      }
      storeStruct(updates.progress + from + k * blockDim.x, progress[k]);
    }
  }
}

}  // namespace updating

template <UpdateForm Form>
__global__ void __launch_bounds__(kBlockThreads, 2) updateKernel(const UpdateParams params) {
  awaitKernelBefore();
  // As scale does.
  if (!params.clamps && blockIdx.x == gridDim.x - 1 && threadIdx.x == blockDim.x - 1)
    passOn(params.result, params.slot);
  Decision decision = {};
  if (params.decision != nullptr) decision = loadStruct(params.decision);
  if (decision.mode == Mode::Untouched) return;
  UpdateShared& shared = *sharedMemory<UpdateShared>();
  if (threadIdx.x == 0) {
    shared.numbers = numbersOf(params);
    shared.limits = limitsNow(params.capture, params.limits);
  }
  __syncthreads();
  const Decided decided = {decision.mode != Mode::Global,
                           params.clamps ? params.limits.zeroNonFinite : decision.zero != 0};
  Changes changes = {0, 0};
  forEachTileNumber(
      params.tiles, params.tileCount, [&](std::uint32_t i) { return params.tileCount - 1 - i; },
      [&](std::uint32_t number, std::uint32_t i) {
        const DevicePiece piece = loadStruct(params.tiles.pieces + i);
        const DevicePiece weights = loadStruct(params.tiles.pieces + i + params.weights);
        const UpdatePiece own = loadStruct(params.updates.pieces + i);
        const UpdateTile tile = tileOf(params, number, piece, weights, own);
        if (tile.count == 0) return;
        const Changes more = tile.weightType == static_cast<std::int32_t>(DType::Float64)
                                 ? updateTile<Form, double>(params, shared, decided, tile, i, own.tensor)
                                 : updateTile<Form, float>(params, shared, decided, tile, i, own.tensor);
        changes.elements += more.elements;
        changes.zeroed |= more.zeroed;
      });
  if (params.clamps) countChanges(params.control, changes);
  if (!lastBlock(params.control, &shared.arrivedBefore)) return;
  countStep(params, shared.numbers);
  if (params.clamps && threadIdx.x == 0)
    publishChanges(params.control, params.slot, ticketOf(params.ticket, params.capture));
}

namespace {

using Kernel = void (*)(UpdateParams);

Kernel kernelOf(UpdateForm form) {
  switch (form) {
    case UpdateForm::Sgd:
      return updateKernel<UpdateForm::Sgd>;
    case UpdateForm::SgdMomentum:
      return updateKernel<UpdateForm::SgdMomentum>;
    case UpdateForm::Adam:
      return updateKernel<UpdateForm::Adam>;
  }
  return nullptr;
}

}  // namespace

cudaError_t findUpdateGrids(int device, Grids* grids) {
  for (UpdateForm form : {UpdateForm::Sgd, UpdateForm::SgdMomentum, UpdateForm::Adam}) {
    const cudaError_t error = residentBlocks(device, kernelOf(form), &grids->update[static_cast<int>(form)]);
    if (error != cudaSuccess) return error;
  }
  return canFollow(updateKernel<UpdateForm::Sgd>, &grids->follow);
}

cudaError_t enqueueUpdate(const Grids& grids, cudaStream_t stream, const UpdateParams& params, bool behind) {
  const auto form = static_cast<UpdateForm>(params.numbers.form);
  const Kernel kernel = kernelOf(form);
  if (kernel == nullptr) return cudaErrorInvalidValue;
  const unsigned blocks = blocksFor(params.tileCount, grids.update[static_cast<int>(form)]);
  return launch(kernel, blocks, kBlockThreads, sizeof(UpdateShared), stream, params, behind ? How::Behind : How::Alone);
}

}  // namespace gradclip
