package dial

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// Flags name the flags that say where a server is and who we are: what is wrong is told by the name of the flag that mends it.
type Flags struct {
	Address, CAFile, TokenFile string
	// Query says that the address may have a query, as it is asked for just as it is.
	Query bool
}

// Other is the name of another flag beside the one for the login's file: of "cert-file" beside "--server-token-file" it is "--server-cert-file".
func (f Flags) Other(name string) string { return strings.TrimSuffix(f.TokenFile, "token-file") + name }

// Check says what in an address cannot be. plain says that the person who gave it wants plain HTTP to leave this machine.
func (f Flags) Check(address string, plain bool) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return fmt.Errorf("%s %q: want an address such as https://host:8082", f.Address, Redact(address))
	case u.User != nil:
		return fmt.Errorf("%s %q: give the login in %s, not in the address", f.Address, Redact(address), f.TokenFile)
	case strings.Contains(address, "#") || strings.Contains(address, "?") && !f.Query:
		return fmt.Errorf("%s %q: leave out what begins with ? or #, and give a login in %s", f.Address, Redact(address), f.TokenFile)
	case u.Scheme == "http" && !Loopback(u.Hostname()) && !plain:
		return fmt.Errorf("%s %q: only https may leave this machine; %s if nobody on the way is to be feared", f.Address, Redact(address), f.Other("plain-http"))
	}
	return nil
}

// Fix says what a person can do about a request that failed; "" where the error says it already.
func (f Flags) Fix(status int, err error) string {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	switch {
	case status == http.StatusUnauthorized:
		return fmt.Sprintf("give a login that the server knows in %s (user:password, as in its web configuration)", f.TokenFile)
	case status == http.StatusForbidden:
		return fmt.Sprintf("the login in %s may not do this", f.TokenFile)
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status/100 == 3:
		return fmt.Sprintf("is the address in %s the right one?", f.Address)
	case err == nil:
		return ""
	case errors.As(err, &unknown):
		return fmt.Sprintf("give the authority that signed the server's certificate in %s", f.CAFile)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the server's certificate, or set this machine's clock if that is wrong"
	case errors.As(err, &name):
		return fmt.Sprintf("ask for a name that is in the server's certificate with %s", f.Address)
	case errors.As(err, &record), strings.Contains(err.Error(), "gave HTTP response to HTTPS client"):
		return fmt.Sprintf("there is plain HTTP at that address: is https in %s right?", f.Address)
	case errors.Is(err, unix.ECONNREFUSED):
		return fmt.Sprintf("is the server running, and the address in %s the right one?", f.Address)
	case errors.As(err, &dns):
		return fmt.Sprintf("the name in %s is not known here", f.Address)
	}
	return ""
}

// WithFix appends what can be done.
func WithFix(err error, fix string) error {
	if err == nil || fix == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, fix)
}

// Loopback says whether a host is this machine by its name.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// SameServer says whether two addresses are of one server.
func SameServer(a, b string) bool {
	x, err := url.Parse(a)
	if err != nil {
		return false
	}
	y, err := url.Parse(b)
	return err == nil && x.Scheme == y.Scheme && strings.EqualFold(x.Host, y.Host)
}

var (
	userinfo = regexp.MustCompile(`(?s)^([^/@]*//)?.*@`)
	query    = regexp.MustCompile(`(?s)([?#]).+$`)
)

// Redact hides the login in an address, in one that cannot be read too, and where a password with / or ? in it makes a path of itself; and what follows the
// path, where people put tokens.
func Redact(address string) string {
	return query.ReplaceAllString(userinfo.ReplaceAllString(address, "${1}xxxxx@"), "${1}xxxxx")
}

// Hide redacts the address in the error of a request, which http.Client tells as it is.
func Hide(err error) error {
	if asked, ok := err.(*url.Error); ok { //nolint:errorlint // one that is wrapped was told already
		return &url.Error{Op: asked.Op, URL: Redact(asked.URL), Err: unread(asked)}
	}
	return err
}

// Unread is why an address cannot be read, without the address.
func Unread(err error) error {
	if asked := (*url.Error)(nil); errors.As(err, &asked) {
		return unread(asked)
	}
	return err
}

// unread is what a parser says of an address, unless that may be a piece of a password, as the port of u:pass/word@host is.
func unread(asked *url.Error) error {
	switch {
	case asked.Op != "parse":
	case strings.Contains(asked.URL, "@"):
		return errors.New("it cannot be read as an address")
	case strings.Contains(asked.Err.Error(), "port"): // which u:pass#word@host has, too
		return errors.New("its port is no number")
	}
	return asked.Err
}
