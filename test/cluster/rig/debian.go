package rig

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// release and packages are what a Machine's disk has of Debian.
const (
	release  = "bookworm"
	packages = "systemd,systemd-sysv,udev,dbus,iproute2,iptables,conntrack,runc,containernetworking-plugins,kmod,procps"
)

// recipe makes what debootstrap left in the folder $1 into a machine that starts the script /node/start of its second disk. $2 is the version of the kernel.
const recipe = `set -eu
mkdir -p "$1/usr/lib/modules" "$1/node" "$1/etc/systemd/system/multi-user.target.wants"
cp -a "/lib/modules/$2" "$1/usr/lib/modules/"
rm -rf "$1"/usr/share/doc/* "$1"/usr/share/locale/* "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*
printf '/dev/vda / ext4 defaults 0 0\n/dev/vdb /node ext4 defaults 0 0\n' >"$1/etc/fstab"
echo machine >"$1/etc/hostname"
cat >"$1/etc/systemd/system/node.service" <<'I'
[Unit]
Description=what this machine is for
RequiresMountsFor=/node
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh /node/start
StandardOutput=journal+console
StandardError=journal+console
[Install]
WantedBy=multi-user.target
I
ln -s ../node.service "$1/etc/systemd/system/multi-user.target.wants/node.service"
for u in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer e2scrub_reap.service systemd-timesyncd.service getty@.service serial-getty@ttyS0.service; do
	ln -sf /dev/null "$1/etc/systemd/system/$u"
done
`

// kernel is the newest of Debian's kernels for virtual machines that is installed, with its first files.
func kernel() (image, initrd, version string, err error) {
	all, _ := filepath.Glob("/boot/vmlinuz-*-cloud-amd64")
	if len(all) == 0 {
		return "", "", "", errors.New("a machine needs a kernel in /boot/vmlinuz-*-cloud-amd64: install Debian's linux-image-cloud-amd64")
	}
	slices.Sort(all)
	version = strings.TrimPrefix(all[len(all)-1], "/boot/vmlinuz-")
	return all[len(all)-1], "/boot/initrd.img-" + version, version, nil
}

// Debian makes the disk of a Machine, from Debian's packages, and returns its path below bin's folder. It is made once, in less than two minutes.
func Debian(ctx context.Context, out io.Writer, bin string) (disk string, err error) {
	_, _, version, err := kernel()
	if err != nil {
		return "", err
	}
	disk = filepath.Join(filepath.Dir(bin), "debian.ext4")
	lock, err := os.OpenFile(disk+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	want := fmt.Sprintf("%x", sha256.Sum256([]byte(release+packages+recipe+version)))
	if made, err := os.ReadFile(disk + ".version"); err == nil && string(made) == want {
		return disk, nil
	}
	_, _ = fmt.Fprintln(out, "Making a Debian of a machine's own, with systemd")
	root := disk + ".new"
	defer os.RemoveAll(root)
	for _, args := range [][]string{
		{"rm", "-rf", root},
		{"unshare", "--mount", "debootstrap", "--variant=minbase", "--include=" + packages, release, root}, // what it mounts ends with it
		{"sh", "-c", recipe, "sh", root, version},
		{"mkfs.ext4", "-q", "-F", "-d", root, disk, "900M"},
	} {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
		if said, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("cannot make a machine's disk; test/setup.sh cluster installs what it needs: %s: %w\n%s", args[0], err, said)
		}
	}
	return disk, os.WriteFile(disk+".version", []byte(want), 0o644)
}
