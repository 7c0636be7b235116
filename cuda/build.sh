#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the native libraries:
#   build.sh OUTDIR VERSION JNI_HEADER_DIR          OUTDIR/libgradclip.so, OUTDIR/gradclip.build-id,
#                                                   OUTDIR/emulated/libgradclip_cuda_emulated.so, for tests, and,
#                                                   where nvcc is found, OUTDIR/libgradclip_cuda.so
#   build.sh --test OUTDIR VERSION JNI_HEADER_DIR   the C++ tests under AddressSanitizer and UBSan
#   build.sh --test-threads OUTDIR                  the C++ tests under ThreadSanitizer
#   build.sh --cross-aarch64 OUTDIR                 the C++ tests for aarch64, under qemu
#   build.sh --cross-windows OUTDIR                 the C++ tests of the CPU kernels for Windows on x86-64, under Wine
#   build.sh --check                                what a build would lack, in a line, and nothing else
# A missing tool is one line and exit 0: the library then runs in plain Java. A failed compile or test is not.
# GRADCLIP_CUDA_SKIP=1 leaves the library for devices out; NVCC names the compiler to use.
# GRADCLIP_CUDA_ARCHITECTURES: one, the default, compiles for the GPU that is here, or 9.0, and PTX, which the driver compiles
#   for all others; all, for every architecture.
# GRADCLIP_RELEASE=1 also builds what a release publishes beside them: OUTDIR/linux-aarch64/libgradclip.so, and the
#   CUDA library not in OUTDIR but as what a jar of its own holds, OUTDIR/cuda13 for nvcc 13. GRADCLIP_NVCC12 names an
#   nvcc 12 for OUTDIR/cuda12.
# GRADCLIP_TESTS of --test: quick, the default, leaves out the C++ tests that take longest; thorough; or all.
# GRADCLIP_JOBS: how much runs at a time, else as much as there are processors.
set -eu

here=$(CDPATH="" cd -- "$(dirname -- "$0")" && pwd)
jobs=${GRADCLIP_JOBS:-$(nproc 2> /dev/null || echo 2)}
target=  # what to build; empty: all

die() {
  echo "gradclip: $1" >&2
  exit 1
}

skip() {
  echo "gradclip: $skipped: $1 not found; install $2. $consequence"
  exit 0
}

need_tool() { # command, what it is, Debian package
  command -v "$1" > /dev/null 2>&1 || skip "$2" "$3"
}

need_header() { # header, Debian package
  printf '#include <%s>\n' "$1" | "$cxx" -std=c++17 -E -x c++ - > /dev/null 2>&1 || skip "$1" "$2"
}

need_build_tools() {
  need_tool cmake CMake cmake
  if command -v ninja > /dev/null 2>&1; then
    generator=Ninja
  else
    need_tool make "make or ninja" make
    generator="Unix Makefiles"
  fi
}

find_compiler() {
  cxx=${CXX:-c++}
  command -v "$cxx" > /dev/null 2>&1 || cxx=g++
  need_tool "$cxx" "a C++ compiler" g++
}

find_jni() {
  java_home=${JAVA_HOME:-}
  if [ ! -f "$java_home/include/jni.h" ]; then
    javac=$(command -v javac || true)
    [ -n "$javac" ] && java_home=$(dirname -- "$(dirname -- "$(readlink -f -- "$javac")")")
  fi
  [ -f "$java_home/include/jni.h" ] || skip jni.h openjdk-17-jdk-headless
}

# Sets nvcc to the CUDA compiler, or says in one line why there is none.
find_nvcc() {
  nvcc=
  if [ "${GRADCLIP_CUDA_SKIP:-0}" = 1 ]; then
    echo "gradclip: CUDA library not built: skipped. Continuing without it."
    return
  fi
  for candidate in "${NVCC:-nvcc}" "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc"; do
    nvcc=$(command -v "$candidate" || true)
    [ -z "$nvcc" ] || return 0
  done
  echo "gradclip: CUDA library not built: nvcc not found; install the CUDA toolkit. Continuing without it."
}

