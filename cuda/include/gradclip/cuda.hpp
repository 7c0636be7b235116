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
  std::int32_t row = -1;      ///< the row that can't be bound, and why
  const char* why = nullptr;

  bool ok() const { return code == 0 && row < 0; }

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

/// The device whose memory an address lies in, or -1.
int cudaDeviceOf(std::int64_t address);

CudaStatus cudaFreeMemory(int device, std::int64_t* bytes);

// ---- memory and streams; a stream is its handle, 0 the legacy default stream -------------------------------------------

/// Zeroed.
CudaStatus cudaAllocate(int device, std::int64_t bytes, std::int64_t* address);
CudaStatus cudaRelease(int device, std::int64_t address);

/// Complete on return, ordered after the stream's earlier work.
CudaStatus cudaCopyToDevice(int device, std::int64_t stream, std::int64_t to, const void* from, std::int64_t bytes);
CudaStatus cudaCopyToHost(int device, std::int64_t stream, void* to, std::int64_t from, std::int64_t bytes);

CudaStatus cudaCreateStream(int device, std::int64_t* stream);
CudaStatus cudaDestroyStream(int device, std::int64_t stream);
CudaStatus cudaSynchronizeStream(int device, std::int64_t stream);

// ---- graphs ----------------------------------------------------------------------------------------------------------

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

/// Tensors bound on one device. Calls enqueue and return; one thread at a time, one stream at a time: on another stream a
/// call waits there for the last one. After a fault every call returns it.
class CudaPlan {
 public:
  /// Copies the table, checks each row's memory, uploads. `plan` is to be destroyed.
  static CudaStatus create(int device, const Piece* table, std::int32_t rows, std::int32_t segments, CudaPlan** plan);

  /// Waits for what is in flight.
  static CudaStatus destroy(CudaPlan* plan);

  /// Same rows, types and lengths, or absent: at address 0. Nothing is bound where one row can't be.
  CudaStatus rebind(const Piece* table);

  CudaStatus measure(std::int64_t stream, NormOf norm, std::int32_t fromSegment, std::int32_t toSegment);

  CudaStatus globalNorm(std::int64_t stream, NormOf norm, std::int64_t* ticket);

  struct NormClip {
    bool perTensor, measured;
    NormOf norm;
    double maxNorm, epsilon;
    Policy policy;
    bool applies = true;  ///< else the coefficient is left to whoever reads it
  };
  CudaStatus clipByNorm(std::int64_t stream, const NormClip& clip, std::int64_t* ticket);

  struct GivenClip {
    double maxNorm, epsilon, norm;
    Policy policy;
  };
  CudaStatus clipWithNorm(std::int64_t stream, const GivenClip& clip, std::int64_t* ticket);

  struct ValueClip {
    double min, max;
    Policy policy;
  };
  CudaStatus clipByValue(std::int64_t stream, const ValueClip& clip, std::int64_t* ticket);

  // A captured clip: its work becomes part of the graph that the stream is captured into. Whoever replays the graph orders
  // that with this plan's other calls. Its numbers can be changed between replays, its rows can't.
  CudaStatus captureByNorm(std::int64_t stream, const NormClip& clip, std::int32_t* capture);
  CudaStatus captureByValue(std::int64_t stream, const ValueClip& clip, std::int32_t* capture);

  struct Numbers {
    double maxNorm, epsilon, min, max;
  };
  /// For replays that the stream is given from here on.
  CudaStatus setNumbers(std::int64_t stream, std::int32_t capture, const Numbers& numbers);

  /// Its graph is replayed no more.
  void closeCapture(std::int32_t capture);

  /// Host address of its latest result.
  const void* captureSlot(std::int32_t capture) const;

  /// Until the ticket's result is in the ring; `*overwritten` where a later one has taken its place.
  CudaStatus await(std::int64_t ticket, bool* overwritten);

  CudaStatus synchronize();

  /// Of what was measured last.
  CudaStatus norm(NormOf norm, std::int32_t fromSegment, std::int32_t toSegment, double* value);

  /// Of a plan of one segment, what was measured last: a partial per tile, then, for float64, the low and the high plane.
  CudaStatus partials(double* to);

  CudaStatus coefficient(std::int32_t segment, double* value);

  /// Host address of 256 results of 64 bytes.
  const void* ring() const;

  /// Device address of the last clip's global coefficient.
  std::int64_t coefficientAddress() const;

 private:
  struct State;
  explicit CudaPlan(State* state) : state_(state) {}
  State* state_;
};

}  // namespace gradclip
