package disk

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestWriters(t *testing.T) {
	for _, c := range []struct {
		what        string
		mode        os.FileMode
		user, group int
		want        []string
	}{
		{"its owner alone", 0o755, 0, 0, nil},
		{"everybody", 0o777, 0, 0, []string{"everybody on this machine: 'chmod o-w DIR'"}},
		{"everybody, each his own", 0o777 | os.ModeSticky, 0, 0, nil},
		{"a group", 0o775, 0, 77, []string{"group 77: 'chmod g-w DIR'"}},
		{"another owner", 0o755, 65534, 0, []string{"user 65534, who owns the data folder: 'chown 0 DIR'"}},
	} {
		dir := filepath.Join(t.TempDir(), "DIR")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, c.mode)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, c.user, c.group); err != nil {
			t.Skipf("needs root, to give a folder away: %v", err)
		}
		t.Chdir(filepath.Dir(dir))
		if got := Writers("data folder", "DIR"); !slices.Equal(got, c.want) {
			t.Errorf("%s may write: got %q, want %q", c.what, got, c.want)
		}
	}
	if got := Writers("data folder", "/not/there"); got != nil {
		t.Errorf("nothing: got %q", got)
	}
}
