#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds what a release publishes, from the last commit, in a folder of its own, and puts it into a local Maven
# repository:
#   scripts/stage-release.sh VERSION HOME FOLDER [MAVEN-OPTION...]
#     VERSION   0.1.0; the tree keeps its snapshot version
#     HOME      where the project lives, as published POMs name it: https://…
#     FOLDER    the repository that is made; it must not exist
# More options go to Maven: -Psign signs with GnuPG's key; -Dcuda.skip leaves the CUDA library out, to try the rest.
# It takes JDK 21 or newer (JAVA_HOME, else the javac on PATH): with an older one the library's jar lacks its classes
# for Java 21, which scripts/CheckRelease.java refuses unless it is told --without-java-21.
# The jars of the CUDA library are made by nvcc 13, which NVCC names or PATH has, and by the nvcc 12 that
# GRADCLIP_NVCC12 names; scripts/debian-cuda.sh unpacks one.
# GRADCLIP_STAGE_BUILD names the folder to build in, else a temporary one that is removed; GRADCLIP_STAGE_COMMIT
# another commit.
# Nothing is uploaded, and no artifact is installed into Maven's own repository.
set -eu

fail() {
  echo "stage-release: $1" >&2
  exit 2
}

[ $# -ge 3 ] || fail "usage: stage-release.sh VERSION HOME FOLDER [MAVEN-OPTION...]"
version=$1
home=$2
folder=$3
shift 3
root=$(CDPATH="" cd -- "$(dirname -- "$0")/.." && pwd)
case $version in
  *-SNAPSHOT | *[!0-9A-Za-z.-]* | "") fail "$version is no version of a release; expected one like 0.1.0" ;;
esac
[ ! -e "$folder" ] || fail "$folder exists; name a new folder"
[ -z "$(git -C "$root" status --porcelain)" ] ||
  echo "stage-release: there are changes that are not committed; they are left out" >&2
"${JAVA_HOME:+$JAVA_HOME/bin/}javac" --version | grep -q -E ' (2[1-9]|[3-9][0-9])' ||
  echo "stage-release: the JDK is older than 21, so the classes for Java 21 are left out; set JAVA_HOME" >&2
grep -q "^## $version" "$root/CHANGELOG.md" || fail "CHANGELOG.md has no section '## $version'; write one"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"; rmdir "$folder" 2> /dev/null || :' EXIT
tree=${GRADCLIP_STAGE_BUILD:-$scratch/gradclip}
[ ! -e "$tree" ] || fail "$tree exists; name a new folder"
mkdir -p "$tree" "$folder"
folder=$(CDPATH="" cd -- "$folder" && pwd)
git -C "$root" archive "${GRADCLIP_STAGE_COMMIT:-HEAD}" | tar -x -C "$tree"
cd "$tree"

# What the bill of materials lists, and itself.
modules=java/gradclip-bom
listed=$(sed -n 's|.*<artifactId>\(gradclip[a-z0-9-]*\)</artifactId>.*|\1|p' java/gradclip-bom/pom.xml | sort -u)
for module in $listed; do
  case $module in
    gradclip-bom | gradclip-parent) ;;
    *) modules=$modules,java/$module ;;
  esac
done

mvn -B -ntp -q -Dstyle.color=never -Pframeworks,peers versions:set -DnewVersion="$version" -DgenerateBackupPoms=false \
  -DupdateBuildOutputTimestamp=false "$@"
# Tests and formatting are the gate's (.ci/run): without the tests no jar of them is made, and none is published.
mvn -B -ntp -q -Dstyle.color=never -Prelease,frameworks -Dmaven.test.skip -Dspotless.check.skip \
  -Dmaven.install.skip -Dproject.home="$home" -DaltDeploymentRepository="staged::file:$folder" -pl "$modules" "$@" deploy
# Of a repository that is added to, and not of a release.
find "$folder" -name 'maven-metadata*' -type f -exec rm -f {} +
echo "stage-release: $version is in $folder; look at it by: java scripts/CheckRelease.java $folder"
