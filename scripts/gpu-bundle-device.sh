#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs on a GPU host, from the folder device/ that scripts/gpu-bundle.sh made; needs a driver and nothing else:
#   run-device.sh test  [RESULTS]   the device tests, then, where there is one, compute-sanitizer over the shorter of them
#   run-device.sh bench [RESULTS]   times by events, then other builds of the kernels, ncu and other libraries where there are such
# Each takes less than ten minutes: every step has a limit of its own. What comes is appended to RESULTS (default: results) as it
# comes, and at the end packed in RESULTS.tar.gz.
set -u
export PYTHONUNBUFFERED=1
here=$(CDPATH="" cd -- "$(dirname -- "$0")" && pwd)
what=${1:-}
results=${2:-$here/results}
case $what in
  test | bench) ;;
  *)
    sed -n 's/^# \{0,1\}//p' "$0" | sed -n 2,7p >&2
    exit 2
    ;;
esac
mkdir -p "$results"
summary=$results/summary.txt
failed=0

step() { # limit in seconds, name, command...
  limit=$1
  name=$2
  shift 2
  start=$(date +%s)
  timeout -k 5 "$limit" "$@" > "$results/$name.log" 2>&1
  code=$?
  case $code in
    0) outcome=passed ;;
    77) outcome="not run: $(tail -n 1 "$results/$name.log")" ;;
    124 | 137) outcome="stopped after its $limit s" ;;
    *)
      outcome="failed with $code"
      failed=1
      ;;
  esac
  echo "$name: $outcome ($(($(date +%s) - start)) s)" | tee -a "$summary"
  pack
}

# After each step: a run that is cut short leaves what came before.
pack() { tar -czf "$results.tar.gz" -C "$(dirname -- "$results")" "$(basename -- "$results")"; }

{
  date -u +%Y-%m-%dT%H:%M:%SZ
  echo "commit $(cat "$here/commit")"
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.mem --format=csv,noheader 2> /dev/null || echo "no nvidia-smi"
} | tee -a "$summary"

if [ "$what" = test ]; then
  for test in bits range clip rules history lagged step plan capture launches; do step 60 "device-$test" "$here/device_${test}_test"; done
  for test in clip rules step; do
    step 60 "device-$test-in-turn" env GRADCLIP_CUDA_DEPENDENT_LAUNCH=0 "$here/device_${test}_test"
  done
  if command -v compute-sanitizer > /dev/null 2>&1; then
    for tool in memcheck racecheck initcheck synccheck; do
      step 60 "sanitizer-$tool" compute-sanitizer --tool $tool --error-exitcode 9 "$here/device_rules_test"
    done
  fi
else
  step 200 bench "$here/gradclip_bench" "$results/bench.jsonl" --seconds 150
  for variant in "$here"/bench_*; do
    [ -x "$variant" ] || continue
    label=$(basename "$variant")
    step 20 "$label" "$variant" "$results/bench.jsonl" --shape 1x1GiB --seconds 10 --label "$label"
  done
  if command -v ncu > /dev/null 2>&1; then
    step 60 ncu ncu --set basic --launch-skip 20 --launch-count 30 --csv "$here/gradclip_bench" "$results/ncu.jsonl" --quick --seconds 20
  fi
  if command -v python3 > /dev/null 2>&1; then
    # The limits of all libraries together; what is not installed takes none of it.
    step 130 peers python3 "$here/peers.py" --cases "$here/cases.json" --json "$results/peers.jsonl" --seconds 0.2
  else
    echo "peers: not run: no python3" | tee -a "$summary"
  fi
fi
pack
echo "$results.tar.gz"
exit $failed
