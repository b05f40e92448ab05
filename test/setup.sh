#!/bin/sh
# Installs what the tests need from Debian: a browser, Docker, and a kernel with its emulator for cgroup v2.
# Without root it installs nothing and says what is missing; the tests that need it then say that they did not run.
set -eu
missing=""
want() { # want COMMAND-OR-FILE PACKAGE...
	probe=$1
	shift
	case $probe in
	/*) ls $probe >/dev/null 2>&1 && return ;;
	*) command -v "$probe" >/dev/null 2>&1 && return ;;
	esac
	missing="$missing $*"
}
PATH=$PATH:/usr/sbin:/sbin
want chromium chromium
want dockerd docker.io
want iptables iptables
want qemu-system-x86_64 qemu-system-x86
want '/boot/vmlinuz-*-cloud-amd64' linux-image-cloud-amd64
want busybox busybox-static
want cpio cpio
# Prometheus is unpacked beside the checkout instead of installed: its package would start a server.
prometheus=$(dirname "$0")/../.cache/prometheus
fetch_prometheus() {
	command -v prometheus >/dev/null 2>&1 && return
	[ -x "$prometheus/usr/bin/prometheus" ] && return
	mkdir -p "$prometheus"
	(cd "$prometheus" && apt-get download -q prometheus >/dev/null 2>&1 && dpkg -x prometheus_*.deb . && rm -f prometheus_*.deb) ||
		echo "Prometheus could not be fetched (apt-get download prometheus); the tests against it will not run."
}
[ -n "$missing" ] || { fetch_prometheus; exit 0; }
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "The tests that need these Debian packages will not run; install them as root with:"
	echo "  apt-get install --no-install-recommends$missing"
	exit 0
fi
echo "Installing for the tests:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
# shellcheck disable=SC2086 # a list of package names
apt-get install -qy --no-install-recommends $missing >/dev/null
fetch_prometheus
