package tsdb

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	promtsdb "github.com/prometheus/prometheus/tsdb"

	"plimsoll.dev/plimsoll/internal/disk"
)

// blockDirs returns the folders that are named like blocks.
func (r *repairer) blockDirs() []string {
	names, _ := os.ReadDir(r.dir)
	var out []string
	for _, n := range names {
		if n.IsDir() && len(n.Name()) == 26 {
			out = append(out, filepath.Join(r.dir, n.Name()))
		}
	}
	return out
}

// metas sets blocks without a readable meta.json aside: the engine would pass over them in silence, or not start.
func (r *repairer) metas() error {
	for _, dir := range r.blockDirs() {
		var meta struct {
			Version int    `json:"version"`
			ULID    string `json:"ulid"`
		}
		data, err := disk.ReadFile(filepath.Join(dir, "meta.json"))
		if err == nil {
			err = json.Unmarshal(data, &meta)
		}
		if err == nil && (meta.Version != 1 || meta.ULID != filepath.Base(dir)) {
			err = fmt.Errorf("version %d of block %q", meta.Version, meta.ULID)
		}
		if err == nil {
			continue
		}
		if err := r.block(dir, err); err != nil {
			return err
		}
	}
	return nil
}

// blocks sets every block aside that cannot be opened, and says whether there was one.
func (r *repairer) blocks() (mended bool, err error) {
	for _, dir := range r.blockDirs() {
		b, err := promtsdb.OpenBlock(nil, dir, nil, nil)
		if err == nil {
			if err := b.Close(); err != nil {
				return mended, err
			}
			continue
		}
		if err := r.block(dir, err); err != nil {
			return mended, err
		}
		mended = true
	}
	return mended, nil
}

// headChunks sets the head chunks aside. The logs have all that is in them.
func (r *repairer) headChunks() (bool, error) {
	dir := filepath.Join(r.dir, "chunks_head")
	if _, err := os.Stat(dir); err != nil {
		return false, nil //nolint:nilerr // there are none, or setting them aside would fail too
	}
	aside, err := r.setAside(dir)
	if err != nil {
		return false, err
	}
	r.report(fmt.Sprintf("set damaged head chunks aside as %q; their samples are in the log", aside))
	return true, r.unclean()
}

func (r *repairer) block(dir string, damage error) error {
	aside, err := r.setAside(dir)
	if err != nil {
		return err
	}
	r.report(fmt.Sprintf("set damaged block %q aside as %q (%v)", filepath.Base(dir), aside, damage))
	return nil
}

// trimBroken deletes what was set aside longer ago than data is kept.
func trimBroken(dir string, before time.Time) error {
	if err := disk.NoLink(dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // nothing was ever set aside
		}
		return fmt.Errorf("cannot delete what was set aside: %w", err)
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cannot delete what was set aside: %w", err)
	}
	for _, n := range names {
		if len(n.Name()) < len(asideStamp) {
			continue
		}
		at, err := time.Parse(asideStamp, n.Name()[:len(asideStamp)])
		if err != nil || !at.Before(before) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, n.Name())); err != nil {
			return fmt.Errorf("cannot delete what was set aside: %w", err)
		}
	}
	return nil
}
