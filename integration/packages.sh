#!/bin/sh
# Installs what the demonstration, the tests or the benchmarks need from the distribution, Debian or Ubuntu, and does
# nothing where all of it is there. Run as: sh integration/packages.sh demo|test|bench
set -eu

missing=
need() { # PACKAGE, then the alternatives any one of which will do: programs, or files by their path
	package=$1
	shift
	for it; do
		case $it in
		/*) [ -e "$it" ] && return 0 ;;
		*) command -v "$it" >/dev/null 2>&1 && return 0 ;;
		esac
	done
	missing="$missing $package"
}

# iproute2 and dnsmasq live where an ordinary user's path may not lead.
PATH=$PATH:/usr/sbin:/sbin

case ${1-} in
demo | test | bench) ;;
*)
	echo "usage: sh integration/packages.sh demo|test|bench" >&2
	exit 2
	;;
esac

need iproute2 ip
if [ "$1" != bench ]; then
	need qemu-system-x86 qemu-system-x86_64
	need ovmf /usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/OVMF/OVMF_CODE.fd /usr/share/edk2/ovmf/OVMF_CODE.fd
	need ipxe /usr/lib/ipxe/undionly.kpxe /usr/share/ipxe/undionly.kpxe
	need ipxe-qemu /usr/lib/ipxe/qemu/efi-virtio.rom /usr/share/ipxe/qemu/efi-virtio.rom /usr/share/qemu/efi-virtio.rom
fi
# The stock plugin range keeps its leases in SQLite, which is C, and the race detector is C too.
if [ "$1" != demo ]; then
	need gcc "${CC:-gcc}"
	need libc6-dev /usr/include/stdlib.h
fi
if [ "$1" = test ]; then
	need busybox-static busybox
	need curl curl
	need openssl openssl
	need tftp-hpa tftp
	need atftp atftp
	need dnsmasq-base dnsmasq
	need strace strace
	need isc-dhcp-client dhclient
	need dhcpcd-base dhcpcd
	need isc-dhcp-relay dhcrelay
	need sqlite3 sqlite3
	need python3-isc-dhcp-leases /usr/lib/python3/dist-packages/isc_dhcp_leases
	need isolinux /usr/lib/ISOLINUX/isolinux.bin
	need syslinux-common /usr/lib/syslinux/modules/bios/ldlinux.c32
	need xorriso xorriso
	need qemu-system-arm qemu-system-arm
	need u-boot-qemu /usr/lib/u-boot/qemu_arm/u-boot.bin
	# The servers that other people run, beside which the suite must boot machines.
	need isc-dhcp-server dhcpd
	need kea-dhcp4-server kea-dhcp4
fi
unpack=
if [ "$1" = test ]; then
	need systemd /lib/systemd/systemd-networkd /usr/lib/systemd/systemd-networkd
	# A kernel for virtual machines, which is not for this host to boot.
	if [ ! -e bin/foreign/linux/boot ]; then
		unpack=" linux"
	fi
fi
if [ "$1" = bench ]; then
	need util-linux taskset
	need dnsmasq-base dnsmasq
	need isc-dhcp-server dhcpd
	need kea-dhcp4-server kea-dhcp4
	need libwrap0 /usr/lib/*/libwrap.so.0
	need libpcre2-8-0 /usr/lib/*/libpcre2-8.so.0
	# These two exclude each other, so they are unpacked for the benchmarks and not installed.
	[ -e bin/foreign/tftpd-hpa/usr/sbin/in.tftpd ] || unpack="$unpack tftpd-hpa"
	[ -e bin/foreign/atftpd/usr/sbin/atftpd ] || unpack="$unpack atftpd"
fi

[ -n "$missing$unpack" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
	echo "packages.sh: missing:$missing$unpack (Debian's names); install them with this system's package manager" >&2
	exit 1
fi
if [ "$(id -u)" = 0 ]; then
	root="env"
elif command -v sudo >/dev/null 2>&1; then
	root="sudo env"
else
	echo "packages.sh: installing$missing$unpack needs root, and there is no sudo; run this as root" >&2
	exit 1
fi

echo "packages.sh: installing$missing$unpack"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() {
	$root DEBIAN_FRONTEND=noninteractive "$@" >"$log" 2>&1 && return 0
	cat "$log" >&2
	echo "packages.sh: failed: $*" >&2
	exit 1
}
# No DHCP server may start on this host because its package came for the tests: invoke-rc.d and systemd's helpers ask
# this file, and 101 is "forbidden" (Debian policy 9.3.3.1). One that is there already is somebody's, and stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap '$root rm -f $policy; rm -f "$log"' EXIT
	printf '#!/bin/sh\nexit 101\n' | $root tee $policy >/dev/null
	$root chmod 755 $policy
fi
quietly apt-get update
# shellcheck disable=SC2086 # a list of packages
[ -z "$missing" ] || quietly apt-get install -y --no-install-recommends $missing
# Nor at its next start.
if [ -d /run/systemd/system ]; then
	for it in $missing; do
		case $it in
		isc-dhcp-server | kea-dhcp4-server) quietly systemctl disable "$it" ;;
		esac
	done
fi
for package in $unpack; do
	mkdir -p "bin/foreign/$package" # a directory each: both have an in.tftpd
	from=$package
	# The package of Debian's newest kernel holds nothing but the name of it.
	[ "$package" != linux ] || from=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[^ ]*\)$/\1/p')
	(cd "bin/foreign/$package" && root=env quietly apt-get download "$from" && dpkg-deb -x ./*.deb . && rm ./*.deb)
done
