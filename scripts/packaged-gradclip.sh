#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the gradclip command with the Java runtime that lies beside it.
#
#   GRADCLIP_JAVA_OPTS   more options for the JVM, for example -Xmx8g
#   GRADCLIP_DEBUG=1     stack traces with error messages
set -eu

# The folder above the one this script lies in, through any symbolic links that lead to it.
script=$0
while [ -L "$script" ]; do
  link=$(readlink -- "$script")
  case $link in
    /*) script=$link ;;
    *) script=$(dirname -- "$script")/$link ;;
  esac
done
root=$(CDPATH='' cd -- "$(dirname -- "$script")/.." && pwd -P)

out=false
err=false
if [ -t 1 ]; then out=true; fi
if [ -t 2 ]; then err=true; fi
# Where the encoding is ASCII the JVM could not name a file whose name is not; see the source tree's ./gradclip.
if command -v locale >/dev/null 2>&1; then
  charmap=$(locale charmap 2>&1)
else
  charmap=${LC_ALL:-${LC_CTYPE:-${LANG:-C}}}
fi
case $charmap in
  C | POSIX | ANSI_X3.4-1968 | US-ASCII | *'Cannot set'*) export LC_ALL=C.UTF-8 ;;
esac

# shellcheck disable=SC2086 # several options in one variable
exec "$root/runtime/bin/java" -XX:+UseSerialGC -Xshare:auto -XX:-UsePerfData ${GRADCLIP_JAVA_OPTS:-} \
  -Dgradclip.terminal.out="$out" -Dgradclip.terminal.err="$err" -jar "$root/lib/gradclip-cli.jar" "$@"
