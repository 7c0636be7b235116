#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a folder with all that a GPU host needs to test and to time gradclip: a trimmed Java runtime, jars, natives, tests.
# The host needs a driver and nothing else; where it has compute-sanitizer or PyTorch, they are used.
#   scripts/gpu-bundle.sh [FOLDER]     FOLDER: build/gpu-bundle
# then there:
#   FOLDER/run.sh test                 FOLDER/run.sh bench
set -eu
root=$(CDPATH="" cd -- "$(dirname -- "$0")/.." && pwd)
out=${1:-$root/build/gpu-bundle}
java_home=${JAVA_HOME:-$(dirname -- "$(dirname -- "$(readlink -f -- "$(command -v javac)")")")}

cd "$root"
mvn -B -ntp -q -DskipTests -Dmaven.javadoc.skip=true package >&2
[ -f java/gradclip/target/native/libgradclip_cuda.so ] || {
  echo "gpu-bundle: there is no libgradclip_cuda.so; nvcc is needed to build it" >&2
  exit 1
}

rm -rf "$out"
mkdir -p "$out/jars" "$out/natives" "$out/tests"
"$java_home/bin/jlink" --output "$out/jre" --strip-debug --no-header-files --no-man-pages --compress=2 \
  --add-modules java.base,java.logging,java.management,java.sql,java.xml,jdk.management,jdk.unsupported
strip -s "$out/jre/lib/server/libjvm.so" 2> /dev/null || true

copy() { # module, artifacts' scope
  mvn -B -ntp -q -pl "$1" dependency:copy-dependencies -DincludeScope="$2" -DoutputDirectory="$out/jars" >&2
}
cp java/gradclip/target/gradclip-*[T0-9].jar java/gradclip-jcuda/target/gradclip-jcuda-*[T0-9].jar "$out/jars/"
copy java/gradclip-jcuda test
mvn -B -ntp -q dependency:copy -Dartifact=org.junit.platform:junit-platform-console-standalone:6.1.3 \
  -DoutputDirectory="$out/jars" >&2
rm -f "$out"/jars/junit-jupiter*.jar "$out"/jars/junit-platform-[cel]*[!e]-6*.jar "$out"/jars/opentest4j*.jar "$out"/jars/apiguardian*.jar
[ -n "$(find "$out/jars" -name "junit-platform-console-standalone-*.jar")" ] || {
  echo "gpu-bundle: the JUnit console is missing" >&2
  exit 1
}
cp -r java/gradclip/target/test-classes "$out/tests/gradclip"
cp -r java/gradclip-jcuda/target/test-classes "$out/tests/gradclip-jcuda"
cp benchmarks/target/benchmarks.jar "$out/benchmarks.jar"
cp benchmarks/src/main/python/gpu_peers.py "$out/"
cp java/gradclip/target/native/libgradclip.so java/gradclip/target/native/libgradclip_cuda.so "$out/natives/"
cp java/gradclip/target/native/test/*.so "$out/natives/" 2> /dev/null || true
cp scripts/gpu-bundle-run.sh "$out/run.sh"
cp scripts/cublas_forwarder.c scripts/cublas_forwarder.map "$out/"
git rev-parse HEAD > "$out/commit" 2> /dev/null || echo unknown > "$out/commit"
chmod +x "$out/run.sh"
du -sh "$out" >&2
