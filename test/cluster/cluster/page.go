package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plimsoll.dev/plimsoll/test/cluster/product"
	"plimsoll.dev/plimsoll/test/cluster/rig"
)

// door is the page on this machine's loopback: a browser outside of the cluster's network reaches it, with the administrator's rights.
type door struct {
	url    string
	listen net.Listener
	server *http.Server
}

// openPage finds Plimsoll's Service and its authority, and listens.
func openPage(ctx context.Context, c *rig.Cluster) (*door, error) {
	service, err := c.Client().CoreV1().Services(product.Namespace).Get(ctx, product.Name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	authority, err := c.Client().CoreV1().ConfigMaps(product.Namespace).Get(ctx, product.Name+"-ca", metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(authority.Data["ca.crt"])) {
		return nil, errors.New("the release's authority holds no certificate")
	}
	admin := c.Config()
	login, err := tls.X509KeyPair(admin.CertData, admin.KeyData)
	if err != nil {
		return nil, err
	}
	name := product.Name + "." + product.Namespace + ".svc"
	to := &url.URL{Scheme: "https", Host: net.JoinHostPort(service.Spec.ClusterIP, "443")}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = name },
		Transport: &http.Transport{DialContext: c.Dial, ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: name, Certificates: []tls.Certificate{login}}},
		ErrorLog: log.New(io.Discard, "", 0), // it tells of browsers that went away
	}
	var l net.ListenConfig
	listen, err := l.Listen(ctx, "tcp", "127.0.0.1:8090")
	if err != nil {
		if listen, err = l.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return nil, err
		}
	}
	at := listen.Addr().String()
	d := &door{url: "http://" + at + "/", listen: listen}
	d.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != at && r.Host != "localhost:"+fmt.Sprint(listen.Addr().(*net.TCPAddr).Port) { // a page of another site whose name was made to point here
			http.Error(w, "ask for "+at, http.StatusMisdirectedRequest)
			return
		}
		proxy.ServeHTTP(w, r)
	})}
	return d, answers(ctx, proxy.Transport, to.JoinPath("readyz").String())
}

// answers waits until the Service leads to a pod: the nodes learn of one that is ready a moment after it is.
func answers(ctx context.Context, by http.RoundTripper, page string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
		if err != nil {
			return err
		}
		resp, err := by.RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// run serves until ctx ends.
func (d *door) run(ctx context.Context) error {
	go func() {
		<-ctx.Done()
		_ = d.server.Close()
	}()
	if err := d.server.Serve(d.listen); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
