package cgroup

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// dirent reads one struct linux_dirent64 (getdents64(2)): inode, offset, length, type, name. A cgroup has some fifty
// files and few subdirectories, and only this tells them apart without a stat of each.
func dirent(b []byte) (name string, isDir bool, rest []byte) {
	const head = 19
	if len(b) < head {
		return "", false, nil
	}
	size := int(binary.NativeEndian.Uint16(b[16:]))
	if size < head || size > len(b) {
		return "", false, nil
	}
	text := b[head:size]
	if i := bytes.IndexByte(text, 0); i >= 0 {
		text = text[:i]
	}
	if b[18] != unix.DT_DIR {
		return "", false, b[size:]
	}
	return string(text), true, b[size:]
}
