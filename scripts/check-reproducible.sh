#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Stages a release twice, in two folders, time zones, locales and umasks, and compares every byte of what is published:
#   scripts/check-reproducible.sh [MAVEN-OPTION...]     -Dcuda.skip or -Dcuda.architectures=one makes it shorter
# Both builds are by the same JDK, Maven and compilers. It takes twice as long as scripts/stage-release.sh. What
# differs stays in
# build/reproducible.
set -eu
root=$(CDPATH="" cd -- "$(dirname -- "$0")/.." && pwd)
out=$root/build/reproducible
rm -rf "$out"
mkdir -p "$out"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A cache of objects would hand the first build's to the second.
export CCACHE_DISABLE=1
GRADCLIP_STAGE_COMMIT=$(git -C "$root" rev-parse HEAD)
export GRADCLIP_STAGE_COMMIT
version=$(sed -n 's|^  <version>\(.*\)-SNAPSHOT</version>|\1|p' "$root/pom.xml")
home=https://example.org/gradclip
(
  umask 022
  TZ=UTC LC_ALL=C.UTF-8 GRADCLIP_STAGE_BUILD=$scratch/a "$root/scripts/stage-release.sh" "$version" $home "$out/a" "$@"
)
(
  umask 002
  TZ=Asia/Tokyo LC_ALL=C GRADCLIP_STAGE_BUILD=$scratch/another/folder/b \
    "$root/scripts/stage-release.sh" "$version" $home "$out/b" "$@"
)
diff -r -q "$out/a" "$out/b" || {
  echo "check-reproducible: what is named above differs; compare the two, for example by unzip -v" >&2
  exit 1
}
find "$out/a" -type f ! -name '*.md5' ! -name '*.sha1' | sort | while read -r file; do
  echo "$(sha256sum < "$file" | cut -d ' ' -f 1)  $(basename "$file")"
done
echo "check-reproducible: the two builds have the same bytes"
rm -rf "$out"
