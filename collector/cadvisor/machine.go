package cadvisor

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/google/cadvisor/lib/container/common"
	"github.com/google/cadvisor/lib/fs"
	"github.com/google/cadvisor/lib/machine"
	"github.com/google/cadvisor/lib/model"
	"github.com/google/cadvisor/lib/utils/sysfs"
	"github.com/google/cadvisor/lib/utils/sysinfo"
	"github.com/prometheus/procfs"

	// The file systems that a node's disks have, and an overlay for a root inside a container. Those that
	// may hang (nfs), cost a fork (zfs) or are memory (tmpfs) are left out.
	_ "github.com/google/cadvisor/lib/fs/btrfs/install"
	_ "github.com/google/cadvisor/lib/fs/overlay/install"
	_ "github.com/google/cadvisor/lib/fs/vfs/install"
)

// machineState is the machine's make-up. It names block devices and answers the library's questions for it.
type machineState struct {
	info   *model.MachineInfo
	booted time.Time
}

// GetMachineInfo is what the library asks for. The answer is shared and must not be changed.
func (m *machineState) GetMachineInfo() (*model.MachineInfo, error) { return m.info, nil }

// GetVersionInfo is asked for by nothing that is used here.
func (m *machineState) GetVersionInfo() (*model.VersionInfo, error) {
	return nil, errors.New("versions are not kept")
}

// DeviceName names a block device by its numbers.
func (m *machineState) DeviceName(major, minor uint64) (string, bool) {
	return (*common.MachineInfoNamer)(m.info).DeviceName(major, minor)
}

// readMachine looks at the machine, with no more of the library than is needed: its whole look (machine.Info)
// fails where there is no clock speed, and asks file systems that may hang. What cannot be learnt is left out
// or filled in, and the error says what.
func readMachine(host procfs.FS) (*machineState, error) {
	m := &machineState{info: &model.MachineInfo{NumCores: runtime.NumCPU()}}
	stat, err := host.Stat()
	if err != nil {
		err = fmt.Errorf("cannot count the machine's CPUs: %w", err)
	}
	if n := len(stat.CPU); n > 0 {
		m.info.NumCores = n // those that are online; what the process may run on is no measure of the machine
	}
	if stat.BootTime > 0 {
		m.booted = time.Unix(int64(stat.BootTime), 0)
	}
	var errs [2]error
	m.info.MemoryCapacity, errs[0] = machine.GetMachineMemoryCapacity()
	m.info.DiskMap, errs[1] = sysinfo.GetBlockDeviceInfo(sysfs.NewRealSysFs())
	return m, errors.Join(err, errs[0], errs[1])
}

// disks is what the node's file systems last said.
type disks struct {
	at  time.Time
	all []fs.Fs
}

// readDisks asks the node's file systems: those on block devices, and the root's whatever it is. The
// overlays of containers and loop-mounted packages are none of the node's.
func readDisks() (*disks, error) {
	info, err := fs.NewFsInfo(fs.Context{})
	if err != nil {
		return nil, fmt.Errorf("cannot list the file systems: %w", err)
	}
	rootDevice, _ := info.GetDeviceForLabel(fs.LabelSystemRoot) // "" if the root has none
	all, err := info.GetFsInfoForPath(nil)
	if err != nil {
		return nil, fmt.Errorf("cannot read the file systems: %w", err)
	}
	d := &disks{at: time.Now()}
	for _, f := range all {
		onDisk := strings.HasPrefix(f.Device, "/dev/") && !strings.HasPrefix(f.Device, "/dev/loop")
		if f.Capacity > 0 && (onDisk || f.Device == rootDevice) {
			d.all = append(d.all, f)
		}
	}
	return d, nil
}
