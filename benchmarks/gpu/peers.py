#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times PyTorch's clipping, and the device's own read and copy rates, on the cases that gradclip is timed on.

    benchmarks/run gpu --list > cases.json
    benchmarks/gpu/peers.py --cases cases.json --json FILE [--seconds S]

Each figure is the median over batches of 20 calls, from the first call to the end of the stream, by call: as GpuSample does.
"""
import argparse
import json
import statistics
import sys
import time

try:
    import torch
except ImportError:
    torch = None

BATCH = 20
FEWEST_BATCHES = 7

READ = r"""
extern "C" __global__ void read_all(const uint4* x, long long n, unsigned* out) {
  const long long step = (long long)gridDim.x * blockDim.x;
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  unsigned s = 0;
  for (; i + 7 * step < n; i += 8 * step) {
    uint4 v[8];
#pragma unroll
    for (int k = 0; k < 8; ++k) v[k] = x[i + k * step];
#pragma unroll
    for (int k = 0; k < 8; ++k) s ^= v[k].x ^ v[k].y ^ v[k].z ^ v[k].w;
  }
  for (; i < n; i += step) s ^= x[i].x ^ x[i].y ^ x[i].z ^ x[i].w;
  if (s == 0x12345678u) *out = s;
}
"""


TYPES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


def cases(path):
    """Names, and the type and length of each tensor, as GpuCases.write lists them."""
    with open(path) as listed:
        found = [(case["name"], [(dtype, length) for dtype, length in case["tensors"]]) for case in json.load(listed)]
    for name, shapes in found:
        for dtype, length in shapes:
            if dtype not in TYPES or length < 0:
                raise ValueError(f"{path}: {name} has a tensor of {length} elements of {dtype}")
    return found


def timed(call, seconds):
    def batch():
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(BATCH):
            call()
        enqueued = time.perf_counter()
        torch.cuda.synchronize()
        return (time.perf_counter() - start) * 1e6 / BATCH, (enqueued - start) * 1e6 / BATCH

    batch()
    found, end = [], time.perf_counter() + seconds
    while len(found) < FEWEST_BATCHES or time.perf_counter() < end:
        found.append(batch())
    whole = [w for w, _ in found]
    return {
        "micros": statistics.median(whole),
        "micros_least": min(whole),
        "enqueue_micros": statistics.median(e for _, e in found),
    }


def rates(size, seconds):
    """Microseconds to read, and to copy, as many bytes: the limits of one pass and of read + write."""
    x = torch.empty(size // 4, dtype=torch.float32, device="cuda").normal_()
    y = torch.empty_like(x)
    found = {"copy": timed(lambda: y.copy_(x), seconds)}
    try:
        import cupy

        kernel = cupy.RawKernel(READ, "read_all")
        out = cupy.zeros(1, dtype=cupy.uint32)
        blocks = 8 * torch.cuda.get_device_properties(0).multi_processor_count
        with cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream):
            found["read"] = timed(lambda: kernel((blocks,), (256,), (x.data_ptr(), size // 16, out)), seconds)
    except ImportError:
        found["read"] = timed(lambda: x.view(torch.int32).sum(), seconds)
    return found


def clips(tensors, seconds):
    """The same four cases as GpuTensors.Work."""
    parameters = [torch.nn.Parameter(torch.empty_like(t)) for t in tensors]
    for p, t in zip(parameters, tensors):
        p.grad = t
    nn = torch.nn.utils
    norm = nn.get_total_norm(tensors).item() if hasattr(nn, "get_total_norm") else nn.clip_grad_norm_(parameters, float("inf")).item()
    halves = all(t.element_size() == 2 for t in tensors)
    state = {"threshold": 0.9999 * norm if halves else norm}

    def bites():
        if not halves:
            state["threshold"] *= 1 - 1e-5
        nn.clip_grad_norm_(parameters, state["threshold"], foreach=True)

    work = {
        "NORM": (lambda: nn.get_total_norm(tensors, foreach=True)) if hasattr(nn, "get_total_norm") else None,
        "DOES_NOT_BITE": lambda: nn.clip_grad_norm_(parameters, 2 * norm, foreach=True),
        "BITES": bites,
        "CLAMP": lambda: nn.clip_grad_value_(parameters, 100.0, foreach=True),
    }
    return {name: timed(call, seconds) for name, call in work.items() if call is not None}


def measured(name, shapes, seconds):
    results = []
    tensors = [torch.empty(n, dtype=getattr(torch, d), device="cuda").normal_() for d, n in shapes]
    size = sum(n * TYPES[d] for d, n in shapes)
    if len(tensors) == 1:
        for what, figures in rates(size // 16 * 16, seconds).items():
            results.append({"library": "device", "case": name, "what": what, "bytes": size, **figures})
    for what, figures in clips(tensors, seconds).items():
        results.append({"library": "PyTorch", "case": name, "what": what, "bytes": size, **figures})
        print(f"| {name} | {what} | {figures['micros']:.1f} |", flush=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", required=True, help="what benchmarks/run gpu --list prints")
    parser.add_argument("--json", required=True, help="lines of JSON are appended to it")
    parser.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_args()
    if torch is None:
        sys.exit("peers.py: PyTorch is not installed; pip install torch")
    device = torch.cuda.get_device_properties(0)
    where = {"device": device.name, "torch": torch.__version__, "cuda": torch.version.cuda}
    for name, shapes in cases(options.cases):
        try:
            # Each case as it comes: a run that is cut short leaves those before.
            with open(options.json, "a") as out:
                for result in measured(name, shapes, options.seconds):
                    out.write(json.dumps({**where, **result}) + "\n")
        except torch.cuda.OutOfMemoryError as error:
            # A device that is too small for one case has the others still.
            print(f"| {name} | left out: {str(error).splitlines()[0]} |", flush=True)
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
