#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What ptxas makes of the kernels that stream gradients, for sm_90, counted in its machine code.

    cuda_sass.py NVCC CUDA_FOLDER WORK_FOLDER

Compiles measure, lagged, scale, clamp, update, decide and one_launch, disassembles them and prints a table. Fails (1) where a limit is exceeded; says why and
exits with 77 where there is no disassembler: $NVDISASM, or nvdisasm beside NVCC or on the PATH. That of CUDA 11.8 will do, for three
fields of the file's head are all that it does not know.

A whole tile's code for a type begins with its 16-byte loads, twelve or more of one base register close to each other, and ends with the
first jump that is always taken. Counted are its instructions by 16 (per 16 bytes a lane), the loads issued before the first use of
one of them, and the bytes that these keep in flight on a multiprocessor, of which so many blocks of 256 threads fit as registers allow.
Of the fold the loads before the first addition are counted, of a run's 32, and of lagged and one_launch those before the first that goes
to shared memory, of a tile's 16. Of update, whose loads have a base register for each of gradient, weights and state, the most loads that are
issued before the first use of one of them are counted.
"""
import os
import re
import shutil
import struct
import subprocess
import sys

REGISTERS, THREADS = 65536, 256
NORMS = {"SquareSum": "L2", "AbsoluteSum": "L1", "Maximum": "maximum"}
# Instructions per 16 bytes, at most.
LIMITS = {("measure L2", "f32"): 12, ("measure L2", "bf16"): 28, ("measure L2", "f16"): 30,
          ("scale", "f32"): 16, ("scale", "bf16"): 28, ("scale", "f16"): 28,
          ("clamp", "f64"): 45, ("clamp", "f32"): 45, ("clamp", "bf16"): 45, ("clamp", "f16"): 45}
LEAST_IN_FLIGHT, LEAST_FOLD, LEAST_KEPT = 96, 30, 16
KEEPS = {"laggedKernelINS_9SquareSum": "one pass", "oneLaunchKernelINS_9SquareSum": "one launch"}
UPDATES = {"UpdateFormE0": "SGD", "UpdateFormE1": "SGD with momentum", "UpdateFormE2": "Adam"}


def find_disassembler(nvcc):
    beside = os.path.join(os.path.dirname(os.path.realpath(nvcc)), "nvdisasm")
    for candidate in (os.environ.get("NVDISASM"), beside if os.path.exists(beside) else None, shutil.which("nvdisasm")):
        if candidate:
            return candidate
    return None


def disassemble(tool, cubin):
    """nvdisasm's text; of one that is older than the file, with the head as it knows it."""
    done = subprocess.run([tool, "-c", cubin], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return done.stdout
    with open(cubin, "rb") as file:
        head = bytearray(file.read())
    architecture = struct.unpack_from("<I", head, 0x30)[0] >> 8 & 0xFF
    head[7], head[8] = 0x33, 7
    struct.pack_into("<I", head, 0x30, architecture << 16 | 0x0500 | architecture)
    with open(cubin + ".old", "wb") as file:
        file.write(head)
    return subprocess.run([tool, "-c", cubin + ".old"], capture_output=True, text=True, check=True).stdout


class Instruction:
    def __init__(self, text):
        text = re.sub(r"/\*.*?\*/", "", text).strip().rstrip(";").strip()
        self.text = text
        self.predicated = text.startswith("@")
        words = re.sub(r"^@!?\w+\s+", "", text)
        self.opcode = words.split()[0]
        operands = words[len(self.opcode):]
        self.registers = [int(r) for r in re.findall(r"\bR(\d+)\b", operands)]
        self.sources = self.registers[1:] if not self.opcode.startswith(("ST", "BRA", "EXIT", "RED")) else self.registers

    def is_vector_load(self):
        return self.opcode.startswith("LDG.E.128")

    def ends(self):
        return not self.predicated and self.opcode in ("BRA", "BRX", "EXIT", "RET.REL.NODEC")


def functions(text):
    """The instructions of each function by its name."""
    name, found = None, {}
    for line in text.split("\n"):
        label = re.match(r"^\.text\.([\w$]+):|^\$?[\w$]*\$(_Z[\w]+):", line)
        if label:
            name = label.group(1) or label.group(2)
            found.setdefault(name, [])
        elif re.match(r"\s*/\*[0-9a-f]{4,}\*/\s", line) and name:
            found[name].append(Instruction(line))
    return found


def type_of(body):
    """By what a type needs for each element: conversions of halves, arithmetic of doubles."""
    def count(*parts):
        return sum(1 for i in body if any(i.opcode.startswith(p) for p in parts))
    if count("HADD2.F32", "F2FP.F16", "HSET2.GT") >= 32:
        return "f16"
    if count("F2FP.BF16", "HSET2.BF16") >= 32 or count("IMAD.U32", "SHF.L.U32") >= 48:
        return "bf16"
    if count("DADD", "DMUL", "DSETP", "ISETP.GT.U32") >= 32:
        return "f64"
    return "f32"


def whole_tiles(code):
    """The code of whole tiles, one a type."""
    at = 0
    while at < len(code):
        if not code[at].is_vector_load():
            at += 1
            continue
        base = code[at].registers[1]
        loads = [i for i in range(at, min(at + 32, len(code))) if code[i].is_vector_load() and code[i].registers[1] == base]
        if len(loads) < 12:
            at += 1
            continue
        end = next((i for i in range(loads[-1], len(code)) if code[i].ends()), len(code) - 1)
        yield code[at:end + 1]
        at = end + 1


def loads_before_use(body, is_load):
    loaded, count = set(), 0
    for instruction in body:
        if is_load(instruction):
            first = instruction.registers[0]
            loaded.update(range(first, first + 4 if instruction.is_vector_load() else first + 2))
            count += 1
        elif loaded & set(instruction.sources):
            break
    return count


def update_of(name):
    return next((word for form, word in UPDATES.items() if "updateKernel" in name and form in name), None)


def most_loads(code):
    """The most vector loads before the first use, wherever they begin."""
    starts = [i for i, c in enumerate(code) if c.is_vector_load() and not (i > 0 and code[i - 1].is_vector_load())]
    return max([loads_before_use(code[i:i + 200], Instruction.is_vector_load) for i in starts] + [0])


def resident_blocks(code):
    """Registers a thread, and blocks of a multiprocessor that these leave."""
    used = max([r for i in code for r in i.registers] + [0]) + 1
    return used, REGISTERS // (THREADS * -(-used // 8) * 8)


def in_flight(loads, blocks):
    """KiB of a multiprocessor."""
    return loads * 16 * THREADS * blocks // 1024


def kernel_of(name):
    for norm, word in NORMS.items():
        if "measureKernelINS_" in name and norm in name:
            return "measure " + word
    return next((k for k in ("scale", "clamp") if k + "Kernel" in name), None)


def main():
    nvcc, source, work = sys.argv[1:4]
    tool = find_disassembler(nvcc)
    if tool is None:
        print("gradclip: machine code not looked at: no nvdisasm; set NVDISASM, or install the CUDA toolkit's")
        sys.exit(77)
    os.makedirs(work, exist_ok=True)
    failures = []
    print("| kernel | type | instructions per 16 bytes | loads before the first use | KiB in flight | registers |")
    print("|---|---|---|---|---|---|")
    for file in ("measure", "lagged", "scale", "clamp", "update", "decide", "one_launch"):
        cubin = os.path.join(work, file + ".cubin")
        subprocess.run([nvcc, "-std=c++17", "-O3", "-fmad=false", "-I" + source + "/include", "-I" + source + "/src",
                        "-gencode", "arch=compute_90,code=sm_90", "-cubin", source + "/src/kernels/" + file + ".cu", "-o", cubin],
                       check=True)
        found = functions(disassemble(tool, cubin))
        seen = set()
        for name, code in found.items():
            kernel = kernel_of(name)
            keeps = next((word for kernel, word in KEEPS.items() if kernel in name), None)
            if keeps is not None:
                loads = loads_before_use(next(whole_tiles(code)), Instruction.is_vector_load)
                print("| {}, a tile to shared memory | any | | {} of 16 | | |".format(keeps, loads))
                if loads < LEAST_KEPT:
                    failures.append("{} issues {} loads before a tile goes to shared memory".format(keeps, loads))
            if "foldRunOfILb0" in name and file == "decide":
                loads = loads_before_use(code[next(i for i, c in enumerate(code) if c.opcode.startswith("LDG")):],
                                         lambda i: i.opcode.startswith("LDG.E.64"))
                print("| decide, fold of a run | f64 | | {} of 32 | | |".format(loads))
                if loads < LEAST_FOLD:
                    failures.append("the fold issues {} loads before the first addition".format(loads))
            update = update_of(name)
            if update is not None:
                used, blocks = resident_blocks(code)
                loads = most_loads(code)
                flying = in_flight(loads, blocks)
                seen.add(update)
                print("| update: {} | any | | {} | {} | {} |".format(update, loads, flying, used))
                if flying < LEAST_IN_FLIGHT:
                    failures.append("update: {} keeps {} KiB in flight".format(update, flying))
            if kernel is None:
                continue
            used, blocks = resident_blocks(code)
            for body in whole_tiles(code):
                kind = type_of(body)
                seen.add((kernel, kind))
                each = len(body) / 16
                loads = loads_before_use(body, Instruction.is_vector_load)
                flying = in_flight(loads, blocks)
                print("| {} | {} | {:.1f} | {} | {} | {} |".format(kernel, kind, each, loads, flying, used))
                if each > LIMITS.get((kernel, kind), 1000):
                    failures.append("{} of {} takes {:.1f} instructions per 16 bytes".format(kernel, kind, each))
                if kernel.startswith("measure") and flying < LEAST_IN_FLIGHT:
                    failures.append("{} of {} keeps {} KiB in flight".format(kernel, kind, flying))
        for missing in sorted(k for k in LIMITS if k[0].split()[0] == file and k not in seen):
            failures.append("no code found for " + " ".join(missing))
        if file == "update":
            failures.extend("no code found for update: " + word for word in UPDATES.values() if word not in seen)
    for failure in failures:
        print("gradclip: " + failure)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
