#!/bin/sh
# Installs what the tests need from Debian: a browser, Docker, and a kernel with its emulator for cgroup v2; with "cluster" what the
# nodes of a Kubernetes need, and a machine with a kernel of its own.
# Without root it installs nothing and says what is missing; the tests that need it then say that they did not run.
# With root it ends well only if everything is there.
set -eu
PATH=$PATH:/usr/sbin:/sbin

# What is looked for, and the package that has it; of several packages the first that this release knows.
wants='
chromium chromium chromium-browser
dockerd docker.io docker-ce
docker docker-cli docker.io docker-ce-cli
iptables iptables
ip iproute2
qemu-system-x86_64 qemu-system-x86
/boot/vmlinuz-*-cloud-amd64 linux-image-cloud-amd64
busybox busybox-static busybox
cpio cpio
'
[ "${1:-}" != cluster ] || wants='
runc runc
/usr/lib/cni/bridge containernetworking-plugins
conntrack conntrack
iptables iptables
ip iproute2
debootstrap debootstrap
mkfs.ext4 e2fsprogs
qemu-system-x86_64 qemu-system-x86
/boot/vmlinuz-*-cloud-amd64 linux-image-cloud-amd64
'

have() { # have COMMAND-OR-FILES
	case $1 in
	/*) ls $1 >/dev/null 2>&1 ;;
	*) command -v "$1" >/dev/null 2>&1 ;;
	esac
}

missing() { # the lines of wants whose first word is not there
	set -f
	echo "$wants" | while read -r probe packages; do
		[ -z "$probe" ] || (set +f; have "$probe") || echo "$probe $packages"
	done
	set +f
}

retry() { # retry COMMAND...: a mirror may fail once; what it said is shown when it fails for good
	log=$(mktemp)
	for pause in 3 10 30 0; do
		if "$@" >"$log" 2>&1; then
			rm -f "$log"
			return 0
		fi
		[ $pause = 0 ] || { echo "'$*' failed, again in $pause s"; sleep $pause; }
	done
	cat "$log" >&2
	rm -f "$log"
	return 1
}

updated=""
update() {
	[ -n "$updated" ] || retry apt-get update -q -o APT::Update::Error-Mode=any ||
		echo "apt-get update failed; going on with the lists that are there." >&2
	updated=yes
}

known() { apt-cache policy "$1" 2>/dev/null | grep -q '^ *Candidate: [^(]'; }

choose() { # choose PACKAGE...
	for p; do
		if known "$p"; then
			echo "$p"
			return 0
		fi
	done
	echo "$1" # apt-get will say that there is none
}

# Prometheus is unpacked beside the checkout instead of installed: its package would start a server.
prometheus=$(dirname "$0")/../.cache/prometheus
unpack_prometheus() {
	new=$prometheus.new
	rm -rf "$new" && mkdir -p "$new" &&
		(cd "$new" && apt-get download -q prometheus && dpkg -x prometheus_*.deb . && rm -f prometheus_*.deb) &&
		rm -rf "$prometheus" && mv "$new" "$prometheus"
}
fetch_prometheus() {
	! command -v prometheus >/dev/null 2>&1 && [ ! -x "$prometheus/usr/bin/prometheus" ] || return 0
	{ ! command -v apt-get >/dev/null 2>&1 || unpack_prometheus >/dev/null 2>&1; } || {
		[ "$(id -u)" != 0 ] || update
		retry unpack_prometheus
	} || true
	[ -x "$prometheus/usr/bin/prometheus" ] ||
		echo "Prometheus could not be fetched (apt-get download prometheus); the tests against it will not run."
}

lacking=$(missing)
if [ -z "$lacking" ]; then
	fetch_prometheus
	exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "The tests that need these Debian packages will not run; install them as root with:"
	echo "  apt-get install --no-install-recommends $(echo "$lacking" | cut -d' ' -f2 | sort -u | tr '\n' ' ')"
	exit 0
fi
update
packages=$(echo "$lacking" | while read -r _ some; do choose $some; done | sort -u)
echo "Installing for the tests:" $packages
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of package names
retry apt-get install -qy --no-install-recommends -o DPkg::Lock::Timeout=300 $packages
lacking=$(missing)
if [ -n "$lacking" ]; then
	echo "These packages were installed, and yet these commands or files are not there:" >&2
	echo "$lacking" | cut -d' ' -f1 >&2
	exit 1
fi
fetch_prometheus
