#!/bin/sh
# Fetches Debian's memtest86+ and unpacks it into guest/. Nothing is installed. Needs Debian or a relative of it.
set -eu
cd "$(dirname "$0")"

for tool in apt-get dpkg; do
  command -v "$tool" > /dev/null || {
    echo "$tool is missing: unpack the Debian package memtest86+ into $PWD/guest by hand." >&2
    exit 1
  }
done

mkdir -p guest
cd guest
# apt leaves root's rights for a download; this folder need not be open to its user.
apt-get -o APT::Sandbox::User=root download memtest86+
dpkg -x memtest86+_*.deb .
rm memtest86+_*.deb
ls boot
