#!/bin/busybox sh
# The first process of the machine: lays out the system, runs the tests, says how they ended, switches off.
/bin/busybox mkdir -p /proc /sys /dev /tmp /bin /sbin /usr/bin /usr/sbin /etc
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs -o mode=1777 tmp /tmp
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/tmp
ip link set lo up
echo root:x:0:0:root:/tmp:/bin/sh >/etc/passwd
stty -F /dev/console -opost 2>/dev/null # no CR before LF
. /vmtest/env
case $CGROUP in
v2)
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	for c in $(cat /sys/fs/cgroup/cgroup.controllers); do echo "+$c" >/sys/fs/cgroup/cgroup.subtree_control; done
	;;
v1)
	mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
	for c in cpu,cpuacct memory pids blkio; do
		mkdir -p /sys/fs/cgroup/$c
		mount -t cgroup -o $c cgroup /sys/fs/cgroup/$c || echo "cannot mount cgroup v1 $c"
	done
	ln -s cpu,cpuacct /sys/fs/cgroup/cpu
	ln -s cpu,cpuacct /sys/fs/cgroup/cpuacct
	;;
esac
# The pulse: whoever started the machine tells by it that the machine is alive, however long a test says nothing.
(while :; do cat /proc/uptime && sleep 1; done >/dev/ttyS1 2>/dev/null) &
echo $! >/tmp/pulse.pid
cd /vmtest/dir
/vmtest/run
code=$?
[ $code = 0 ] || { echo "the kernel's last words:"; dmesg | tail -n 40; }
echo "$MARK $code"
poweroff -f
