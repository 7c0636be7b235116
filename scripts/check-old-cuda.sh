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

give_up() {
  echo "gradclip: CUDA 11.8 not tried: $1. Continuing without it."
  exit 0
}

# Debian's own list of packages with one component more, in folders of this run: nothing of the system's changes.
unpack() {
  command -v apt-get > /dev/null 2>&1 || give_up "there is no apt-get"
  [ -f /etc/apt/sources.list.d/debian.sources ] || give_up "there is no list of Debian's packages"
  mkdir -p "$scratch/lists/partial" "$scratch/archives/partial" "$toolkit"
  sed 's/^Components:.*/Components: non-free/' /etc/apt/sources.list.d/debian.sources > "$scratch/list.sources"
  set -- -q -o Dir::Etc::SourceList="$scratch/list.sources" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$scratch/lists" -o Dir::Cache="$scratch" -o APT::Sandbox::User=root
  timeout 120 apt-get "$@" update > "$scratch/log" 2>&1 || give_up "no list of packages"
  (cd "$scratch" && timeout 400 apt-get "$@" download nvidia-cuda-toolkit nvidia-cuda-dev >> log 2>&1) ||
    give_up "Debian's nvidia-cuda-toolkit can't be had"
  dpkg-deb --fsys-tarfile "$scratch"/nvidia-cuda-toolkit_*.deb | tar -x -C "$toolkit" ./usr/bin ./usr/lib/nvidia-cuda-toolkit
  dpkg-deb --fsys-tarfile "$scratch"/nvidia-cuda-dev_*.deb | tar -x -C "$toolkit" ./usr/include
  rm -f "$scratch"/*.deb
}

[ -x "$toolkit/usr/lib/nvidia-cuda-toolkit/bin/nvcc" ] || unpack
bin=$scratch/bin
mkdir -p "$bin"
for tool in "$toolkit"/usr/bin/cudafe++ "$toolkit"/usr/bin/ptxas "$toolkit"/usr/bin/fatbinary \
  "$toolkit"/usr/lib/nvidia-cuda-toolkit/bin/cicc "$toolkit"/usr/lib/nvidia-cuda-toolkit/bin/crt; do
  ln -s "$tool" "$bin/"
done
cp "$toolkit/usr/lib/nvidia-cuda-toolkit/bin/nvcc" "$bin/nvcc"  # it looks for the others beside itself
printf '%s\n' "CICC_PATH = $bin" "NVVMIR_LIBRARY_DIR = $toolkit/usr/lib/nvidia-cuda-toolkit/libdevice" "PATH += $bin:" \
  "INCLUDES += \"-I$toolkit/usr/include\"" > "$bin/nvcc.profile"
cd "$root/cuda"
for kernel in src/kernels/*.cu; do
  for architecture in 75 90; do
    # Its list of host compilers ends before ours.
    "$bin/nvcc" -allow-unsupported-compiler -std=c++17 -O3 -fmad=false -Iinclude -Isrc -arch=sm_$architecture -cubin \
      "$kernel" -o "$scratch/kernel.o"
  done
done
for file in src/plan/*.cpp; do
  "${CXX:-g++}" -std=c++17 -fsyntax-only -Wall -Wextra -Werror -Iinclude -Isrc -isystem "$toolkit/usr/include" "$file"
done
echo "gradclip: CUDA 11.8 compiles the library for devices"
