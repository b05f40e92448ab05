package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var flags = Flags{Address: "--server", CAFile: "--server-ca-file", TokenFile: "--server-token-file"}

func TestFix(t *testing.T) {
	for _, c := range []struct {
		status int
		err    error
		want   string
	}{
		{401, nil, "--server-token-file"},
		{403, nil, "the login in --server-token-file may not do this"},
		{404, nil, "--server the right one"},
		{302, nil, "--server the right one"},
		{0, fmt.Errorf("post: %w", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), "--server-ca-file"},
		{0, x509.CertificateInvalidError{Reason: x509.Expired}, "renew the server's certificate"},
		{0, x509.HostnameError{Certificate: &x509.Certificate{}}, "a name that is in the server's certificate"},
		{0, errors.New("http: server gave HTTP response to HTTPS client"), "plain HTTP"},
		{0, fmt.Errorf("dial: %w", unix.ECONNREFUSED), "is the server running"},
		{500, nil, ""},
		{0, context.DeadlineExceeded, ""},
	} {
		if got := flags.Fix(c.status, c.err); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%d %v: got %q, want %q", c.status, c.err, got, c.want)
		}
	}
}

// An address is refused with the name of its own flags, and its login is never shown.
func TestCheck(t *testing.T) {
	f := func(address, want string) {
		t.Helper()
		err := flags.Check(address, false)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%q: got %v, want %q", address, err, want)
		}
	}
	f("https://plimsoll.example:8082", "")
	f("http://127.0.0.1:8082", "")
	f("http://[::1]:8082/x", "")
	f("http://LocalHost", "")
	f("http://[::ffff:127.0.0.1]", "")
	f("http://plimsoll.example", "only https may leave this machine")
	f("http://127.0.0.1.example", "only https")
	f("ftp://x", `--server "ftp://x": want an address`)
	f("", "want an address")
	f("ftp://x/?token=secret", `--server "ftp://x/?xxxxx": want an address`)
	f("http://plimsoll.example/#secret", `--server "http://plimsoll.example/#xxxxx": leave out`)
	f("https://plimsoll.example?a=b&secret#c", `"https://plimsoll.example?xxxxx": leave out`)
	f("http://u:secret@plimsoll.example?secret#c", `"http://xxxxx@plimsoll.example?xxxxx": give the login`)
	f("https://plimsoll.example?", `"https://plimsoll.example?": leave out`)
	f("https://ann:secret@plimsoll.example", "give the login in --server-token-file, not in the address")
	f("https://ann:sec ret:secret@plimsoll.example", `--server "https://xxxxx@plimsoll.example": want an address`)
	f("ann:secret@plimsoll.example", `--server "xxxxx@plimsoll.example": want an address`)
}

func TestSameServer(t *testing.T) {
	f := func(a, b string, want bool) {
		t.Helper()
		if SameServer(a, b) != want {
			t.Errorf("%q, %q: got %v", a, b, !want)
		}
	}
	f("https://H:1/x", "https://h:1/y", true)
	f("https://h:1", "http://h:1", false)
	f("https://h:1", "https://h:2", false)
	f("://", "://", false)
}

// What http.Client tells of a request that failed has no secret in its address, and is that error still.
func TestHide(t *testing.T) {
	_, err := http.Get("http://127.0.0.1:1/x?token=secret") //nolint:noctx,bodyclose // nobody is there
	shown := Hide(err)
	if err == nil || !strings.Contains(err.Error(), "secret") || strings.Contains(shown.Error(), "secret") || !strings.Contains(shown.Error(), "http://127.0.0.1:1/x?xxxxx") || !errors.Is(shown, unix.ECONNREFUSED) {
		t.Errorf("%v is shown as %v", err, shown)
	}
	if with := (Flags{Address: "--remote-url", Query: true}).Check("https://db/write?db=x", false); with != nil {
		t.Error(with)
	}
	for _, address := range []string{"http://u:S3C/RET@127.0.0.1:1", "http://u:S3C#RET@h", "http://u:%zzS3CRET@h", "http://u:S3C?RET@[::1"} {
		if _, err := url.Parse(address); err != nil && strings.Contains(Unread(err).Error()+Hide(err).Error()[len(`parse "http://u:S3C"`):], "S3C") {
			t.Errorf("%s is shown as %v and %v", address, Hide(err), Unread(err))
		}
	}
	if Hide(nil) != nil {
		t.Error("no error is one")
	}
}
