package kube

import (
	"errors"
	"fmt"
	"net/http"

	"k8s.io/client-go/rest"
)

// Kubelets say how kubelets prove who they are, and to them who asks.
type Kubelets struct {
	// CertificateAuthority is a file with those who sign kubelets' certificates; "": who signs the API server's.
	CertificateAuthority string
	// Insecure takes any certificate.
	Insecure bool
	// ClientCertificate and ClientKey are files to log in with; "": what the API server is asked with.
	ClientCertificate, ClientKey string
}

// Transport makes the way to kubelets for who reaches the API server by a config.
func (k Kubelets) Transport(config *rest.Config) (http.RoundTripper, error) {
	c := rest.CopyConfig(config)
	c.ServerName = "" // which is the API server's
	switch {
	case k.Insecure && k.CertificateAuthority != "":
		return nil, errors.New("kubelets' certificates are either checked, by an authority of their own, or not: give one of the two")
	case (k.ClientCertificate == "") != (k.ClientKey == ""):
		return nil, errors.New("a certificate to log in to kubelets with needs its key: give both")
	case k.Insecure:
		c.Insecure, c.CAFile, c.CAData = true, "", nil
	case k.CertificateAuthority != "":
		c.Insecure, c.CAFile, c.CAData = false, k.CertificateAuthority, nil
	}
	if k.ClientCertificate != "" {
		c.CertFile, c.KeyFile, c.CertData, c.KeyData = k.ClientCertificate, k.ClientKey, nil, nil
	}
	out, err := rest.TransportFor(c)
	if err != nil {
		return nil, fmt.Errorf("cannot make the way to kubelets: %w", err)
	}
	return out, nil
}
