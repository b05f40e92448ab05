package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"plimsoll.dev/plimsoll/collector/doctor"
	"plimsoll.dev/plimsoll/internal/disk"
)

// examineStart looks at what 'run' needs for itself, the folder and the address. Another has neither of them, or it is one Plimsoll
// that has both.
func examineStart(ctx context.Context, dir, listen, webConfig string) (data, server doctor.Finding) {
	data = examineData(dir)
	server, runs := examineServer(ctx, listen, webConfig)
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	pid, held := disk.Holder("data folder", dir)
	switch {
	case held == nil && !runs:
		return data, server
	case held == nil:
		server.Status, server.Found = doctor.Fail, server.Found+", with another data folder: 'run' would not start there"
		server.Fix = "end it, or choose another address with --listen"
		return data, server
	case !errors.Is(held, disk.ErrInUse) && data.Status == doctor.Fail: // which says why
		return data, server
	}
	its, unknown := false, error(nil)
	if runs {
		its, unknown = holds(ctx, pid, listen)
	}
	switch {
	case its:
		data.Found += "; is in use by the Plimsoll that runs at " + listen
		server.Found += ", with this data folder; a second 'run' would not start"
	case unknown != nil:
		data.Status, data.Found = doctor.Warn, fmt.Sprintf("%v; that may be the Plimsoll at %s: %v", held, listen, unknown)
		data.Fix = "run doctor as the user of that Plimsoll, or as root"
	default:
		data.Status, data.Found, data.Fix = doctor.Fail, held.Error(), "stop that process, or choose another folder with --data"
		if runs {
			server.Status, server.Found = doctor.Fail, server.Found+", with another data folder: 'run' would not start there"
			server.Fix = "end it, or choose another address with --listen"
		}
	}
	return data, server
}

// holds says whether a process is the one that listens at an address.
func holds(ctx context.Context, pid int, listen string) (bool, error) {
	_, text, err := net.SplitHostPort(listen)
	if err != nil {
		return false, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", text)
	if err != nil {
		return false, err
	}
	return doctor.Listens(pid, port)
}
