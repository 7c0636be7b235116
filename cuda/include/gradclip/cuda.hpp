// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "gradclip/norm.hpp"
#include "gradclip/piece.hpp"

namespace gradclip {

/// How a call went. Nothing here throws.
struct [[nodiscard]] CudaStatus {
  int code = 0;               ///< a cudaError_t
  const char* call = "";      ///< the CUDA function that reported it
  std::int32_t piece = -1;    ///< the piece that can't be bound, and why
  const char* why = nullptr;

  bool ok() const { return code == 0 && piece < 0; }

  /// The device is lost to this process: every later call fails likewise.
  bool fatal() const;
};

/// The name and the words that CUDA has for a code.
const char* cudaErrorNameOf(int code);
const char* cudaErrorTextOf(int code);

// ---- devices -------------------------------------------------------------------------------------------------------

/// Writes why no device can be used, or nothing; returns whether one can.
bool cudaUsable(char* reason, std::size_t bytes);

/// 0 where there is no driver.
int cudaDevices();

/// Writes lines key=value.
CudaStatus cudaDescribe(int device, char* text, std::size_t bytes);

int cudaCurrentDevice();

/// The device whose memory an address lies in, or -1; fails where the device is lost, which knows of no address any
/// more.
CudaStatus cudaDeviceOf(std::int64_t address, int* device);

CudaStatus cudaFreeMemory(int device, std::int64_t* bytes);

// ---- memory and streams; a stream is its handle, 0 the legacy default stream
// -------------------------------------------

/// Zeroed.
CudaStatus cudaAllocate(int device, std::int64_t bytes, std::int64_t* address);
CudaStatus cudaRelease(int device, std::int64_t address);

/// Complete on return, ordered after the stream's earlier work.
CudaStatus cudaCopyToDevice(int device, std::int64_t stream, std::int64_t to, const void* from, std::int64_t bytes);
CudaStatus cudaCopyToHost(int device, std::int64_t stream, void* to, std::int64_t from, std::int64_t bytes);

CudaStatus cudaCreateStream(int device, std::int64_t* stream);
CudaStatus cudaDestroyStream(int device, std::int64_t stream);
CudaStatus cudaSynchronizeStream(int device, std::int64_t stream);

// ---- graphs
// ----------------------------------------------------------------------------------------------------------

CudaStatus cudaBeginCapture(int device, std::int64_t stream);
CudaStatus cudaFinishCapture(int device, std::int64_t stream, std::int64_t* graph);
CudaStatus cudaLaunchGraph(int device, std::int64_t graph, std::int64_t stream);
CudaStatus cudaDestroyGraph(int device, std::int64_t graph);

// ---- clipping ------------------------------------------------------------------------------------------------------

/// What becomes of gradients with a NaN or an infinity; the ordinals are those of dev.gradclip.NonFinitePolicy.
enum class Policy : std::int32_t { Propagate = 0, Error = 1, Skip = 2, Zero = 3 };

struct NormOf {
  NormKind kind;
  double p;  ///< of Power alone
};

/// How a norm becomes a coefficient; the ordinals are those of dev.gradclip.NormRule.Form.
enum class Form : std::int32_t { Clip = 0, Average = 1, Rms = 2, Normalize = 3, Adaptive = 4 };

/// What stands in for the formula at a norm that is not finite; the ordinals are those of
/// dev.gradclip.internal.rule.NormLimit.AtNonFinite.
enum class AtNonFinite : std::int32_t { Formula = 0, NaN = 1, Comparison = 2 };

/// The numbers of one norm rule: dev.gradclip.internal.rule.NormLimit.
struct NormLimit {
  Form form = Form::Clip;
  AtNonFinite atNonFinite = AtNonFinite::Formula;
  double max = 0.0;
  double length = 0.0;        ///< the norm afterwards, of Normalize
  double epsilon = 0.0;
  double inverseScale = 1.0;  ///< what gradients are multiplied by before all else
};

/// What has a norm and a coefficient of its own.
enum class Granularity : std::int32_t { All = 0, Segment = 1, Parts = 2 };

/// A run of segments that goes by one norm rule, or by limits: a part of dev.gradclip.internal.cuda.CudaRule.
struct Part {
  std::int32_t firstSegment, lastSegment;
  std::int32_t perSegment;  ///< 0: one norm for the run, or for each of its samples
  std::int32_t samples;     ///< above 1: so many norms, each of every samples-th segment
  NormLimit limit;
  double min, max;
  std::int64_t history = 0;  ///< device address of its block, of a part that has one norm; 0 where it has no history
};

static_assert(sizeof(NormLimit) == 40, "layout that Java writes");
static_assert(sizeof(Part) == 80, "layout that Java writes");

/// A rule, from Java to the kernels: the head of dev.gradclip.internal.cuda.CudaRule, which its parts follow.
struct RuleNumbers {
  Granularity granularity = Granularity::All;
  NormKind norm = NormKind::L2;
  Policy policy = Policy::Propagate;
  std::int32_t partCount = 0;  ///< of Granularity::Parts: in ascending order, all gradients covered
  double p = 0.0;              ///< of NormKind::Power alone
  NormLimit limit;
  double min = 0.0, max = 0.0;  ///< of a clamp
  std::int64_t history = 0;     ///< of Granularity::All: device address of its block; 0 where it has no history
  std::int64_t onePass = 0;     ///< 1: the coefficient is known before the norm, and no policy may undo the scaling