# Sets architectures to what cmake's option of that name takes.
find_architectures() {
  architectures=${GRADCLIP_CUDA_ARCHITECTURES:-one}
  [ "$architectures" = one ] || return 0
  architectures=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2> /dev/null | head -n 1 | tr -d . || true)
  case $architectures in
    "" | *[!0-9]*) architectures=90 ;;
  esac
}

configure_and_build() { # build tree, cmake options
  tree=$1
  shift
  mkdir -p "$tree"
  cmake -S "$here" -B "$tree" -G "$generator" "$@" > "$tree/configure.log" 2>&1 || {
    cat "$tree/configure.log" >&2
    die "cmake failed"
  }
  cmake --build "$tree" --parallel "$jobs" ${target:+--target "$target"} > "$tree/build.log" 2>&1 || {
    cat "$tree/build.log" >&2
    die "compiling failed"
  }
}

run_tests() { # build tree, ctest options
  tests=$1
  shift
  (cd "$tests" && ctest --output-on-failure --no-tests=error --parallel "$jobs" "$@")
}

platform() {
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64 | Linux-aarch64) ;;
    *)
      echo "gradclip: $skipped: needs Linux on x86_64 or aarch64, this is $(uname -s) on $(uname -m). $consequence"
      exit 0
      ;;
  esac
}

cross_aarch64() {
  skipped="aarch64 tests not run"
  consequence="Continuing without them."
  cxx=c++
  need_build_tools
  need_tool aarch64-linux-gnu-g++ "the aarch64 compiler" g++-aarch64-linux-gnu
  need_tool qemu-aarch64 qemu-aarch64 qemu-user
  find_compiler
  need_header hwy/highway.h libhwy-dev
  need_header doctest/doctest.h doctest-dev
  configure_and_build "$1/cmake-aarch64" -DCMAKE_TOOLCHAIN_FILE="$here/../cmake/aarch64.cmake" \
    -DGRADCLIP_BUILD_TESTS=ON
  run_tests "$1/cmake-aarch64"
}

cross_windows() {
  skipped="Windows tests not run"
  consequence="Continuing without them."
  cxx=c++
  need_build_tools
  need_tool x86_64-w64-mingw32-g++-posix "the Windows compiler" g++-mingw-w64-x86-64-posix
  need_tool wine Wine wine
  find_compiler
  need_header hwy/highway.h libhwy-dev
  need_header doctest/doctest.h doctest-dev
  configure_and_build "$1/cmake-windows" -DCMAKE_TOOLCHAIN_FILE="$here/../cmake/windows.cmake" \
    -DGRADCLIP_BUILD_TESTS=ON
  # Programs that start together would all make Wine's folder.
  WINEPREFIX=$(CDPATH="" cd -- "$1" && pwd)/wine
  WINEDEBUG=-all
  export WINEPREFIX WINEDEBUG
  wine cmd /c exit > "$1/wine.log" 2>&1 || {
    cat "$1/wine.log" >&2
    die "Wine does not start"
  }
  run_tests "$1/cmake-windows"
}

test_threads() {
  skipped="C++ tests not run under ThreadSanitizer"
  consequence="Continuing without them."
  platform
  need_build_tools
  find_compiler
  need_header hwy/highway.h libhwy-dev
  need_header doctest/doctest.h doctest-dev
  configure_and_build "$1/cmake-tsan" -DCMAKE_CXX_COMPILER="$cxx" -DGRADCLIP_BUILD_TESTS=ON \
    -DGRADCLIP_SANITIZE=thread -DGRADCLIP_EMULATOR=ON
  run_tests "$1/cmake-tsan"
}

