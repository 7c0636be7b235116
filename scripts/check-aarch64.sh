#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the JNI library for aarch64 on x86-64, in Debian's JRE 17 for arm64 under qemu:
#   scripts/check-aarch64.sh JAR [TEST-CLASSES]
#     JAR            gradclip-VERSION.jar, as scripts/stage-release.sh made it
#     TEST-CLASSES   java/gradclip/target/test-classes of the same sources: some contract tests, too, in two minutes
# The JRE is unpacked to a temporary folder, or to the one that GRADCLIP_AARCH64_JRE names; nothing is installed. It
# needs qemu-user, a JDK, and for the tests Maven.
set -eu

fail() {
  echo "check-aarch64: $1" >&2
  exit 1
}

[ $# -ge 1 ] && [ -f "$1" ] || fail "usage: check-aarch64.sh JAR [TEST-CLASSES]"
jar=$(readlink -f -- "$1")
tests=${2:+$(readlink -f -- "$2")}
root=$(CDPATH="" cd -- "$(dirname -- "$0")/.." && pwd)
for tool in qemu-aarch64 apt-get dpkg-deb javac; do
  command -v $tool > /dev/null 2>&1 || fail "$tool not found; install it"
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Debian's lists for arm64, in folders of this run: nothing of the system's changes.
jre=${GRADCLIP_AARCH64_JRE:-$scratch/jre}
if [ ! -d "$jre/usr/lib/jvm" ]; then
  mkdir -p "$jre" "$scratch/lists/partial" "$scratch/archives/partial"
  set -- -q -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State::status=/dev/null \
    -o Dir::State::Lists="$scratch/lists" -o Dir::Cache="$scratch" -o APT::Sandbox::User=root
  timeout 120 apt-get "$@" update > "$scratch/log" 2>&1 || fail "no list of Debian's packages for arm64"
  (cd "$scratch" &&
    timeout 300 apt-get "$@" download openjdk-17-jre-headless zlib1g libc6 libgcc-s1 libstdc++6 >> log 2>&1) ||
    fail "Debian's JRE for arm64 can't be had: $(tail -n 1 "$scratch/log")"
  for package in "$scratch"/*.deb; do dpkg-deb -x "$package" "$jre"; done
fi
run() { qemu-aarch64 -L "$jre" "$jre/usr/lib/jvm/java-17-openjdk-arm64/bin/java" "$@"; }

cat > "$scratch/Main.java" << 'END'
import dev.gradclip.Backend;
import dev.gradclip.Gradients;

class Main {
    public static void main(String[] args) {
        System.out.println(Gradients.clipByGlobalNorm(1.0, new float[] {3, 4}).globalNorm() + " "
                + System.getProperty("os.arch") + " " + Backend.preferred() + " "
                + Backend.NATIVE.details().get("simd"));
    }
}
END
javac --release 17 -cp "$jar" -d "$scratch/main" "$scratch/Main.java"
found=$(run -cp "$scratch/main:$jar" Main 2>&1) || fail "$found"
[ "$found" = "5.0 aarch64 NATIVE neon" ] || fail "expected '5.0 aarch64 NATIVE neon', found '$found'"
echo "check-aarch64: $found"
[ -n "$tests" ] || exit 0

cd "$root"
junit=$(sed -n 's|.*<junit.version>\(.*\)</junit.version>.*|\1|p' pom.xml)
{
  mvn -B -ntp -q -pl java/gradclip dependency:copy-dependencies -DincludeScope=test -DoutputDirectory="$scratch/jars" &&
    rm -f "$scratch"/jars/junit-*.jar "$scratch"/jars/opentest4j-*.jar "$scratch"/jars/apiguardian-*.jar &&
    mvn -B -ntp -q -N dependency:copy "-Dartifact=org.junit.platform:junit-platform-console-standalone:$junit" \
      -DoutputDirectory="$scratch/jars"
} > "$scratch/log" 2>&1 || fail "$(cat "$scratch/log")"
# Without what the build made for this machine.
cd java/gradclip
run -Xmx2g -Dnative.dir="$scratch/none" -Ddev.gradclip.test.cuda.emulated="$scratch/none" \
  -cp "$jar:$tests:$scratch/jars/*" org.junit.platform.console.ConsoleLauncher execute \
  --disable-banner --details=summary -c dev.gradclip.BackendsAgreeTest -c dev.gradclip.CanonicalOrderTest -c dev.gradclip.KnownFailuresTest \
  -c dev.gradclip.RangeTest -c dev.gradclip.StepTest > "$scratch/log" 2>&1 || fail "$(tail -n 100 "$scratch/log")"
grep -E 'tests (successful|failed) ' "$scratch/log" | sed 's/^\[ */check-aarch64: /; s/ *\]$//'
