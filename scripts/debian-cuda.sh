#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Unpacks a CUDA compiler of Debian's, without installing it:
#   scripts/debian-cuda.sh VERSION FOLDER     VERSION: 11.8 or 12.4; FOLDER/bin/nvcc is the compiler that is made
# A folder that holds it already is left as it is. It gets about a gigabyte of packages and keeps a quarter of that.
# Where the packages can't be had it says so and exits with 3.
set -eu

fail() {
  echo "debian-cuda: $1" >&2
  exit "${2:-2}"
}

[ $# -eq 2 ] || fail "usage: debian-cuda.sh VERSION FOLDER"
case $1 in
  11.8) suite=bookworm ;;
  12.4) suite=trixie ;;
  *) fail "no Debian is known here that has CUDA $1; expected 11.8 or 12.4" ;;
esac
mkdir -p "$2"
toolkit=$(CDPATH="" cd -- "$2" && pwd)
[ ! -x "$toolkit/bin/nvcc" ] || exit 0
command -v apt-get > /dev/null 2>&1 || fail "there is no apt-get" 3
sources=/etc/apt/sources.list.d/debian.sources
[ -f "$sources" ] || fail "there is no list of Debian's packages, $sources" 3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Debian's own list of packages with another component, in folders of this run: nothing of the system's changes.
mkdir -p "$scratch/lists/partial" "$scratch/archives/partial"
sed -e 's/^Components:.*/Components: non-free/' -e "s/^\(Suites: *\)[a-z]*\( .*\)*$/\1$suite/" "$sources" |
  awk 'BEGIN { RS = ""; ORS = "\n\n" } !/-security/' > "$scratch/list.sources"
set -- -q -o Dir::Etc::SourceList="$scratch/list.sources" -o Dir::Etc::SourceParts=/dev/null \
  -o Dir::State::Lists="$scratch/lists" -o Dir::Cache="$scratch" -o APT::Sandbox::User=root
timeout 120 apt-get "$@" update > "$scratch/log" 2>&1 || fail "no list of Debian's packages" 3
(cd "$scratch" && timeout 400 apt-get "$@" download nvidia-cuda-toolkit nvidia-cuda-dev >> log 2>&1) ||
  fail "Debian's nvidia-cuda-toolkit can't be had" 3
dpkg-deb --fsys-tarfile "$scratch"/nvidia-cuda-toolkit_*.deb |
  tar -x -C "$toolkit" ./usr/bin ./usr/lib/nvidia-cuda-toolkit
# Of the static libraries, the one that is linked.
dpkg-deb --fsys-tarfile "$scratch"/nvidia-cuda-dev_*.deb |
  tar -x -C "$toolkit" --wildcards ./usr/include './usr/lib/x86_64-linux-gnu/libcuda*rt*.a'

# The compiler looks for the others beside itself.
mkdir -p "$toolkit/new"
for tool in ../usr/bin/cudafe++ ../usr/bin/ptxas ../usr/bin/fatbinary ../usr/bin/nvlink \
  ../usr/lib/nvidia-cuda-toolkit/bin/cicc ../usr/lib/nvidia-cuda-toolkit/bin/crt; do
  ln -s "$tool" "$toolkit/new/"
done
cp "$toolkit/usr/lib/nvidia-cuda-toolkit/bin/nvcc" "$toolkit/new/nvcc"
printf '%s\n' "TOP = $toolkit" "CICC_PATH = $toolkit/bin" \
  "NVVMIR_LIBRARY_DIR = $toolkit/usr/lib/nvidia-cuda-toolkit/libdevice" "PATH += $toolkit/bin:" "INCLUDES += \"-I$toolkit/usr/include\"" \
  "LIBRARIES =+ \"-L$toolkit/usr/lib/x86_64-linux-gnu\"" > "$toolkit/new/nvcc.profile"
# Where CMake looks for the rest of a toolkit.
mkdir -p "$toolkit/nvvm"
ln -s ../usr/lib/nvidia-cuda-toolkit/libdevice "$toolkit/nvvm/libdevice"
ln -s usr/include "$toolkit/include"
ln -s usr/lib/x86_64-linux-gnu "$toolkit/lib64"
mv "$toolkit/new" "$toolkit/bin"
