#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs what scripts/package.sh made in a bare Debian without Java, as an ordinary user:
#   scripts/check-package.sh FOLDER     FOLDER: where the packages lie; needs root, debootstrap and Debian's packages
# First the unpacked tarball with nothing else installed, then the .deb with what it depends on. GRADCLIP_BARE_SYSTEM
# names a
# folder in which debootstrap --variant=minbase has put such a system; it is copied, not changed.
set -eu

fail() {
  echo "check-package: $1" >&2
  exit 1
}

[ $# -eq 1 ] || fail "usage: check-package.sh FOLDER"
[ "$(id -u)" = 0 ] || fail "only root can run programs in another system's folder; try sudo"
root=$(CDPATH="" cd -- "$(dirname -- "$0")/.." && pwd)
tarball=$(find "$1" -name 'gradclip-*-linux-*.tar.gz')
deb=$(find "$1" -name 'gradclip_*.deb')
[ -f "$tarball" ] && [ -f "$deb" ] || fail "$1 must hold one .tar.gz and one .deb; run scripts/package.sh $1"
scratch=$(mktemp -d)
bare=$scratch/bare
trap 'umount "$bare/proc" 2> /dev/null || :; rm -rf --one-file-system "$scratch"' EXIT
if [ -n "${GRADCLIP_BARE_SYSTEM:-}" ]; then
  cp -a "$GRADCLIP_BARE_SYSTEM" "$bare"
else
  . /etc/os-release
  debootstrap --variant=minbase "$VERSION_CODENAME" "$bare" > "$scratch/debootstrap.log" 2>&1 ||
    fail "$(tail "$scratch/debootstrap.log")"
fi
for java in /usr/bin/java /usr/lib/jvm; do [ ! -e "$bare$java" ] || fail "$java is in the bare system"; done
# The loader finds a program's own folder by it.
mount -t proc proc "$bare/proc"
home=/home/somebody
mkdir -p "$bare$home"
cp "$root/java/examples/gradients/rnn-overflow.safetensors" "$bare$home/in.safetensors"
chown -R 1000:1000 "$bare$home"

as_user() { # a command of the bare system
  chroot --userspec=1000:1000 "$bare" /usr/bin/env -i HOME=$home PATH=/usr/bin:/bin sh -c "cd $home && $1"
}

try() { # the command's path
  command=$1
  as_user "$command --version"
  as_user "$command info" > "$scratch/info" || fail "$(cat "$scratch/info")"
  grep -q 'backend native: available' "$scratch/info" || fail "no native code: $(cat "$scratch/info")"
  rm -f "$bare$home/out.safetensors" "$bare$home/demo.json" "$bare$home/demo.png"
  as_user "$command clip in.safetensors -o out.safetensors --max-norm 1"
  [ -s "$bare$home/out.safetensors" ] || fail "gradclip clip wrote nothing"
  as_user "$command demo --seconds 5" > "$scratch/demo" 2>&1 || fail "$(cat "$scratch/demo")"
  grep -E '^written|not written' "$scratch/demo" || :
  [ -s "$bare$home/demo.json" ] || fail "gradclip demo wrote no demo.json"
  left=$(find "$bare/tmp" -mindepth 1)
  [ -z "$left" ] || fail "left in /tmp: $left"
}

echo "check-package: $(basename "$tarball"), with nothing installed"
tar -x -C "$bare$home" -f "$tarball"
try "$home/$(basename "$tarball" .tar.gz)/bin/gradclip"
rm -rf "${bare:?}$home/$(basename "$tarball" .tar.gz)"

echo "check-package: $(basename "$deb")"
cp "$deb" "$bare/gradclip.deb"
cp /etc/resolv.conf "$bare/etc/resolv.conf"
chroot "$bare" sh -c 'apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get install -q -y /gradclip.deb' \
  > "$scratch/apt.log" 2>&1 || fail "$(tail -n 30 "$scratch/apt.log")"
for java in /usr/bin/java /usr/lib/jvm; do [ ! -e "$bare$java" ] || fail "the .deb brought $java along"; done
try gradclip
[ -s "$bare$home/demo.png" ] || fail "gradclip demo drew no chart, though the .deb recommends fonts"
chroot "$bare" dpkg --purge gradclip > /dev/null
[ ! -e "$bare/usr/lib/gradclip" ] && [ ! -e "$bare/usr/bin/gradclip" ] || fail "dpkg --purge left files"
echo "check-package: passed"
