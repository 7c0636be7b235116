#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times other libraries' clipping, and the device's own read and copy rates, on the cases that gradclip is timed on.

    benchmarks/run gpu --list > cases.json
    benchmarks/gpu/peers.py --cases cases.json --json FILE [--seconds S] [--peers NAME,...]

Each library has a process and a time limit of its own, so that one that is missing, fails or hangs takes a line and nothing else.
Each figure is the median over batches of 20 calls, from the first call to the end of the stream, by call: as GpuSample does.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

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


class LeftOut(Exception):
    """A case that a library has nothing for."""


def cases(path):
    """Names, and the type and length of each tensor, as GpuCases.write lists them."""
    with open(path) as listed:
        found = [(case["name"], [(dtype, length) for dtype, length in case["tensors"]]) for case in json.load(listed)]
    for name, shapes in found:
        for dtype, length in shapes:
            if dtype not in TYPES or length < 0:
                raise ValueError(f"{path}: {name} has a tensor of {length} elements of {dtype}")
    return found


def timed(call, wait, seconds):
    def batch():
        wait()
        start = time.perf_counter()
        for _ in range(BATCH):
            call()
        enqueued = time.perf_counter()
        wait()
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


class Threshold:
    """A norm that each clip exceeds: it shrinks a little at each call, but for halves, which that much would not change."""

    def __init__(self, norm, shapes):
        halves = all(TYPES[d] == 2 for d, _ in shapes)
        self.now, self.shrinks = (0.9999 * norm, 1.0) if halves else (norm, 1 - 1e-5)

    def next(self):
        self.now *= self.shrinks
        return self.now


# ---- libraries: where() says what they are, of(shapes, seconds) yields (library, what, figures) -----------------------


