package demo

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/autoscaler/policyfile"
	"plimsoll.dev/plimsoll/autoscaler/process"
)

// Demo is the built-in service on this machine.
type Demo struct {
	// Documents are its service and its policy.
	Documents *policyfile.File
	sockets   string
}

// Open makes the folder of the demo's sockets, in the data folder where they fit, and the documents that name it.
func Open(data string) (*Demo, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program for the demo: %w", err)
	}
	d := &Demo{}
	if d.sockets, err = socketFolder(data); err != nil {
		return nil, fmt.Errorf("cannot make a folder for the demo's sockets: %w", err)
	}
	if d.Documents, err = Documents(program, d.sockets, runtime.NumCPU()); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// socketFolder makes an empty folder for sockets: in the data folder, which this process holds and where what a killed one left
// behind is found again, unless its path is too long for a socket's address (108 bytes).
func socketFolder(data string) (string, error) {
	dir, err := filepath.Abs(filepath.Join(data, "demo"))
	if err != nil {
		return "", err
	}
	if len(dir) > 80 {
		return os.MkdirTemp("", "plimsoll-demo-")
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o700)
}

// Load makes the changing load of its service, whose replicas the supervisor runs.
func (d *Demo) Load(s *process.Supervisor, log *slog.Logger, reg prometheus.Registerer) *Load {
	return NewLoad(LoadOptions{Dir: d.sockets, Cores: runtime.NumCPU(), Ready: Ready(s), Logger: log, Registerer: reg})
}

// Close removes the folder.
func (d *Demo) Close() error { return os.RemoveAll(d.sockets) }