# The device tests on the compiler's own PTX, where there is a compiler: in a tree of its own, without sanitizers.
test_ptx() {
  if [ -z "$cuda_library" ]; then
    echo "gradclip: C++ tests on nvcc's PTX not run: no library for devices was built. Continuing without them."
    return
  fi
  find_nvcc
  [ -n "$nvcc" ] || return 0
  if ! command -v python3 > /dev/null 2>&1; then
    echo "gradclip: C++ tests on nvcc's PTX not run: python3 not found; install python3. Continuing without them."
    return
  fi
  all=OFF
  [ "${GRADCLIP_TESTS:-quick}" = quick ] || all=ON
  configure_and_build "$out/cmake-ptx" -DCMAKE_CXX_COMPILER="$cxx" -DGRADCLIP_BUILD_TESTS=ON -DGRADCLIP_EMULATOR=ON \
    -DGRADCLIP_PTX_NVCC="$nvcc" -DGRADCLIP_PTX_ALL=$all
  case ${GRADCLIP_TESTS:-quick} in
    thorough) run_tests "$out/cmake-ptx" -L thorough ;;
    *) run_tests "$out/cmake-ptx" -R ptx ;;
  esac
}

# Lays out what a jar of the CUDA library holds: a user of the library adds the jar for the driver that is there.
cuda_jar() { # the library, the compiler
  major=$("$2" --version | sed -n 's/.*release \([0-9]*\)\..*/\1/p')
  [ -n "$major" ] || die "$2 --version names no release"
  mkdir -p "$out/cuda$major/META-INF" "$out/cuda$major/dev/gradclip/internal/native/linux-$(uname -m)"
  cp -- "$here/../LICENSE" "$here/../NOTICE" "$out/cuda$major/META-INF/"
  mv -- "$1" "$out/cuda$major/dev/gradclip/internal/native/linux-$(uname -m)/libgradclip_cuda.so"
}

build_release() {
  [ -z "$nvcc" ] || cuda_jar "$out/libgradclip_cuda.so" "$nvcc"
  if [ -n "$nvcc" ] && [ -n "${GRADCLIP_NVCC12:-}" ]; then
    target=gradclip_cuda
    configure_and_build "$out/cmake-cuda12" -DCMAKE_CXX_COMPILER="$cxx" "$@" -DGRADCLIP_EMULATOR=OFF \
      -DGRADCLIP_NVCC="$GRADCLIP_NVCC12"
    cuda_jar "$out/cmake-cuda12/libgradclip_cuda.so" "$GRADCLIP_NVCC12"
  fi
  [ "$(uname -m)" = x86_64 ] || return 0
  skipped="aarch64 library not built"
  consequence="Continuing without it."
  need_tool aarch64-linux-gnu-g++ "the aarch64 compiler" g++-aarch64-linux-gnu
  target=gradclip
  configure_and_build "$out/cmake-aarch64" -DCMAKE_TOOLCHAIN_FILE="$here/../cmake/aarch64.cmake" "$@" \
    -DGRADCLIP_EMULATOR=OFF -DGRADCLIP_NVCC=
  mkdir -p "$out/linux-aarch64"
  cp -- "$out/cmake-aarch64/libgradclip.so" "$out/cmake-aarch64/gradclip.build-id" "$out/linux-aarch64/"
}

mode=build
case "${1:-}" in
  --check | --test | --test-threads | --cross-aarch64 | --cross-windows)
    mode=${1#--}
    shift
    ;;
esac

case $mode in
  test-threads | cross-aarch64 | cross-windows)
    [ $# -eq 1 ] || die "usage: build.sh --$mode OUTDIR"
    case $mode in
      test-threads) test_threads "$1" ;;
      cross-aarch64) cross_aarch64 "$1" ;;
      cross-windows) cross_windows "$1" ;;
    esac
    exit 0
    ;;
esac

if [ "$mode" = check ]; then
  set -- "" "" ""
