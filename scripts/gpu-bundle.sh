#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a folder with all that a GPU host needs to test and to time gradclip; the host needs a driver and nothing else, and what it
# has beside (compute-sanitizer, ncu, PyTorch, JAX, CuPy, TransformerEngine) is used.
#   scripts/gpu-bundle.sh [FOLDER]     FOLDER: build/gpu-bundle
# FOLDER/device has the C++ device tests and benchmarks, without Java; FOLDER/java a trimmed Java runtime, the jars and their tests.
# Then there, in this order:
#   device/run-device.sh test      device/run-device.sh bench      java/run.sh test      java/run.sh bench
set -eu
root=$(CDPATH="" cd -- "$(dirname -- "$0")/.." && pwd)
out=${1:-$root/build/gpu-bundle}
java_home=${JAVA_HOME:-$(dirname -- "$(dirname -- "$(readlink -f -- "$(command -v javac)")")")}
jobs=$(nproc 2> /dev/null || echo 2)

if [ -e "$out" ] && [ ! -d "$out/device" ]; then
  echo "gpu-bundle: $out exists and is no GPU bundle; name another folder" >&2
  exit 2
fi
nvcc=$(command -v nvcc || echo "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc")
[ -x "$nvcc" ] || {
  echo "gpu-bundle: nvcc is needed; install the CUDA toolkit" >&2
  exit 1
}
rm -rf "$out"
mkdir -p "$out/device" "$out/java/jars" "$out/java/natives/test" "$out/java/tests" "$out/java/command"
out=$(CDPATH="" cd -- "$out" && pwd)
cd "$root"
git rev-parse HEAD > "$out/device/commit" 2> /dev/null || echo unknown > "$out/device/commit"
cp "$out/device/commit" "$out/java/commit"

# ---- without Java

built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
device_build() { # name, targets, flags of nvcc
  cmake -S cuda -B "$built/$1" -DGRADCLIP_BUILD_TESTS=ON -DGRADCLIP_DEVICE_TESTS=ON -DGRADCLIP_VERSION=bundle \
    -DGRADCLIP_NVCC="$nvcc" -DGRADCLIP_CUDA_ARCHITECTURES=90 -DCMAKE_CUDA_FLAGS="$3" > "$built/$1.log" 2>&1 &&
    cmake --build "$built/$1" --parallel "$jobs" --target $2 >> "$built/$1.log" 2>&1 || {
    tail -n 40 "$built/$1.log" >&2
    exit 1
  }
}
device_build default "gradclip_bench device_bits_test device_range_test device_clip_test device_rules_test device_plan_test \
  device_history_test device_lagged_test device_capture_test device_launches_test device_step_test" ""
cp "$built/default/gradclip_bench" "$built"/default/test/device_*_test "$out/device/"
# Loads in flight, blocks a multiprocessor, tiles dealt in turn or one after the other.
for variant in 16:2:false 8:2:true 8:3:true 4:3:true 4:4:true; do
  vectors=${variant%%:*} order=${variant##*:} blocks=${variant#*:}
  blocks=${blocks%%:*}
  device_build "variant" gradclip_bench \
    "-DGRADCLIP_VECTORS=$vectors -DGRADCLIP_BLOCKS=$blocks -DGRADCLIP_SIDE_BY_SIDE=$order"
  cp "$built/variant/gradclip_bench" "$out/device/bench_${vectors}_${blocks}_$order"
done
# A peer; the toolkit's own CUB, which has the sum that is the same on every GPU from CCCL 3.1 on.
"$nvcc" -std=c++17 -O3 -arch=sm_90 -cudart static benchmarks/gpu/cub_sum.cu -o "$out/device/cub_sum"
strip -s "$out"/device/*_test "$out"/device/*bench*
cp scripts/gpu-bundle-device.sh "$out/device/run-device.sh"
cp benchmarks/gpu/peers.py "$out/device/peers.py"

# ---- with Java

maven() { mvn -B -ntp -q -Dcuda.architectures=one "$@" >&2; }
maven -DskipTests -Dmaven.javadoc.skip=true package
[ -f java/gradclip/target/native/libgradclip_cuda.so ] || {
  echo "gpu-bundle: there is no libgradclip_cuda.so" >&2
  exit 1
}
"$java_home/bin/java" -cp benchmarks/target/benchmarks.jar dev.gradclip.benchmarks.GpuReport --list > "$out/device/cases.json"

java=$out/java
"$java_home/bin/jlink" --output "$java/jre" --strip-debug --no-header-files --no-man-pages --compress=2 \
  --add-modules java.base,java.logging,java.management,java.sql,java.xml,jdk.jfr,jdk.management,jdk.unsupported
strip -s "$java/jre/lib/server/libjvm.so" 2> /dev/null || true

# In one run with package, for a module's artifact is known to the others only then.
maven -DskipTests -Dmaven.javadoc.skip=true -pl java/gradclip-jcuda -am package dependency:copy-dependencies \
  -DincludeScope=test -DoutputDirectory="$java/jars"
rm -f "$java"/jars/junit-*.jar "$java"/jars/opentest4j-*.jar "$java"/jars/apiguardian-*.jar "$java"/jars/gradclip*.jar
cp java/gradclip/target/gradclip-0*.jar java/gradclip-jcuda/target/gradclip-jcuda-0*.jar "$java/jars/"
rm -f "$java"/jars/*-sources.jar "$java"/jars/*-javadoc.jar "$java"/jars/*-tests.jar
junit=$(sed -n 's|.*<junit.version>\(.*\)</junit.version>.*|\1|p' pom.xml)
maven -N dependency:copy "-Dartifact=org.junit.platform:junit-platform-console-standalone:$junit" \
  -DoutputDirectory="$java/jars"
cp -r java/gradclip/target/test-classes "$java/tests/gradclip"
cp -r java/gradclip-jcuda/target/test-classes "$java/tests/gradclip-jcuda"
cp benchmarks/target/benchmarks.jar "$java/benchmarks.jar"
cp java/gradclip-cli/target/gradclip-cli.jar "$java/command/"
cp -r java/gradclip-cli/target/lib "$java/command/"
cp java/gradclip/target/native/libgradclip.so java/gradclip/target/native/libgradclip_cuda.so "$java/natives/"
cp java/gradclip/target/native/test/*.so "$java/natives/test/" 2> /dev/null || true
cp scripts/gpu-bundle-run.sh "$java/run.sh"
cp scripts/cublas_forwarder.c scripts/cublas_forwarder.map "$java/"
chmod +x "$java/run.sh" "$out/device/run-device.sh"
# To be carried: Java's part is a third smaller so.
tar -czf "$out/java.tar.gz" -C "$out" java
du -sh "$out/device" "$java" "$out/java.tar.gz" >&2
