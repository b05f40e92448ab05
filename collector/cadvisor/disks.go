package cadvisor

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/cadvisor/lib/fs"

	// The file systems that a node's disks have, and an overlay for a root inside a container. Those that
	// may hang (nfs), cost a fork (zfs) or are memory (tmpfs) are left out.
	_ "github.com/google/cadvisor/lib/fs/btrfs/install"
	_ "github.com/google/cadvisor/lib/fs/overlay/install"
	_ "github.com/google/cadvisor/lib/fs/vfs/install"

	"plimsoll.dev/plimsoll/collector/host"
)

// disks is what the node's file systems last said.
type disks struct {
	at  time.Time
	all []disk
}

type disk struct {
	device string
	*fs.FsStats
}

// Filesystems asks the machine's file systems once, and says which do not answer.
func (r *Reader) Filesystems() error {
	_, err := readDisks(r.opt.Host)
	return err
}

// readDisks asks the node's file systems: those on block devices, and the root's whatever it is. The
// overlays of containers and loop-mounted packages are none of the node's. The library lists only what is mounted where it believes the
// machine's root to be, and is asked for one file system at a time.
func readDisks(h host.Host) (*disks, error) {
	d := &disks{}
	var errs error
	for _, m := range ofMachine(h, h.Mounts()) {
		s, err := fs.GetPluginForFsType(m.Type).GetStats(m.Source, fs.PartitionInfo{Mountpoint: m.Dir, FsType: m.Type})
		switch {
		case err != nil:
			errs = errors.Join(errs, fmt.Errorf("cannot read the file system at %q: %w", m.Dir, err))
		case s != nil && s.Capacity > 0:
			d.all = append(d.all, disk{m.Source, s})
		}
	}
	d.at = time.Now()
	if len(d.all) == 0 && errs == nil && h.Root != "/" { // a machine may have none, but not one that was mounted
		errs = fmt.Errorf("cannot read the file systems: none of the machine's is mounted at %q", h.Root)
	}
	return d, errs
}

// ofMachine picks the mounts that are asked, one of each device: the root's, and of the others the first.
func ofMachine(h host.Host, all []host.Mount) []host.Mount {
	at := map[string]int{}
	var out []host.Mount
	for _, m := range all {
		dir, here := h.OnMachine(m.Dir)
		onDisk := strings.HasPrefix(m.Source, "/dev/") && !strings.HasPrefix(m.Source, "/dev/loop") && m.Type != "overlay"
		if !here || dir != "/" && !onDisk || fs.GetPluginForFsType(m.Type) == nil {
			continue
		}
		i, twice := at[m.Source]
		switch {
		case !twice:
			at[m.Source] = len(out)
			out = append(out, m)
		case dir == "/":
			out[i] = m
		}
	}
	return out
}
