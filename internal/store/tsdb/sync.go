package tsdb

import (
	"errors"
	"os"
	"path/filepath"
)

// sync waits until the log is on the disk: its newest two segments, since the batch may have begun a new one.
func (w *writer) sync() error {
	for _, sub := range []string{"wal", "wbl"} {
		dir := filepath.Join(w.db.engineDir(), sub)
		names, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		var segments []string
		for _, n := range names {
			if !n.IsDir() {
				segments = append(segments, n.Name())
			}
		}
		for _, name := range append(segments[max(0, len(segments)-2):], ".") {
			if err := syncFile(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		if os.IsNotExist(err) {
			return nil
		}
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
