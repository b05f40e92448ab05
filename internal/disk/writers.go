package disk

import (
	"fmt"
	"os"
	"syscall"
)

// Writers says who may write a file or a folder beside root and the user of this process, each with what to do about it; what ("data folder") is what they call it.
// Whoever may write in a folder where each may take away only what is his own (/tmp) is not counted.
func Writers(what, path string) (out []string) {
	st, err := os.Stat(path)
	if err != nil {
		return nil
	}
	owner, ok := st.Sys().(*syscall.Stat_t)
	if ok && owner.Uid != 0 && int(owner.Uid) != os.Geteuid() {
		out = append(out, fmt.Sprintf("user %d, who owns the %s: 'chown %d %s'", owner.Uid, what, os.Geteuid(), path))
	}
	if mode := st.Mode(); mode.Perm()&0o002 != 0 && !(mode.IsDir() && mode&os.ModeSticky != 0) {
		out = append(out, fmt.Sprintf("everybody on this machine: 'chmod o-w %s'", path))
	}
	if ok && st.Mode().Perm()&0o020 != 0 && owner.Gid != 0 && int(owner.Gid) != os.Getegid() {
		out = append(out, fmt.Sprintf("group %d: 'chmod g-w %s'", owner.Gid, path))
	}
	return out
}
