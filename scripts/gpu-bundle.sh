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

if [ -e "$out" ] && [ ! -f "$out/run.sh" ]; then
  echo "gpu-bundle: $out exists and is no GPU bundle; name another folder" >&2
  exit 2
fi
rm -rf "$out"
mkdir -p "$out/jars" "$out/natives" "$out/tests"
out=$(CDPATH="" cd -- "$out" && pwd)
cd "$root"
maven() { mvn -B -ntp -q -Dcuda.architectures=all "$@" >&2; }
maven -DskipTests -Dmaven.javadoc.skip=true package
[ -f java/gradclip/target/native/libgradclip_cuda.so ] || {
  echo "gpu-bundle: there is no libgradclip_cuda.so; nvcc is needed to build it" >&2
  exit 1
}

"$java_home/bin/jlink" --output "$out/jre" --strip-debug --no-header-files --no-man-pages --compress=2 \
  --add-modules java.base,java.logging,java.management,java.sql,java.xml,jdk.management,jdk.unsupported
strip -s "$out/jre/lib/server/libjvm.so" 2> /dev/null || true

# In one run with package, for a module's artifact is known to the others only then.
maven -DskipTests -Dmaven.javadoc.skip=true -pl java/gradclip-jcuda -am package dependency:copy-dependencies \
  -DincludeScope=test -DoutputDirectory="$out/jars"
rm -f "$out"/jars/junit-*.jar "$out"/jars/opentest4j-*.jar "$out"/jars/apiguardian-*.jar "$out"/jars/gradclip*.jar
cp java/gradclip/target/gradclip-0*.jar java/gradclip-jcuda/target/gradclip-jcuda-0*.jar "$out/jars/"
rm -f "$out"/jars/*-sources.jar "$out"/jars/*-javadoc.jar "$out"/jars/*-tests.jar
junit=$(sed -n 's|.*<junit.version>\(.*\)</junit.version>.*|\1|p' pom.xml)
maven -N dependency:copy "-Dartifact=org.junit.platform:junit-platform-console-standalone:$junit" \
  -DoutputDirectory="$out/jars"
cp -r java/gradclip/target/test-classes "$out/tests/gradclip"
cp -r java/gradclip-jcuda/target/test-classes "$out/tests/gradclip-jcuda"
cp benchmarks/target/benchmarks.jar "$out/benchmarks.jar"
cp benchmarks/gpu/peers.py "$out/peers.py"
cp java/gradclip/target/native/libgradclip.so java/gradclip/target/native/libgradclip_cuda.so "$out/natives/"
cp java/gradclip/target/native/test/*.so "$out/natives/" 2> /dev/null || true
cp scripts/gpu-bundle-run.sh "$out/run.sh"
cp scripts/cublas_forwarder.c scripts/cublas_forwarder.map "$out/"
git rev-parse HEAD > "$out/commit" 2> /dev/null || echo unknown > "$out/commit"
chmod +x "$out/run.sh"
du -sh "$out" >&2
