#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# library_symbols.sh LIBRARY MAXIMUM: fails if the library needs a newer glibc, another library than libc and libm, or
# exports more than its JNI functions.
set -eu
command -v objdump > /dev/null 2>&1 || exit 77

newest=$(objdump -T "$1" | sed -n 's/.*GLIBC_\([0-9.]*\).*/\1/p' | sort -V | tail -n 1)
if [ "$(printf '%s\n%s\n' "$newest" "$2" | sort -V | tail -n 1)" != "$2" ]; then
  echo "needs GLIBC_$newest; at most $2 is expected:"
  objdump -T "$1" | grep "GLIBC_$newest"
  exit 1
fi
others=$(objdump -p "$1" | sed -n 's/^ *NEEDED *//p' | grep -v -E '^(libc|libm)\.so\.6$|^ld-linux' || true)
[ -z "$others" ] || { echo "needs other libraries: $others"; exit 1; }
exports=$(objdump -T "$1" | grep -v -e '\*UND\*' -e '^$' | sed -n 's/^[0-9a-f]\{16\}.* //p' | grep -v '^Java_' || true)
[ -z "$exports" ] || { echo "exports: $exports"; exit 1; }
! objdump -p "$1" | grep -E 'RPATH|RUNPATH'
