#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The test of CheckRelease.java: a small release that it takes, and broken ones that it refuses, each for its reason.
#   scripts/check-release-test.sh
set -eu
root=$(CDPATH="" cd -- "$(dirname -- "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/classes"
javac -d "$scratch/classes" "$root/scripts/CheckRelease.java"
group=$scratch/repository/dev/gradclip

checksums() {
  find "$scratch/repository" -type f ! -name '*.md5' ! -name '*.sha1' ! -name '*.asc' | while read -r file; do
    printf '%s' "$(md5sum < "$file" | cut -d ' ' -f 1)" > "$file.md5"
    printf '%s' "$(sha1sum < "$file" | cut -d ' ' -f 1)" > "$file.sha1"
  done
}

make_pom() { # artifact, packaging, more elements
  mkdir -p "$group/$1/0.1.0"
  cat > "$group/$1/0.1.0/$1-0.1.0.pom" << END
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>dev.gradclip</groupId>
  <artifactId>$1</artifactId>
  <version>0.1.0</version>
  <packaging>$2</packaging>
  <name>$1</name>
  <description>A test's.</description>
  <url>https://example.org/gradclip</url>
  <licenses><license><name>Apache-2.0</name><url>https://www.apache.org/licenses/LICENSE-2.0</url></license></licenses>
  <developers><developer><name>The gradclip authors</name></developer></developers>
  <scm>
    <connection>scm:git:https://example.org/gradclip.git</connection>
    <developerConnection>scm:git:https://example.org/gradclip.git</developerConnection>
    <url>https://example.org/gradclip</url>
  </scm>
  $3
</project>
END
}

make_jar() { # artifact, end of the name, files...
  made=$group/$1/0.1.0/$1-0.1.0$2
  shift 2
  (cd "$scratch/content" && jar -c -f "$made" -m "$scratch/manifest" "$@")
}

make_cuda_jar() { # the toolkit's version
  (cd "$scratch/cuda" && jar -c -f "$group/gradclip/0.1.0/gradclip-0.1.0-cuda$1.jar" META-INF dev)
}

make_library() { # platform, build id
  case $1 in
    x86_64) machine='\076' ;;
    aarch64) machine='\267' ;;
  esac
  printf "\\177ELF              $machine\\000$2\\000"
}

make_release() {
  rm -rf "$scratch/repository" "$scratch/content" "$scratch/cuda"
  make_pom gradclip jar "<dependencies><dependency><groupId>org.jspecify</groupId><artifactId>jspecify</artifactId>
    <version>1.0.1</version><scope>provided</scope></dependency></dependencies>"
  make_pom gradclip-bom pom "<dependencyManagement><dependencies><dependency><groupId>dev.gradclip</groupId>
    <artifactId>gradclip</artifactId><version>0.1.0</version></dependency></dependencies></dependencyManagement>"
  native=dev/gradclip/internal/native
  java21=META-INF/versions/21/dev/gradclip/internal/cpu
  mkdir -p "$scratch/content/$java21" "$scratch/content/$native/linux-x86_64" "$scratch/content/$native/linux-aarch64"
  echo 'Multi-Release: true' > "$scratch/manifest"
  cd "$scratch/content"
  for file in META-INF/LICENSE META-INF/NOTICE A.class A.java index.html $java21/Float16Arrays.class; do
    echo test > $file
  done
  for platform in x86_64 aarch64; do
    make_library $platform 0.1.0+hash > $native/linux-$platform/libgradclip.so
    echo 0.1.0+hash > $native/linux-$platform/gradclip.build-id
  done
  mkdir -p "$scratch/cuda/$native/linux-x86_64"
  cp -r META-INF "$scratch/cuda/"
  make_library x86_64 0.1.0+hash > "$scratch/cuda/$native/linux-x86_64/libgradclip_cuda.so"
  cd "$root"
  make_jar gradclip .jar META-INF A.class dev
  make_cuda_jar 12
  make_cuda_jar 13
  make_jar gradclip -sources.jar META-INF A.java
  make_jar gradclip -javadoc.jar index.html
  echo '{}' > "$group/gradclip/0.1.0/gradclip-0.1.0-cyclonedx.json"
  checksums
}

check() {
  java -cp "$scratch/classes" -XX:TieredStopAtLevel=1 CheckRelease "$@" "$scratch/repository" > "$scratch/said" 2>&1
}

expect() { # exit code, what is said, options...
  code=$1
  reason=$2
  shift 2
  found=0
  check "$@" || found=$?
  [ $found = "$code" ] && grep -q -e "$reason" "$scratch/said" || {
    echo "check-release-test: expected exit code $code and '$reason', found $found and:" >&2
    cat "$scratch/said" >&2
    exit 1
  }
}

refuse() { # what is said; the commands that break the release come on standard input
  make_release
  cd "$group/gradclip/0.1.0"
  eval "$(cat)"
  cd "$root"
  expect 1 "$1"
}

edit() { # sed's expression, of the library's POM
  sed -i "$1" gradclip-0.1.0.pom
  checksums
}

make_release
expect 0 "2 artifacts, 8 files, 0 faults"
expect 0 "8 files are not signed"
expect 1 "gradclip-0.1.0.jar: is not signed" --signed
find "$scratch/repository" -type f ! -name '*.md5' ! -name '*.sha1' | while read -r file; do : > "$file.asc"; done
expect 0 "0 faults" --signed

