package chart

import (
	"fmt"
	"os"
	"path/filepath"
)

// ReadBoards reads the boards that 'plimsoll dashboards export' wrote to a folder.
func ReadBoards(dir string) (map[string][]byte, error) {
	all, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there are no boards in %q", dir)
	}
	out := map[string][]byte{}
	for _, path := range all {
		if out[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	return out, nil
}
