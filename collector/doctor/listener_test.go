package doctor

import (
	"net"
	"os"
	"testing"
)

// A process is found by the port that it listens on, and by no other.
func TestListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if yes, err := Listens(os.Getpid(), port); !yes || err != nil {
		t.Errorf("this process: got %v, %v", yes, err)
	}
	if yes, err := Listens(1<<30, port); yes || err == nil {
		t.Errorf("no process: got %v, %v", yes, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if yes, err := Listens(os.Getpid(), port); yes || err != nil {
		t.Errorf("after it was closed: got %v, %v", yes, err)
	}
}

func FuzzListening(f *testing.F) {
	f.Add("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:4782 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1", 0x4782)
	f.Fuzz(func(t *testing.T, table string, port int) {
		for inode := range listening(table, port) {
			if inode == "" {
				t.Error("an inode without a number")
			}
		}
	})
}
