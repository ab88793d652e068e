#!/bin/sh
# Fetches Debian's Xen 4.17, unpacks the hypervisor into guest/xen.elf and builds dom0.elf. Nothing is installed. Needs
# Debian 12 or a relative of it, and binutils.
set -eu
cd "$(dirname "$0")"

package=xen-hypervisor-4.17-amd64
for tool in apt-get dpkg gunzip make as ld; do
  command -v "$tool" > /dev/null || {
    echo "$tool is missing: unpack /boot/xen-4.17-amd64.gz of the Debian package $package into $PWD/guest/xen.elf and run make." >&2
    exit 1
  }
done

mkdir -p guest
# apt leaves root's rights for a download; this folder need not be open to its user.
(cd guest && apt-get -o APT::Sandbox::User=root download "$package" && dpkg -x "$package"_*.deb .)
rm guest/"$package"_*.deb
gunzip -c guest/boot/xen-4.17-amd64.gz > guest/xen.elf
make -s dom0.elf
