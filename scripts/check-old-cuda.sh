#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles the library for devices with the CUDA 11.8 of Debian, so that the sources stay fit for toolkits before 13:
#   scripts/check-old-cuda.sh [FOLDER]     FOLDER: where that toolkit lies unpacked, or is unpacked to; default: a temporary one
# Where the toolkit is not there and can't be had, it says so and exits with 0; where the sources do not compile, with 1.
set -eu
root=$(CDPATH="" cd -- "$(dirname -- "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
toolkit=${1:-$scratch/toolkit}

said=$("$root/scripts/debian-cuda.sh" 11.8 "$toolkit" 2>&1) || {
  echo "gradclip: CUDA 11.8 not tried: $said. Continuing without it."
  exit 0
}
cd "$root/cuda"
for kernel in src/kernels/*.cu; do
  for architecture in 75 90; do
    # Its list of host compilers ends before ours.
    "$toolkit/bin/nvcc" -allow-unsupported-compiler -std=c++17 -O3 -fmad=false -Iinclude -Isrc -arch=sm_$architecture -cubin \
      "$kernel" -o "$scratch/kernel.o"
  done
done
for file in src/plan/*.cpp; do
  "${CXX:-g++}" -std=c++17 -fsyntax-only -Wall -Wextra -Werror -Iinclude -Isrc -isystem "$toolkit/usr/include" "$file"
done
echo "gradclip: CUDA 11.8 compiles the library for devices"