fi
[ $# -eq 3 ] || die "usage: build.sh [--test] OUTDIR VERSION JNI_HEADER_DIR"
out=$1
version=$2
headers=$3
skipped="native libraries not built"
consequence="Continuing with plain Java."
platform
need_build_tools
find_compiler
need_header hwy/highway.h libhwy-dev

if [ "$mode" = test ]; then
  skipped="C++ tests not run"
  consequence="Continuing without them."
  need_header doctest/doctest.h doctest-dev
  library=
  [ -f "$out/libgradclip.so" ] && library=$(CDPATH="" cd -- "$out" && pwd)/libgradclip.so
  cuda_library=
  cuda_report=
  if [ "${GRADCLIP_CUDA_SKIP:-0}" != 1 ] && [ -f "$out/libgradclip_cuda.so" ]; then
    cuda_library=$(CDPATH="" cd -- "$out" && pwd)/libgradclip_cuda.so
    cuda_report=$(CDPATH="" cd -- "$out" && pwd)/cmake/cuda-report
  fi
  configure_and_build "$out/cmake-asan" -DCMAKE_CXX_COMPILER="$cxx" -DGRADCLIP_VERSION="$version" \
    -DGRADCLIP_BUILD_TESTS=ON -DGRADCLIP_SANITIZE=address,undefined -DGRADCLIP_EMULATOR=ON -DGRADCLIP_BUILT_LIBRARY="$library" \
    -DGRADCLIP_BUILT_CUDA_LIBRARY="$cuda_library" -DGRADCLIP_CUDA_REPORT="$cuda_report"
  case ${GRADCLIP_TESTS:-quick} in
    quick) run_tests "$out/cmake-asan" -LE thorough ;;
    thorough) run_tests "$out/cmake-asan" -L 'thorough|library' ;;
    all) run_tests "$out/cmake-asan" ;;
    *) die "GRADCLIP_TESTS is $GRADCLIP_TESTS; expected quick, thorough or all" ;;
  esac
  test_ptx
  exit 0
fi

find_jni
if [ "$mode" = check ]; then
  if [ "${GRADCLIP_CUDA_SKIP:-0}" != 1 ]; then find_nvcc; fi
  exit 0
fi
[ -f "$headers/dev_gradclip_internal_jni_NativeCpu.h" ] ||
  die "no dev_gradclip_internal_jni_NativeCpu.h in $headers; javac does not write it twice: run mvn clean"
find_nvcc
find_architectures
set -- -DGRADCLIP_VERSION="$version" -DGRADCLIP_BUILD_ID="${GRADCLIP_BUILD_ID:-}" -DGRADCLIP_JNI_HEADERS="$headers" \
  -DGRADCLIP_JAVA_HOME="$java_home" -DGRADCLIP_BUILD_TESTS=OFF -DGRADCLIP_CUDA_ARCHITECTURES="$architectures"
configure_and_build "$out/cmake" -DCMAKE_CXX_COMPILER="$cxx" "$@" -DGRADCLIP_EMULATOR=ON -DGRADCLIP_NVCC="$nvcc"
mkdir -p "$out/test" "$out/emulated"
copy_built() { # file in the build tree, place in OUTDIR
  cmp -s "$out/cmake/$1" "$out/$2" || cp -- "$out/cmake/$1" "$out/$2"
}
copy_built libgradclip.so libgradclip.so
copy_built gradclip.build-id gradclip.build-id
copy_built test/libgradclip_testsupport.so test/libgradclip_testsupport.so
copy_built emulated/libgradclip_cuda_emulated.so emulated/libgradclip_cuda_emulated.so
if [ -n "$nvcc" ]; then
  copy_built libgradclip_cuda.so libgradclip_cuda.so
else
  rm -f "$out/libgradclip_cuda.so"
fi
rm -rf "$out/linux-aarch64" "$out/cuda12" "$out/cuda13"
[ "${GRADCLIP_RELEASE:-0}" = 0 ] || build_release "$@"
