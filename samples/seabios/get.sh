#!/bin/sh
# Puts Debian's SeaBIOS into guest/ and builds the disk. Nothing is installed. Needs Debian or a relative of it, and
# binutils.
set -eu
cd "$(dirname "$0")"

installed=/usr/share/seabios
mkdir -p guest
if [ -e "$installed/bios-256k.bin" ]; then
  cp "$installed/bios.bin" "$installed/bios-256k.bin" guest/
else
  for tool in apt-get dpkg; do
    command -v "$tool" > /dev/null || {
      echo "$tool is missing: put bios-256k.bin of the Debian package seabios into $PWD/guest by hand and run make." >&2
      exit 1
    }
  done
  # apt leaves root's rights for a download; this folder need not be open to its user.
  (cd guest && apt-get -o APT::Sandbox::User=root download seabios && dpkg -x seabios_*.deb .)
  rm guest/seabios_*.deb
  cp "guest$installed/bios.bin" "guest$installed/bios-256k.bin" guest/
fi
make -s disk.img