  const Part* parts() const { return reinterpret_cast<const Part*>(this + 1); }
};

static_assert(sizeof(RuleNumbers) == 96, "layout that Java writes");

/// A norm that is not measured: a value, or what lies at a device address when the clip runs.
struct GivenNorm {
  double value = 0.0;
  std::int64_t address = 0;    ///< 0: the value
  std::int32_t isFloat32 = 0;  ///< what lies there; else a float64
  std::int32_t isSquared = 0;  ///< its square lies there
};

/// How a plan's segments are used.
struct Counts {
  std::int32_t segments;
  std::int32_t gradients;  ///< the first so many; the rest are their weights, in the same order, or there are none
  std::int32_t parts;      ///< at most, of one rule
};

struct UpdateNumbers;

/// Which tensors updates are of: each has a run of the gradients' pieces.
struct Updated {
  std::int32_t form;  ///< an UpdateForm
  bool masterWeights;  ///< of 16-bit weights, in the slot after the form's
  std::int32_t tensors;
  const std::int32_t* firstPiece;  ///< of each tensor, and one more at the end
};

/// Tensors bound on one device. Calls enqueue and return; one thread at a time, one stream at a time: on another stream
/// a call waits there for the last one. After a fault every call returns it.
class CudaPlan {
 public:
  /// Copies the table, checks each piece's memory, uploads. `plan` is to be destroyed.
  static CudaStatus create(int device, const Piece* table, std::int32_t pieceCount, const Counts& counts,
                           CudaPlan** plan);

  /// Waits for what is in flight.
  static CudaStatus destroy(CudaPlan* plan);

  /// Same pieces, types and lengths, or absent: at address 0. A piece without elements is present at any other address.
  /// Nothing is bound where one piece can't be.
  CudaStatus rebind(const Piece* table);

  CudaStatus measure(std::int64_t stream, NormOf norm, std::int32_t fromSegment, std::int32_t toSegment);

  CudaStatus globalNorm(std::int64_t stream, NormOf norm, std::int64_t* ticket);

  /// Which phases a clip by norm goes through beside the decision.
  struct Steps {
    bool measures = true;  ///< else the norm is of what was measured last
    bool applies = true;   ///< else the coefficient is left to whoever reads it
  };
  CudaStatus clipByNorm(std::int64_t stream, const RuleNumbers& rule, Steps steps, std::int64_t* ticket);

