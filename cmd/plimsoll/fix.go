package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"golang.org/x/sys/unix"
)

// doorFlags are the flags that say where a server is and who we are.
type doorFlags struct{ address, caFile, tokenFile string }

// fix says what a person can do about a request that failed; "" where the error says it already.
func (f doorFlags) fix(status int, err error) string {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	switch {
	case status == http.StatusUnauthorized:
		return fmt.Sprintf("give a login that the server knows in %s (user:password, as in its web configuration)", f.tokenFile)
	case status == http.StatusForbidden:
		return fmt.Sprintf("the login in %s may not do this", f.tokenFile)
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		return fmt.Sprintf("is the address in %s the right one?", f.address)
	case err == nil:
		return ""
	case errors.As(err, &unknown):
		return fmt.Sprintf("give the authority that signed the server's certificate in %s", f.caFile)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the server's certificate, or set this machine's clock if that is wrong"
	case errors.As(err, &name):
		return fmt.Sprintf("ask for a name that is in the server's certificate with %s", f.address)
	case errors.As(err, &record), strings.Contains(err.Error(), "gave HTTP response to HTTPS client"):
		return fmt.Sprintf("there is plain HTTP at that address: is https in %s right?", f.address)
	case errors.Is(err, unix.ECONNREFUSED):
		return fmt.Sprintf("is the server running, and the address in %s the right one?", f.address)
	case errors.As(err, &dns):
		return fmt.Sprintf("the name in %s is not known here", f.address)
	}
	return ""
}

// withFix appends what can be done.
func withFix(err error, fix string) error {
	if err == nil || fix == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, fix)
}
