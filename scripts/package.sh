#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Packs the command with a Java runtime of its own, for machines without Java:
#   scripts/package.sh FOLDER [MAVEN-OPTION...]
#     FOLDER/gradclip-VERSION-linux-x86_64.tar.gz   unpack it anywhere and run bin/gradclip
#     FOLDER/gradclip_VERSION_amd64.deb             where dpkg-deb and dpkg-shlibdeps are; puts gradclip on the PATH
# It builds what is in the tree, with CUDA kernels for every GPU where nvcc is found; -Dcuda.skip or
# -Dcuda.architectures=one
# makes that shorter. The runtime is that of the JDK in JAVA_HOME, else of the javac on PATH: what that JDK needs of the
# system, the packages need.
set -eu

fail() {
  echo "package: $1" >&2
  exit 1
}

[ $# -ge 1 ] || fail "usage: package.sh FOLDER [MAVEN-OPTION...]"
out=$1
shift
root=$(CDPATH="" cd -- "$(dirname -- "$0")/.." && pwd)
java_home=${JAVA_HOME:-}
if [ -z "$java_home" ]; then
  javac=$(command -v javac) || fail "javac was not found; install a JDK, 17 or newer, or set JAVA_HOME"
  java_home=$(dirname -- "$(dirname -- "$(readlink -f -- "$javac")")")
fi
[ -x "$java_home/bin/jlink" ] || fail "there is no jlink in $java_home; install a whole JDK"
mkdir -p "$out"
out=$(CDPATH="" cd -- "$out" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$root"

case " $* " in
  *" -Dcuda."*) ;;
  *) set -- -Dcuda.architectures=all "$@" ;;
esac
mvn -B -ntp -q -Dstyle.color=never -Dmaven.test.skip -Dmaven.javadoc.skip -Dspotless.check.skip \
  -pl java/gradclip-cli -am "$@" package

built=java/gradclip-cli/target
version=$(sed -n 's|^  *<version>\(.*\)</version>|\1|p' java/gradclip-bom/pom.xml | head -n 1)
case $(uname -m) in
  x86_64) debian=amd64 ;;
  aarch64) debian=arm64 ;;
  *) debian= ;;
esac
name=gradclip-$version-linux-$(uname -m)
app=$scratch/$name
mkdir -p "$app/bin" "$app/lib"
cp scripts/packaged-gradclip.sh "$app/bin/gradclip"
chmod 755 "$app/bin/gradclip"
cp "$built/gradclip-cli.jar" "$app/lib/"
cp -r "$built/lib" "$app/lib/lib"
cp LICENSE NOTICE "$app/"
chmod 644 "$app/LICENSE" "$app/NOTICE"

# The modules that the classes name. Without the jars' module-info.class, for a class path is what runs; optional
# parts of the
# libraries, which nothing here calls, are not looked for.
mkdir "$scratch/classes"
for jar in "$app"/lib/*.jar "$app"/lib/lib/*.jar; do (cd "$scratch/classes" && "$java_home/bin/jar" -x -f "$jar"); done
find "$scratch/classes" -name module-info.class -exec rm {} +
modules=$("$java_home/bin/jdeps" --multi-release 17 --ignore-missing-deps --print-module-deps "$scratch/classes")
"$java_home/bin/jlink" --module-path "$java_home/jmods" --add-modules "$modules" --strip-debug --no-header-files \
  --no-man-pages --output "$app/runtime"
# What wants a screen, a sound card or X11, none of which the command uses.
for library in libawt_xawt libjawt libjsound libsplashscreen; do rm -f "$app/runtime/lib/$library.so"; done
# Classes that the JVM maps instead of reading them: a short command starts in half the time.
"$app/runtime/bin/java" -XX:+UseSerialGC -Xshare:dump > "$scratch/dump.log" 2>&1 || fail "$(cat "$scratch/dump.log")"

time=$(sed -n 's|.*<project.build.outputTimestamp>\(.*\)</project.build.outputTimestamp>.*|\1|p' pom.xml)
tar -C "$scratch" --sort=name --owner=0 --group=0 --numeric-owner --mtime="$time" -c "$name" |
  gzip -9 -n > "$out/$name.tar.gz"
echo "package: $out/$name.tar.gz, $(du -k "$out/$name.tar.gz" | cut -f 1) KiB, unpacked $(du -sk "$app" | cut -f 1) KiB"

if [ -z "$debian" ] || ! command -v dpkg-deb > /dev/null 2>&1 || ! command -v dpkg-shlibdeps > /dev/null 2>&1; then
  echo "package: no .deb made: dpkg-deb or dpkg-shlibdeps not found; install dpkg-dev"
  exit 0
fi
# A snapshot comes before its release.
deb_version=$(printf '%s' "$version" | sed 's/-SNAPSHOT$/~snapshot/')
deb=$scratch/deb
mkdir -p "$deb/DEBIAN" "$deb/usr/bin" "$deb/usr/lib" "$deb/usr/share/doc/gradclip" "$scratch/debian"
cp -r "$app" "$deb/usr/lib/gradclip"
ln -s ../lib/gradclip/bin/gradclip "$deb/usr/bin/gradclip"
{
  cat NOTICE
  printf '\nThe Java runtime in /usr/lib/gradclip/runtime has licenses of its own, in its folder legal.\n'
  printf 'The Apache License, Version 2.0, is in /usr/share/common-licenses/Apache-2.0.\n'
} > "$deb/usr/share/doc/gradclip/copyright"
printf 'Source: gradclip\n\nPackage: gradclip\nArchitecture: any\n' > "$scratch/debian/control"
runtime=$deb/usr/lib/gradclip/runtime
needs=$(cd "$scratch" && find "$runtime" -type f \( -name '*.so' -o -path '*/bin/*' \) -exec dpkg-shlibdeps -O \
  --ignore-missing-info -l"$runtime/lib" -l"$runtime/lib/server" {} + 2> "$scratch/shlibdeps.log" |
  sed -n 's/^shlibs:Depends=//p') || fail "$(cat "$scratch/shlibdeps.log")"
cat > "$deb/DEBIAN/control" << END
Package: gradclip
Version: $deb_version
Architecture: $debian
Maintainer: The gradclip authors <gradclip@localhost>
Installed-Size: $(du -sk "$deb/usr" | cut -f 1)
Depends: $needs
Recommends: fontconfig, fonts-dejavu-core
Section: science
Priority: optional
Description: clips gradients in safetensors files, and shows what clipping does
 The command gradclip scales or clamps gradients by their norm or by value,
 inspects files of them, and trains small networks with and without clipping.
 It brings a Java runtime of its own. Fonts are needed for charts alone.
END
find "$deb" -type d -exec chmod 755 {} +
package=$out/gradclip_${deb_version}_$debian.deb
SOURCE_DATE_EPOCH=$(date -d "$time" +%s) dpkg-deb --root-owner-group -Zxz --build "$deb" "$package" \
  > "$scratch/deb.log" 2>&1 || fail "$(cat "$scratch/deb.log")"
echo "package: $package, $(du -k "$package" | cut -f 1) KiB"
