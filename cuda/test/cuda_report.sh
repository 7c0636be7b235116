#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cuda_report.sh REPORT PTX: REPORT is what nvcc -Xptxas -v printed, PTX the code of measure.cu. Prints registers and spills
# of each kernel and architecture; fails where one spills, or what it calls, or where measure does not load 16 bytes at once.
set -eu

table=$(awk '
  /Compiling entry function/ {
    split($0, quoted, "\047"); name = quoted[2]; arch = quoted[4]; spills = -1
    match(name, /(measure|lagged|decide|scale|oneLaunch|clamp|update|setNumbers|setUpdate)Kernel/); kernel = substr(name, RSTART, RLENGTH)
    if (name ~ /decideKernelILb1E/) kernel = kernel "<wide>"
    if (match(name, /UpdateFormE[0-9]/)) kernel = kernel "<" substr(name, RSTART + 11, 1) ">"
    if (match(name, /AbsoluteSum|SquareSum|Maximum|PowerSum/)) kernel = kernel "<" substr(name, RSTART, RLENGTH) ">"
  }
  /Function properties for/ { own = $NF == name; called = $NF }
  /bytes spill stores/ && own { spills = $5 + $9 }
  /bytes spill stores/ && !own && $5 + $9 > 0 { print arch, called, $5 + $9, "bytes spilled  TOO MANY" }
  /Used [0-9]+ registers/ && name != "" {
    match($0, /Used [0-9]+/)
    printf "%-7s %-28s %3d registers %5d bytes spilled%s\n", arch, kernel, substr($0, RSTART + 5, RLENGTH - 5), spills,
      spills != 0 ? "  TOO MANY" : ""
    name = ""
  }' "$1" | sort)
echo "$table"
[ -n "$table" ] || { echo "no kernel in $1"; exit 1; }
case "$table" in *"TOO MANY"*) exit 1 ;; esac
[ "$(grep -c 'ld.global.v4' "$2")" -ge 8 ] || { echo "no 16-byte loads in $2"; exit 1; }