class PyTorch:
    name, limit = "PyTorch", 40

    def __init__(self):
        import torch

        self.torch = torch
        if not torch.cuda.is_available():
            raise LeftOut("no CUDA device")

    def where(self):
        device = self.torch.cuda.get_device_properties(0)
        return {"device": device.name, "torch": self.torch.__version__, "cuda": self.torch.version.cuda}

    def tensors(self, shapes):
        return [self.torch.empty(n, dtype=getattr(self.torch, d), device="cuda").normal_() for d, n in shapes]

    def timed(self, call, seconds):
        return timed(call, self.torch.cuda.synchronize, seconds)

    def rates(self, size, seconds):
        """To read, and to copy, as many bytes: the limits of one pass and of read + write."""
        torch = self.torch
        x = torch.empty(size // 4, dtype=torch.float32, device="cuda").normal_()
        y = torch.empty_like(x)
        yield "device", "copy", self.timed(lambda: y.copy_(x), seconds)
        try:
            import cupy

            kernel = cupy.RawKernel(READ, "read_all")
            out = cupy.zeros(1, dtype=cupy.uint32)
            blocks = 8 * torch.cuda.get_device_properties(0).multi_processor_count
            with cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream):
                read = lambda: kernel((blocks,), (256,), (x.data_ptr(), size // 16, out))
                yield "device", "read", self.timed(read, seconds)
        except ImportError:
            yield "device", "read", self.timed(lambda: x.view(torch.int32).sum(), seconds)

    def of(self, shapes, seconds):
        """The same four cases as GpuTensors.Work."""
        torch, nn = self.torch, self.torch.nn.utils
        tensors = self.tensors(shapes)
        if len(tensors) == 1:
            yield from self.rates(sum(n * TYPES[d] for d, n in shapes) // 16 * 16, seconds)
        weights = [torch.nn.Parameter(torch.empty_like(t)) for t in tensors]
        for w, t in zip(weights, tensors):
            w.grad = t
        has_norm = hasattr(nn, "get_total_norm")
        norm = nn.get_total_norm(tensors).item() if has_norm else nn.clip_grad_norm_(weights, float("inf")).item()
        threshold = Threshold(norm, shapes)
        if has_norm:
            yield self.name, "NORM", self.timed(lambda: nn.get_total_norm(tensors, foreach=True), seconds)
        for what, call in (
            ("DOES_NOT_BITE", lambda: nn.clip_grad_norm_(weights, 2 * norm, foreach=True)),
            ("BITES", lambda: nn.clip_grad_norm_(weights, threshold.next(), foreach=True)),
            ("CLAMP", lambda: nn.clip_grad_value_(weights, 100.0, foreach=True)),
        ):
            yield self.name, what, self.timed(call, seconds)
        if all(d == "float32" for d, _ in shapes):
            yield from self.updates(weights, norm / 2, seconds)

    def updates(self, weights, max_norm, seconds):
        """Clip and update, and the update alone, by the kernels that PyTorch has by default and by its fused ones."""
        torch, clip = self.torch, self.torch.nn.utils.clip_grad_norm_
        for update, make in (
            ("ADAMW", lambda **how: torch.optim.AdamW(weights, lr=1e-5, **how)),
            ("SGD_MOMENTUM", lambda **how: torch.optim.SGD(weights, lr=1e-5, momentum=0.9, weight_decay=0.01, **how)),
        ):
            for kernels, how in (("", {}), ("_FUSED", {"fused": True})):
                optimizer = make(**how)
                threshold = Threshold(max_norm, [("float32", 1)])

                def step():
                    clip(weights, threshold.next(), foreach=True)
                    optimizer.step()

                yield self.name, f"BITES_{update}{kernels}", self.timed(step, seconds)
                yield self.name, f"{update}{kernels}", self.timed(optimizer.step, seconds)
                optimizer.state.clear()


class TransformerEngine(PyTorch):
    """The multi-tensor kernels as Megatron-LM calls them: the host waits for the norm and decides."""

    name, limit = "TransformerEngine", 20

    def __init__(self):
        super().__init__()
        from transformer_engine.pytorch import optimizers

        self.optimizers = optimizers

    def of(self, shapes, seconds):
        if len({d for d, _ in shapes}) > 1 or "float64" in {d for d, _ in shapes}:
            raise LeftOut("its kernels take tensors of one type, float64 not among them")
        apply, noop = self.optimizers.multi_tensor_applier, self.torch.zeros(1, dtype=self.torch.int, device="cuda")
        tensors = self.tensors(shapes)

        def norm():
            return apply(self.optimizers.multi_tensor_l2norm, noop, [tensors], False)[0]

        def clip(threshold):
            coefficient = threshold / (norm().item() + 1e-6)
            if coefficient < 1.0:
                apply(self.optimizers.multi_tensor_scale, noop, [tensors, tensors], coefficient)

        total = norm().item()
        threshold = Threshold(total, shapes)
        yield self.name, "NORM", self.timed(norm, seconds)
        yield self.name, "DOES_NOT_BITE", self.timed(lambda: clip(2 * total), seconds)
        yield self.name, "BITES", self.timed(lambda: clip(threshold.next()), seconds)


class CuPy:
    """As one writes it with arrays: a reduction and a product a tensor, nothing that waits."""

    name, limit = "CuPy", 20

    def __init__(self):
        import cupy

        self.cupy = cupy
        if cupy.cuda.runtime.getDeviceCount() == 0:
            raise LeftOut("no CUDA device")

    def where(self):
        device = self.cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
        return {"device": device, "cupy": self.cupy.__version__, "cuda": str(self.cupy.cuda.runtime.runtimeGetVersion())}

    def of(self, shapes, seconds):
        cupy = self.cupy
        if any(d == "bfloat16" for d, _ in shapes):
            raise LeftOut("it has no bfloat16")
        tensors = [cupy.random.standard_normal(n, dtype=cupy.float32).astype(d) for d, n in shapes]
        squares = cupy.ReductionKernel("T x", "float64 y", "(double)x * (double)x", "a + b", "y = a", "0", "squares")
        scale = cupy.ElementwiseKernel("float64 c", "T x", "if (c < 1) x = (T)((double)x * c)", "scale")

        def norm():
            return cupy.sqrt(sum(squares(t) for t in tensors))

        def clip(threshold):
            coefficient = threshold / (norm() + 1e-6)
            for t in tensors:
                scale(coefficient, t)

        def clamp():
            for t in tensors:
                cupy.clip(t, -100, 100, out=t)

        total = float(norm())
        threshold = Threshold(total, shapes)
        wait = cupy.cuda.Device(0).synchronize
        yield self.name, "NORM", timed(norm, wait, seconds)
        yield self.name, "DOES_NOT_BITE", timed(lambda: clip(2 * total), wait, seconds)
        yield self.name, "BITES", timed(lambda: clip(threshold.next()), wait, seconds)
        yield self.name, "CLAMP", timed(clamp, wait, seconds)


class Jax:
    """Optax's clip_by_global_norm by its formula, compiled as one function that may reuse its argument's memory."""

    name, limit = "JAX", 25

    def __init__(self):
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        import jax

        jax.config.update("jax_enable_x64", True)
        self.jax = jax
        if all(d.platform == "cpu" for d in jax.devices()):
            raise LeftOut("no CUDA device")

    def where(self):
        return {"device": self.jax.devices()[0].device_kind, "jax": self.jax.__version__}

    def of(self, shapes, seconds):
        jax, jnp = self.jax, self.jax.numpy
        keys = jax.random.split(jax.random.key(0), max(1, len(shapes)))
        state = {"now": [jax.random.normal(k, (n,), dtype=d) for k, (d, n) in zip(keys, shapes)]}

        def norm(tensors):
            return jnp.sqrt(sum(jnp.sum(jnp.square(t.astype(jnp.promote_types(t.dtype, jnp.float32)))) for t in tensors))

        def clipped(tensors, threshold):
            total = norm(tensors)
            fits = total < threshold
            return [jnp.where(fits, t, ((t / total.astype(t.dtype)) * threshold).astype(t.dtype)) for t in tensors]

        compute = jax.jit(norm)
        clip = jax.jit(clipped, donate_argnums=0)
        clamp = jax.jit(lambda tensors: [jnp.clip(t, -100, 100) for t in tensors], donate_argnums=0)
        latest = {}

        def step(call):
            state["now"] = call(state["now"])

        def ask():
            latest["norm"] = compute(state["now"])

        def wait():
            jax.block_until_ready((state["now"], latest))

        total = float(compute(state["now"]))
        threshold = Threshold(total, shapes)
        yield self.name, "NORM", timed(ask, wait, seconds)
        yield self.name, "DOES_NOT_BITE", timed(lambda: step(lambda t: clip(t, 2 * total)), wait, seconds)
        yield self.name, "BITES", timed(lambda: step(lambda t: clip(t, threshold.next())), wait, seconds)
        yield self.name, "CLAMP", timed(lambda: step(clamp), wait, seconds)


class Cub:
    """CUB's sum of squares in an order that is the same everywhere, by the program that cub_sum.cu is; float32 in one tensor."""

    name, limit = "CUB", 15

    def __init__(self):
        self.program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cub_sum")
        if not os.access(self.program, os.X_OK):
            raise LeftOut("no program cub_sum beside peers.py; nvcc -O3 cub_sum.cu -o cub_sum makes it")

    def where(self):
        return {}

    def of(self, shapes, seconds):
        if len(shapes) != 1 or shapes[0][0] != "float32":
            raise LeftOut("it sums float32 in one tensor")
        done = subprocess.run([self.program, str(4 * shapes[0][1])], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LeftOut((done.stderr + done.stdout).strip().splitlines()[-1])
        for line in done.stdout.splitlines():
            figures = json.loads(line)
            yield figures.pop("library"), figures.pop("what"), {k: figures[k] for k in ("micros", "micros_least", "sum")}


PEERS = {p.name: p for p in (PyTorch, TransformerEngine, CuPy, Jax, Cub)}


def measure(options, name):
    """All cases on one library. Each figure is written as it comes: a run that is cut short leaves those before."""
    try:
        peer = PEERS[name]()
    except Exception as error:  # whatever a broken installation throws
        print(f"{name}: not run: {type(error).__name__}: {(str(error) or 'no reason given').splitlines()[0]}", flush=True)
        return
    for case, shapes in cases(options.cases):
        size = sum(n * TYPES[d] for d, n in shapes)
        try:
            for library, what, figures in peer.of(shapes, options.seconds):
                with open(options.json, "a") as out:
                    out.write(json.dumps({**peer.where(), "library": library, "case": case, "what": what, "bytes": size, **figures}) + "\n")
                print(f"| {library} | {case} | {what} | {figures['micros']:.1f} |", flush=True)
        except Exception as error:  # a case too large for the device, or a type the library lacks: the others are still there
            print(f"| {name} | {case} | left out: {(str(error) or type(error).__name__).splitlines()[0]} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", required=True, help="what benchmarks/run gpu --list prints")
    parser.add_argument("--json", required=True, help="lines of JSON are appended to it")
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--peers", default=",".join(PEERS), help="of " + ", ".join(PEERS))
    parser.add_argument("--in-process", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_process:
        return measure(options, options.in_process)
    for name in options.peers.split(","):
        if name not in PEERS:
            parser.error(f"unknown peer {name}; one of {', '.join(PEERS)}")
        command = [sys.executable, os.path.abspath(__file__), "--cases", options.cases, "--json", options.json,
                   "--seconds", str(options.seconds), "--in-process", name]
        try:
            code = subprocess.run(command, timeout=PEERS[name].limit, check=False).returncode
            if code != 0:
                print(f"{name}: ended with {code}; what it measured before is in {options.json}", flush=True)
        except subprocess.TimeoutExpired:
            print(f"{name}: stopped after its {PEERS[name].limit} s; what it measured before is in {options.json}", flush=True)


if __name__ == "__main__":
    main()
