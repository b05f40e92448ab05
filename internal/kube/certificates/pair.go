package certificates

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// maxAuthorities is the most authorities that are read from one place: two take turns, and some may be left of turns before.
const maxAuthorities = 16

// pair is a certificate with its key.
type pair struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// readPair reads a certificate, the first if others follow, and its key.
func readPair(certificate, key []byte) (*pair, error) {
	all, err := cert.ParseCertsPEM(certificate)
	if err != nil {
		return nil, fmt.Errorf("its certificate cannot be read: %w", err)
	}
	private, err := keyutil.ParsePrivateKeyPEM(key)
	if err != nil {
		return nil, fmt.Errorf("its key cannot be read: %w", err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("its key is a %T, which signs nothing", private)
	}
	if public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(all[0].PublicKey) {
		return nil, errors.New("its key is another certificate's")
	}
	return &pair{all[0], signer}, nil
}

// readAuthority is readPair of what may sign.
func readAuthority(certificate, key []byte) (*pair, error) {
	p, err := readPair(certificate, key)
	if err == nil && (!p.cert.IsCA || !p.cert.BasicConstraintsValid) {
		return nil, errors.New("its certificate is no authority's")
	}
	return p, err
}

// readAuthorities reads those certificates of a text that are authorities'; of one that cannot be read, none.
func readAuthorities(text []byte) []*x509.Certificate {
	all, _ := cert.ParseCertsPEM(text) // what cannot be read is written anew
	all = slices.DeleteFunc(all, func(c *x509.Certificate) bool { return !c.IsCA || !c.BasicConstraintsValid })
	return all[:min(len(all), maxAuthorities)]
}

// early is how long before it is made a certificate is valid, for clocks that are behind ours.
func early(life time.Duration) time.Duration { return min(24*time.Hour, life/10) }

// newAuthority makes an authority that signs by itself.
func newAuthority(name string, life time.Duration, now time.Time) (*pair, error) {
	t := &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-early(life)), NotAfter: now.Add(life), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	return (*pair)(nil).make(t)
}

// sign makes a certificate of a server with these names, which does not outlast the authority.
func (p *pair) sign(names []string, life time.Duration, now time.Time) (*pair, error) {
	t := &x509.Certificate{Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, NotBefore: now.Add(-early(life)), NotAfter: p.until(life, now),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	return p.make(t)
}

// until is the end of what an authority signs now, in whole seconds, as certificates have it.
func (p *pair) until(life time.Duration, now time.Time) time.Time {
	end := now.Add(life).Truncate(time.Second)
	if end.After(p.cert.NotAfter) {
		return p.cert.NotAfter
	}
	return end
}

// make gives a certificate a key of its own, and has p sign it; without one it signs itself.
func (p *pair) make(t *x509.Certificate) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key: %w", err)
	}
	if t.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, fmt.Errorf("cannot make a serial number: %w", err)
	}
	if p == nil {
		p = &pair{t, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, p.cert, key.Public(), p.key)
	if err != nil {
		return nil, fmt.Errorf("cannot sign a certificate: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	return &pair{c, key}, err
}

// pem is the pair as Secrets have it.
func (p *pair) pem() (certificate, key []byte, err error) {
	if key, err = keyutil.MarshalPrivateKeyToPEM(p.key); err != nil {
		return nil, nil, fmt.Errorf("cannot write a key: %w", err)
	}
	certificate, err = cert.EncodeCertificates(p.cert)
	return certificate, key, err
}

// over says whether a certificate has ended. One that has not begun yet waits for its time: by another clock it has.
func over(c *x509.Certificate, now time.Time) bool { return !now.Before(c.NotAfter) }

// halfway is when half of a certificate's life is over, of one that lasts longer than it should half of that.
func halfway(c *x509.Certificate, life time.Duration) time.Time {
	return c.NotBefore.Add(min(c.NotAfter.Sub(c.NotBefore), life+early(life)) / 2)
}

// made is when a certificate of ours was made.
func made(c *x509.Certificate) time.Time {
	total := c.NotAfter.Sub(c.NotBefore)
	return c.NotBefore.Add(min(24*time.Hour, total/11))
}

// signed says whether an authority that is not over signed a certificate.
func signed(c, by *x509.Certificate, now time.Time) bool {
	return !over(by, now) && c.CheckSignatureFrom(by) == nil
}

// covers says whether a certificate is for all names.
func covers(c *x509.Certificate, names []string) bool {
	return !slices.ContainsFunc(names, func(n string) bool { return c.VerifyHostname(n) != nil })
}

func has(all []*x509.Certificate, c *x509.Certificate) bool {
	return slices.ContainsFunc(all, c.Equal)
}

// join adds certificates to others, each once.
func join(all []*x509.Certificate, more ...*x509.Certificate) []*x509.Certificate {
	out := slices.Clone(all)
	for _, c := range more {
		if !has(out, c) {
			out = append(out, c)
		}
	}
	return out
}

// same says whether these are the same certificates, in whatever order.
func same(a, b []*x509.Certificate) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(c *x509.Certificate) bool { return !has(b, c) })
}

// text is certificates as a bundle has them.
func text(all []*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range all {
		one, _ := cert.EncodeCertificates(c) // into memory: it cannot fail
		b.Write(one)
	}
	return b.Bytes()
}
