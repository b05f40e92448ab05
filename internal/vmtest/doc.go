// Package vmtest runs a package's tests inside a small virtual machine with Debian's kernel, so that they
// see a real cgroup v2 (or any other thing that the machine at hand does not have) as root, and may break it.
//
// The machine is qemu with plain emulation (never KVM, which hangs on some hosts) and an initramfs that holds
// busybox, the package's test binary and its testdata. It boots in a few seconds. Its speed means nothing:
// only correctness is tested in there.
//
// A package uses it with one outer test and any number of inner ones:
//
//	func TestVM(t *testing.T) {
//		vmtest.Run(t, vmtest.Options{Run: "^TestInVM"})
//	}
//
//	func TestInVMReadsCgroup2(t *testing.T) {
//		vmtest.Inside(t) // skips unless it runs in the machine
//		os.Mkdir("/sys/fs/cgroup/a", 0o755) // this is a cgroup v2 with cpu, memory, io and pids enabled
//	}
//
// The inner tests find: uid 0, /proc, /sys, /dev, an empty writable /tmp, busybox's commands on PATH (a load is
// "yes", a memory hog is "dd if=/dev/zero of=/dev/null bs=64M" or the test binary itself), the loopback
// interface up, no other network, and the package's testdata in the working folder. Nothing in there outlives the run.
//
// An inner test that skips is a failure of the outer one: in the machine there is no reason to skip.
package vmtest
