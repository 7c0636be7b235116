#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs on a GPU host, from the folder java/ that scripts/gpu-bundle.sh made; run-device.sh of its neighbour device/ comes first:
#   run.sh test  [RESULTS]   the contract suite with CUDA required, gradclip parity, parity with cuBLAS, compute-sanitizer
#   run.sh bench [RESULTS]   times from Java
# Results go to the folder RESULTS (default: results), as JSON with device, driver, CUDA version, date and commit, and at the end to
# RESULTS.tar.gz. Every step has a limit of its own, and each of the two takes less than ten minutes.
set -eu
here=$(CDPATH="" cd -- "$(dirname -- "$0")" && pwd)
what=${1:-}
results=${2:-$here/results}
mkdir -p "$results"
results=$(CDPATH="" cd -- "$results" && pwd)
java=$here/jre/bin/java
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

text() { printf '%s' "$1" | tr -d '\n"\\'; }

host() { # the fields that say where and what
  gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2> /dev/null | head -n 1 || true)
  cuda=$(nvidia-smi 2> /dev/null | sed -n 's/.*CUDA Version: *\([0-9.]*\).*/\1/p' | head -n 1)
  printf '"gpu": "%s", "cuda": "%s", "date": "%s", "commit": "%s"' "$(text "$gpu")" "$(text "$cuda")" \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(text "$(cat "$here/commit")")"
}

steps=""
step() { # limit in seconds, name, command...
  limit=$1
  name=$2
  shift 2
  start=$(date +%s)
  echo "== $name"
  if limited "$@" > "$results/$name.log" 2>&1; then outcome=passed; else
    outcome=failed
    failed=1
    tail -n 60 "$results/$name.log"
  fi
  seconds=$(($(date +%s) - start))
  echo "== $name: $outcome in $seconds s"
  steps="$steps${steps:+, }{\"name\": \"$name\", \"outcome\": \"$outcome\", \"seconds\": $seconds}"
}

# A function under a limit: timeout knows only programs.
limited() {
  "$@" &
  child=$!
  (sleep "$limit" && kill "$child") 2> /dev/null &
  watch=$!
  wait "$child"
  code=$?
  kill "$watch" 2> /dev/null
  return $code
}

jars() { find "$here/jars" -name '*.jar' | tr '\n' ':'; }

java_tests() { # folder of classes, options of the JUnit console...
  tests=$here/tests/$1
  library=$(find "$here/jars" -name "$1-0*.jar")
  shift
  # JCuda unpacks its natives under fixed names: a folder of this run's own.
  LD_LIBRARY_PATH="$scratch${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" $wrapper "$java" -Xmx6g -XX:MaxDirectMemorySize=12g \
    -Djava.io.tmpdir="$scratch" -Ddev.gradclip.native.path="$here/natives" -Dnative.dir="$here/natives" \
    -Dbuild.classes="$library" -Dbuild.testClasses="$tests" -Ddev.gradclip.test.cuda=required -cp "$tests:$(jars)" \
    org.junit.platform.console.ConsoleLauncher execute --exclude-tag emulated --disable-banner --details=summary "$@"
}
wrapper=""

forward_cublas() {
  ldconfig -p 2> /dev/null | grep -q 'libcublas\.so\.12' && return 0
  wheel=$(python3 -c 'import glob, site; print(next(iter(glob.glob(site.getsitepackages()[0] + "/nvidia/*/lib/libcublas.so.1*")), ""))' 2> /dev/null || true)
  [ -z "$wheel" ] || export GRADCLIP_CUBLAS="$wheel"
  cc -shared -fPIC -Wl,-soname,libcublas.so.12 "-Wl,--version-script=$here/cublas_forwarder.map" \
    "$here/cublas_forwarder.c" -o "$scratch/libcublas.so.12" -ldl
}

# These look at the checkout, at a JDK, or at what Maven built.
checkout='.*(Native|Leak|Readme|Loading|JarContents|ModularUser|ClipRecording|OpenMpThreads|DocsExample|Architecture).*Test'

case "$what" in
  test)
    step 240 contract java_tests gradclip --scan-class-path "$here/tests/gradclip" --exclude-classname "$checkout"
    step 60 parity "$java" -Ddev.gradclip.native.path="$here/natives" -jar "$here/command/gradclip-cli.jar" parity --format=json
    forward_cublas || echo "no libcublas.so.12, and none could be made"
    step 60 cublas java_tests gradclip-jcuda --scan-class-path "$here/tests/gradclip-jcuda" --exclude-classname "$checkout"
    if command -v compute-sanitizer > /dev/null 2>&1; then
      for tool in memcheck racecheck initcheck synccheck; do
        wrapper="compute-sanitizer --tool $tool --target-processes all --error-exitcode 9"
        step 60 "sanitizer-$tool" java_tests gradclip --select-class dev.gradclip.BackendsAgreeTest
      done
      wrapper=""
    fi
    ;;
  bench)
    step 300 gradclip "$java" -Xmx2g -Ddev.gradclip.native.path="$here/natives" -cp "$here/benchmarks.jar" \
      dev.gradclip.benchmarks.GpuReport --json "$results/gradclip.json"
    cat "$results"/gradclip.log
    ;;
  *)
    sed -n 's/^# \{0,1\}//p' "$0" | sed -n 3,6p >&2
    exit 2
    ;;
esac
printf '{%s, "what": "%s", "steps": [%s]}\n' "$(host)" "$what" "$steps" > "$results/$what.json"
cat "$results/$what.json"
tar -czf "$results.tar.gz" -C "$(dirname -- "$results")" "$(basename -- "$results")"
exit $failed
