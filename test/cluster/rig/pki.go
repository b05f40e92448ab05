package rig

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientapi "k8s.io/client-go/tools/clientcmd/api"
)

// authority signs the cluster's certificates, which are good for a day.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
}

func newAuthority(dir string) (*authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{dir: dir, key: key}
	self := &x509.Certificate{Subject: pkix.Name{CommonName: "test-ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	if a.cert, err = a.sign("ca", self, self, key); err != nil {
		return nil, err
	}
	return a, nil
}

// issue makes name.crt and name.key. hosts are DNS names and addresses.
func (a *authority) issue(name, user string, groups []string, hosts ...string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c := &x509.Certificate{Subject: pkix.Name{CommonName: user, Organization: groups}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	for _, h := range append(hosts, "localhost", "127.0.0.1") {
		if ip := net.ParseIP(h); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, h)
		}
	}
	_, err = a.sign(name, c, a.cert, key)
	return err
}

func (a *authority) sign(name string, c, parent *x509.Certificate, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = serial, time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	return writePair(a.dir, name, "CERTIFICATE", der, key)
}

// writePair writes a key, and what belongs to it, as PEM.
func writePair(dir, name, kind string, der []byte, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	end := ".crt"
	if kind == "PUBLIC KEY" {
		end = ".pub"
	}
	base := filepath.Join(dir, name)
	if err := errors.Join(os.WriteFile(base+end, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644),
		os.WriteFile(base+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)); err != nil || end == ".pub" {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func (c *Cluster) makeCertificates(context.Context) (err error) {
	if c.ca, err = newAuthority(filepath.Join(c.state.Dir, "pki")); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	if _, err := writePair(c.ca.dir, "sa", "PUBLIC KEY", public, key); err != nil {
		return err
	}
	masters := []string{"system:masters"}
	err = errors.Join(
		c.ca.issue("apiserver", "kube-apiserver", nil, "kubernetes", "kubernetes.default", "kubernetes.default.svc", controlIP, firstIP),
		c.ca.issue("front", "front-proxy-client", nil),
		c.login("admin", "admin", masters),
		c.login("kcm", "system:kube-controller-manager", nil),
		c.login("sched", "system:kube-scheduler", nil),
		c.login("proxy", "system:kube-proxy", nil),
		c.login("dns", "system:dns", masters))
	for i := range c.Nodes {
		n := &Node{cluster: c, Name: fmt.Sprintf("node%d", i+1), index: i, dir: filepath.Join(c.state.Dir, fmt.Sprintf("node%d", i+1))}
		c.nodes = append(c.nodes, n)
		err = errors.Join(err, c.login("kubelet"+n.Name, "system:node:"+n.Name, []string{"system:nodes"}, n.Name, n.ip()))
	}
	if err != nil {
		return err
	}
	if c.api, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig()); err != nil {
		return err
	}
	c.api.Dial, c.api.QPS, c.api.Burst = c.Dial, 200, 400
	return nil
}

// login makes a certificate of a user and a kubeconfig with it, called name.kubeconfig.
func (c *Cluster) login(name, user string, groups []string, hosts ...string) error {
	if err := c.ca.issue(name, user, groups, hosts...); err != nil {
		return err
	}
	return c.kubeconfig(name, "https://"+net.JoinHostPort(controlIP, "6443"), filepath.Join(c.state.Dir, name+".kubeconfig"))
}

// kubeconfig writes a file that holds all it needs.
func (c *Cluster) kubeconfig(name, server, path string) error {
	base := filepath.Join(c.ca.dir, name)
	cert, err1 := os.ReadFile(base + ".crt")
	key, err2 := os.ReadFile(base + ".key")
	ca, err3 := os.ReadFile(filepath.Join(c.ca.dir, "ca.crt"))
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	f := clientapi.NewConfig()
	f.Clusters["plimsoll"] = &clientapi.Cluster{Server: server, CertificateAuthorityData: ca}
	f.AuthInfos[name] = &clientapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	f.Contexts["plimsoll"] = &clientapi.Context{Cluster: "plimsoll", AuthInfo: name}
	f.CurrentContext = "plimsoll"
	return clientcmd.WriteToFile(*f, path)
}