for element in name description url; do echo "edit '/^  <$element>/d'" | refuse "has no $element"; done
echo "edit '/<licenses>/d'" | refuse "has no licenses/license/name"
echo "edit '/<developers>/d'" | refuse "has no developers/developer/name"
echo "edit '/<connection>/d'" | refuse "has no scm/connection"
echo "edit 's|^  <url>.*|<url>https://project-home-is-not-set.invalid</url>|'" | refuse "give the project's home"
echo "edit 's|^  <url>.*|<url>\\\${project.home}</url>|'" | refuse "which nobody fills in"
echo "edit 's|^  <name>|<repositories/><name>|'" | refuse "has repositories"
echo "edit 's|^  <name>|<parent/><name>|'" | refuse "has parent"
echo "edit 's|1.0.1|1.0.1-SNAPSHOT|'" | refuse "depends on the snapshot org.jspecify:jspecify:1.0.1-SNAPSHOT"
echo "edit 's|<version>0.1.0|<version>0.1.0-SNAPSHOT|'" | refuse "its version is a snapshot"
echo "edit 's|<version>0.1.0|<version>0.1.1|'" | refuse "does not lie where its coordinates say"
echo "edit 's|</project>||'" | refuse "is no XML"
echo "edit 's|<groupId>org.jspecify|<groupId>dev.gradclip|'" | refuse "depends on jspecify, which is not there"
echo "rm gradclip-0.1.0-sources.jar" | refuse "sources.jar: is missing"
echo "rm gradclip-0.1.0-javadoc.jar" | refuse "javadoc.jar: is missing"
echo "rm gradclip-0.1.0-javadoc.jar" | refuse "is about gradclip-0.1.0-javadoc.jar, which is not there"
echo "rm gradclip-0.1.0-cyclonedx.json" | refuse "cyclonedx.json: is missing"
echo "rm gradclip-0.1.0.jar.md5" | refuse "has no .md5"
echo "rm gradclip-0.1.0.pom.sha1" | refuse "has no .sha1"
echo "echo x >> gradclip-0.1.0-cyclonedx.json" | refuse "but gradclip-0.1.0-cyclonedx.json.sha1 says"
echo "head -c 100 gradclip-0.1.0.jar > x && mv x gradclip-0.1.0.jar; checksums" | refuse "gradclip-0.1.0.jar: is no jar"
echo "cp gradclip-0.1.0.jar gradclip-0.1.0-tests.jar; checksums" | refuse "tests.jar: does not belong in a release"
echo "make_jar gradclip -javadoc.jar A.class; checksums" | refuse "javadoc.jar: holds no index.html"
echo "make_jar gradclip .jar A.class dev; checksums" | refuse "holds no META-INF/LICENSE"
echo "make_jar gradclip .jar META-INF A.class; checksums" | refuse "holds no .*libgradclip.so"
in_jar() { # a command in the folder of the jar's content, then the jar is made anew
  printf '%s\n' "(cd \"\$scratch/content/\$native\" && $1)" "make_jar gradclip .jar META-INF A.class dev" checksums
}
in_jar "rm -r linux-aarch64" | refuse "holds no .*linux-aarch64/libgradclip.so"
in_jar "cp linux-x86_64/* linux-aarch64/" | refuse "linux-aarch64/libgradclip.so is no library for that machine"
in_jar "cp \$scratch/cuda/\$native/linux-x86_64/* linux-x86_64/" | refuse "holds the CUDA library, which has jars"
in_jar "echo 0.0.9+hash > linux-x86_64/gradclip.build-id" | refuse "are those of 0.0.9+hash"
in_jar "make_library aarch64 0.1.0+other > linux-aarch64/libgradclip.so" |
  refuse "several builds: \[0.1.0+hash, 0.1.0+other\]"
echo "rm gradclip-0.1.0-cuda12.jar*" | refuse "cuda12.jar: is missing; stage with GRADCLIP_NVCC12"
echo "rm gradclip-0.1.0-cuda13.jar*" | refuse "cuda13.jar: is missing; stage where nvcc of CUDA 13"
echo "rm gradclip-0.1.0-cuda1*" | refuse "cuda13.jar: is missing"
expect 0 "0 faults" --without-cuda
echo "make_library x86_64 0.0.9+hash > \"\$scratch/cuda/\$native/linux-x86_64/libgradclip_cuda.so\"
  make_cuda_jar 13; checksums" | refuse "several builds: .*none in .*libgradclip_cuda.so"
echo "rm -r \"\$scratch/cuda/dev\"; mkdir \"\$scratch/cuda/dev\"; make_cuda_jar 13; checksums" |
  refuse "cuda13.jar: holds no .*libgradclip_cuda.so"
echo "rm \"\$scratch/content/\$java21/Float16Arrays.class\"; make_jar gradclip .jar META-INF A.class dev; checksums" |
  refuse "holds no .*Float16Arrays.class.*; stage with JDK 21 or newer"
expect 0 "0 faults" --without-java-21
echo ": > \"\$scratch/manifest\"; make_jar gradclip .jar META-INF A.class dev; checksums" |
  refuse "or no Multi-Release in its manifest"
echo "rm -r ../../gradclip-bom" | refuse "holds no gradclip-bom"
echo "make_pom gradclip-more pom ''; checksums" |
  refuse "gradclip-bom lists \[gradclip\], but there are \[gradclip, gradclip-more\]"
echo "rm -r ../../*" | refuse "holds no POM"
expect 2 "usage" --no-such-option
echo "check-release-test: passed"
