package dial

import (
	"crypto/x509"
	"os"
	"os/exec"
	"testing"
)

// Where the system has no authorities, as in an image of nothing but the binary, there are those of the binary; where it has some, no others count.
func TestRootsWhereThereAreNone(t *testing.T) {
	if os.Getenv("PLIMSOLL_TEST_ROOTS") != "" {
		pool, err := x509.SystemCertPool()
		if err != nil || pool.Equal(x509.NewCertPool()) {
			t.Fatalf("no authorities: %v", err)
		}
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRootsWhereThereAreNone$")
	cmd.Env = append(os.Environ(), "PLIMSOLL_TEST_ROOTS=1", "SSL_CERT_FILE=/nonexistent", "SSL_CERT_DIR=/nonexistent")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