  CudaStatus clipWithNorm(std::int64_t stream, const RuleNumbers& rule, const GivenNorm& norm, std::int64_t* ticket);

  CudaStatus clipByValue(std::int64_t stream, const RuleNumbers& rule, std::int64_t* ticket);

  /// Makes the state of updates, all 0, complete on return; once, of a plan whose weights have the gradients' lengths.
  CudaStatus createUpdates(const Updated& updated);

  /// Updates weights with gradients clipped by a norm rule, or by a value rule, and counts the step where one happens.
  CudaStatus stepByNorm(std::int64_t stream, const RuleNumbers& rule, const UpdateNumbers& numbers,
                        std::int64_t* ticket);
  CudaStatus stepByValue(std::int64_t stream, const RuleNumbers& rule, const UpdateNumbers& numbers,
                         std::int64_t* ticket);

  /// Device address of {int64 steps; double products of betas[2]; 8 bytes} for each tensor of updates.
  std::int64_t progressAddress() const;

  /// Device address of a tensor's state.
  std::int64_t updateStateAddress(std::int32_t slot, std::int32_t tensor) const;

  /// Makes zeroed room for the histories of a rule, complete on return; it is freed with the plan.
  CudaStatus createHistory(std::int64_t bytes, std::int64_t* address);

  // A captured clip: its work becomes part of the graph that the stream is captured into. Whoever replays the graph
  // orders that with this plan's other calls. Its numbers can be changed between replays, its pieces can't.
  CudaStatus captureByNorm(std::int64_t stream, const RuleNumbers& rule, std::int32_t* capture);
  CudaStatus captureWithNorm(std::int64_t stream, const RuleNumbers& rule, const GivenNorm& norm,
                             std::int32_t* capture);
  CudaStatus captureByValue(std::int64_t stream, const RuleNumbers& rule, std::int32_t* capture);

  // A captured step likewise.
  CudaStatus captureStepByNorm(std::int64_t stream, const RuleNumbers& rule, const UpdateNumbers& numbers,
                               std::int32_t* capture);
  CudaStatus captureStepByValue(std::int64_t stream, const RuleNumbers& rule, const UpdateNumbers& numbers,
                                std::int32_t* capture);

  /// Other limits for replays that the stream is given from here on. Parts keep theirs.
  CudaStatus setNumbers(std::int64_t stream, std::int32_t capture, const RuleNumbers& rule);

  /// Other numbers of a captured step's update, of the form that was captured, likewise.
  CudaStatus setUpdate(std::int64_t stream, std::int32_t capture, const UpdateNumbers& numbers);

  /// Its graph is replayed no more.
  void closeCapture(std::int32_t capture);

  /// Host address of its latest result.
  const void* captureSlot(std::int32_t capture) const;

  /// Until the ticket's result is in the ring; `*overwritten` where a later one has taken its place.
  CudaStatus await(std::int64_t ticket, bool* overwritten);

  CudaStatus synchronize();

  /// Of what was measured last, unscaled.
  CudaStatus norm(NormOf norm, double inverseScale, std::int32_t fromSegment, std::int32_t toSegment, double* value);

  /// What was measured last: a partial per tile, then, for float64, the low and the high plane; and after these as many
  /// planes of a sum per segment, which are right for segments of one tile, whose partials are not.
  CudaStatus partials(double* to);

  CudaStatus coefficient(std::int32_t segment, double* value);

  /// Host address of 256 results of 64 bytes.
  const void* ring() const;

  /// Device address of the last clip's global coefficient.
  std::int64_t coefficientAddress() const;

  /// Device address of a Finding: what the last clip or decision by norm leaves for others.
  std::int64_t findingAddress() const;

 private:
  struct State;
  explicit CudaPlan(State* state) : state_(state) {}
  State* state_;
};

}  // namespace gradclip
