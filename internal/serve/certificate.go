package serve

import (
	"context"
	"fmt"
	"time"
)

const (
	doorEvery = 15 * time.Second
	soon      = 7 * 24 * time.Hour // before its end a certificate is told of
)

// watchDoor looks at the web configuration and the certificate until ctx ends: what is broken is not in force, and a certificate that is over keeps
// everybody out while the process seems well.
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
func (s *Server) inspectDoor(now time.Time) (kind string, err error) { return s.lookAtDoor(now, 0) }

// lookAtDoor is inspectDoor by a look that is no older than every.
func (s *Server) lookAtDoor(now time.Time, every time.Duration) (kind string, err error) {
	err = s.file.problem(every)
	end := s.file.current().end()
	if !end.IsZero() {
		s.metrics.certificate.Set(float64(end.Unix()))
	}
	at := end.UTC().Format(time.RFC3339)
	switch {
	case err != nil:
		kind, err = "broken", fmt.Errorf("the web configuration %q and its certificate stay as they were: %w", s.opts.WebConfig, err)
	case end.IsZero():
	case now.After(end):
		kind, err = "over", fmt.Errorf("the certificate of web configuration %q ended at %s: put a new one in its place, no restart is needed", s.opts.WebConfig, at)
	case now.Add(soon).After(end):
		kind, err = "soon", fmt.Errorf("the certificate of web configuration %q ends at %s: put a new one in its place, no restart is needed", s.opts.WebConfig, at)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if kind == "soon" {
		s.door = nil
		return kind, err
	}
	if err != nil && s.door == nil {
		s.since = now
	}
	s.door = err
	return kind, err
}

// Health says what is wrong with the door: a web configuration that cannot be put in force, or a certificate that is over.
func (s *Server) Health() error {
	_, err := s.Problem()
	return err
}

// Problem is what Health says, and since when. It looks itself, as whoever comes in does: what they find broken is told at the same moment.
func (s *Server) Problem() (since time.Time, problem error) {
	if s.opts.WebConfig != "" {
		_, _ = s.lookAtDoor(time.Now(), lookEvery) // it is remembered
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since, s.door
}
