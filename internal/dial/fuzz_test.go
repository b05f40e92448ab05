package dial

import (
	"strings"
	"testing"
)

// FuzzAddress: the password in an address is never shown, and an address that is taken has none and leaves the machine only by https.
func FuzzAddress(f *testing.F) {
	f.Add("http://u:", "secret", "@host:80/x")
	f.Add("u:", "12/3", "@host")
	f.Add("https://u:", "%zz", "@[::1")
	f.Add("http://", "a?b#c", "@h")
	f.Add("http://u:1", "/3xx", "@127.0.0.1")
	flags := Flags{Address: "--server", CAFile: "--server-ca-file", TokenFile: "--server-token-file"}
	f.Fuzz(func(t *testing.T, before, secret, after string) {
		address := before + secret + after
		err := flags.Check(address, false)
		if err == nil && (strings.HasPrefix(strings.ToLower(address), "http://") && !strings.Contains(address, "//127.") && !strings.Contains(strings.ToLower(address), "localhost") && !strings.Contains(address, "[")) {
			t.Errorf("%q was taken", address)
		}
		const mark = "sEcReT"
		for _, sign := range []string{"?", "#", "/?token="} {
			if shown := Redact(before + sign + mark + after); strings.Contains(shown, mark) {
				t.Errorf("%q is shown as %q", before+sign+mark+after, shown)
			}
		}
		if !strings.HasPrefix(after, "@") {
			return
		}
		address = before + secret + mark + after
		if shown := Redact(address); strings.Contains(shown, mark) {
			t.Errorf("%q is shown as %q", address, shown)
		}
		if err := flags.Check(address, false); err != nil && strings.Contains(err.Error(), mark) {
			t.Errorf("%q is told as %v", address, err)
		}
	})
}
