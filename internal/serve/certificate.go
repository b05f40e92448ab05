package serve

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
)

const (
	doorEvery = 15 * time.Second
	soon      = 7 * 24 * time.Hour // before its end a certificate is told of
)

// certificateEnd checks the web configuration as it is now and returns when its certificate ends; zero where there is none.
func certificateEnd(path string) (end time.Time, err error) {
	if err := web.Validate(path); err != nil {
		return end, err
	}
	c, err := readWebConfig(path)
	if err != nil || !c.TLSConfig.IsEnabled() {
		return end, err
	}
	door, err := web.ConfigToTLSConfig(&c.TLSConfig)
	if err != nil {
		return end, err
	}
	pair, err := door.GetCertificate(nil)
	if err != nil {
		return end, err
	}
	return pair.Leaf.NotAfter, nil
}

// watchDoor looks at the web configuration and the certificate until ctx ends: both are read anew for every connection, so that what
// is broken or over keeps everybody out while the process seems well.
func (s *Server) watchDoor(ctx context.Context) {
	if s.opts.WebConfig == "" {
		return
	}
	t := time.NewTicker(doorEvery)
	defer t.Stop()
	for told := ""; ; {
		kind, err := s.inspectDoor(time.Now())
		if kind != told {
			if err != nil {
				s.opts.Logger.Warn("the door needs to be mended", "err", err)
			} else {
				s.opts.Logger.Info("the door is well again")
			}
			told = kind
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// inspectDoor remembers and returns what is wrong with the door at a moment; kind is the same for as long as the same is wrong.
func (s *Server) inspectDoor(now time.Time) (kind string, err error) {
	end, err := certificateEnd(s.opts.WebConfig)
	if !end.IsZero() {
		s.metrics.certificate.Set(float64(end.Unix()))
	}
	at := end.UTC().Format(time.RFC3339)
	switch {
	case err != nil:
		kind, err = "broken", fmt.Errorf("cannot use web configuration %q, nobody new gets in: %w", s.opts.WebConfig, err)
	case end.IsZero():
	case now.After(end):
		kind, err = "over", fmt.Errorf("the certificate of web configuration %q ended at %s: put a new one in its place, no restart is needed", s.opts.WebConfig, at)
	case now.Add(soon).After(end):
		kind, err = "soon", fmt.Errorf("the certificate of web configuration %q ends at %s: put a new one in its place, no restart is needed", s.opts.WebConfig, at)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.door = err; kind == "soon" {
		s.door = nil
	}
	return kind, err
}

// Health says what keeps clients out: a web configuration that cannot be used any more, or a certificate that is over.
func (s *Server) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.door
}
