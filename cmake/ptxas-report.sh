#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ptxas-report.sh nvcc … -o OBJECT …: runs the command and keeps what ptxas says of registers and spills in OBJECT.ptxas, so
# that it outlives builds in which nothing is compiled.
set -u

object=
previous=
for argument in "$@"; do
  [ "$previous" = -o ] && object=$argument
  previous=$argument
done
messages=$object.messages
"$@" 2> "$messages"
status=$?
grep -E '^ptxas info|bytes spill' "$messages" > "$object.ptxas"
grep -v -E '^ptxas info|bytes spill|^$' "$messages" >&2
rm -f "$messages"
exit $status
