package wiring

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// sourceIn is the name by which servers know the collector of a folder again when it is started again. Without a folder it is another one
// each time. Whoever can read the file can speak as this collector. A copy of the folder on another machine is another collector.
func sourceIn(dir, node string) (string, error) {
	if dir == "" {
		return rand.Text(), nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("cannot make the folder %q: %w", dir, err)
	}
	path := filepath.Join(dir, "source")
	secret, err := readOnce(path)
	if errors.Is(err, fs.ErrNotExist) {
		secret = rand.Text()
		err = writeOnce(path, secret)
	}
	if err != nil {
		return "", fmt.Errorf("cannot keep who this collector is: %w", err)
	}
	machine, _ := os.ReadFile("/etc/machine-id") // where there is none, the node's name has to do
	sum := sha256.Sum256([]byte(secret + "\x00" + node + "\x00" + string(machine)))
	return base32.StdEncoding.EncodeToString(sum[:16])[:26], nil
}

// readOnce reads a small file that is not a link.
func readOnce(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	raw := make([]byte, 64)
	n, err := f.Read(raw)
	if text := strings.TrimSpace(string(raw[:n])); len(text) >= 26 {
		return text, nil
	}
	return "", fmt.Errorf("%q does not hold a name (%w): remove it", path, errors.Join(err, fs.ErrInvalid))
}

// writeOnce writes a new file, whole or not at all.
func writeOnce(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".source-*") // for its owner alone
	if err != nil {
		return err
	}
	_, err = f.WriteString(text + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
