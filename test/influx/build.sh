#!/bin/bash
# Builds the real InfluxDB servers of the tests from their Go modules, into .cache/influx of the checkout:
#   test/influx/build.sh 1.8   pure Go, about 90 s cold
#   test/influx/build.sh 2.7   with libflux by cargo (needs cc and cargo), about 4 minutes cold
# Each server is a module of its own, so that its dependencies stay out of the product. Prints the binary's path.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "$here/../.." && pwd)/.cache/influx
mkdir -p "$out"
exec 9>"$out/build.lock"
flock 9 # two test runs at once build once

case "${1:?1.8 or 2.7}" in
1.8)
	bin=$out/influxd-1.8.3
	cd "$here/server18"
	CGO_ENABLED=0 go build -o "$bin.new" github.com/influxdata/influxdb/cmd/influxd
	;;
2.7)
	bin=$out/influxd-2.7.12
	for tool in cc cargo; do
		command -v "$tool" >/dev/null || { echo "needs $tool to build InfluxDB 2.7" >&2; exit 3; }
	done
	cd "$here/server2"
	# This pkg-config finds the flux module and runs cargo in a copy of it under Go's build cache.
	go build -o "$out/pkg-config" github.com/influxdata/pkg-config
	# libflux turns every warning into an error, and newer compilers warn about more; RUSTFLAGS does not reach its
	# build scripts.
	cat >"$out/rustc-calm" <<'W'
#!/bin/sh
case " $* " in *" --cap-lints "*) exec "$@";; *) exec "$@" --cap-lints warn;; esac
W
	chmod +x "$out/rustc-calm"
	export PATH="$out:$PATH" PKG_CONFIG="$out/pkg-config" RUSTC_WRAPPER="$out/rustc-calm"
	# flux asks for an old toolchain; what is here does as well.
	if command -v rustup >/dev/null; then
		RUSTUP_TOOLCHAIN=$(rustup show active-toolchain | cut -d' ' -f1)
		export RUSTUP_TOOLCHAIN
	fi
	CGO_ENABLED=1 go build -tags sqlite_foreign_keys,sqlite_json -o "$bin.new" github.com/influxdata/influxdb/v2/cmd/influxd
	;;
*)
	echo "version \"$1\": only 1.8 and 2.7 are known" >&2
	exit 2
	;;
esac
mv "$bin.new" "$bin"
echo "$bin"
