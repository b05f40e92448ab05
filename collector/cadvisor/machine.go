package cadvisor

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/google/cadvisor/lib/container/common"
	"github.com/google/cadvisor/lib/model"
	"github.com/prometheus/procfs"

	"plimsoll.dev/plimsoll/collector/host"
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
func readMachine(h host.Host) (*machineState, error) {
	m := &machineState{info: &model.MachineInfo{NumCores: runtime.NumCPU(), DiskMap: map[string]model.DiskInfo{}}}
	proc, err := procfs.NewFS(h.Proc)
	if err != nil {
		return m, fmt.Errorf("cannot read the machine: %w", err)
	}
	stat, err := proc.Stat()
	if err != nil {
		err = fmt.Errorf("cannot count the machine's CPUs: %w", err)
	}
	if n := len(stat.CPU); n > 0 {
		m.info.NumCores = n // those that are online; what the process may run on is no measure of the machine
	}
	if stat.BootTime > 0 {
		m.booted = time.Unix(int64(stat.BootTime), 0)
	}
	memory, err2 := proc.Meminfo()
	if memory.MemTotalBytes != nil {
		m.info.MemoryCapacity = *memory.MemTotalBytes
	}
	all, err3 := diskstats(h)
	for _, d := range all {
		if !strings.HasPrefix(d.DeviceName, "loop") && !strings.HasPrefix(d.DeviceName, "ram") && !strings.HasPrefix(d.DeviceName, "sr") {
			m.info.DiskMap[fmt.Sprintf("%d:%d", d.MajorNumber, d.MinorNumber)] = model.DiskInfo{Name: d.DeviceName, Major: uint64(d.MajorNumber), Minor: uint64(d.MinorNumber)}
		}
	}
	return m, errors.Join(err, err2, err3)
}
