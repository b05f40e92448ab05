package grafana

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"time"

	"plimsoll.dev/plimsoll/internal/dial"
)

// Errors of a push that callers can test for with errors.Is.
var (
	// ErrRefused is a Grafana that does not let this token write boards.
	ErrRefused = errors.New("refused")
	// ErrConflict is a board that someone else changed at the same moment, or that files provision.
	ErrConflict = errors.New("conflict")
	// ErrNotGrafana is an address at which there is no Grafana that takes boards.
	ErrNotGrafana = errors.New("no Grafana there")
)

// PushOptions say where boards go.
type PushOptions struct {
	// URL is Grafana's address, with the path that it is served under.
	URL    string
	Source Source
	// Folder is the UID of the folder for the boards; empty: the topmost. It must exist.
	Folder string
	// Namespace is the tenant in the paths of the new API: "default" if empty, org-N, or stacks-N in Grafana's cloud.
	Namespace string
	// Timeout is the deadline of each request; 15 s if zero.
	Timeout time.Duration
	// Client sends requests, with a service account's token or user:password; nil: one without a login.
	Client *http.Client
}

// Validate says what in the options cannot be.
func (o *PushOptions) Validate() error {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("Grafana's address %q: want one such as https://grafana.example.org", dial.Redact(o.URL))
	case u.User != nil:
		return fmt.Errorf("Grafana's address %q holds a login: give it as the token", dial.Redact(o.URL))
	case u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("Grafana's address %q: want no ? and no #", dial.Redact(o.URL))
	case o.Timeout < 0:
		return fmt.Errorf("timeout %q is negative", o.Timeout)
	}
	_, err = ParseSource(string(o.Source))
	return err
}

// Result says what became of a board.
type Result struct {
	UID, Title string
	// Done is created, updated or unchanged.
	Done string
}

// Push brings the boards to a Grafana: those that are not there are created, those that differ are replaced (Grafana keeps the
// earlier version), those that are the same are left alone, so that pushing twice does nothing. It uses /api and,
// where that is gone, /apis/dashboard.grafana.app. It stops at the first error and says which boards it has done.
func Push(ctx context.Context, o PushOptions) ([]Result, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("cannot push boards: %w", err)
	}
	c := newConn(o)
	defer c.client.CloseIdleConnections()
	var api boardAPI = &classic{c}
	var done []Result
	for _, b := range Boards() {
		raw, err := b.JSON(o.Source)
		if err != nil {
			return done, err
		}
		r, err := pushOne(ctx, api, raw)
		if errors.Is(err, errGone) {
			if api, err = newKinds(ctx, c); err == nil {
				r, err = pushOne(ctx, api, raw)
			}
		}
		if err != nil {
			return done, fmt.Errorf("cannot push board %q to %q: %w", b.Title, o.URL, err)
		}
		done = append(done, r)
	}
	return done, nil
}

// errGone is an API that this Grafana does not have.
var errGone = errors.New("API is not there")

// boardAPI is one of Grafana's two ways to keep boards.
type boardAPI interface {
	// get returns the board with what save needs to replace just that version.
	get(ctx context.Context, uid string) (spec map[string]any, version any, err error)
	save(ctx context.Context, uid string, spec map[string]any, version any) error
}

func pushOne(ctx context.Context, api boardAPI, raw []byte) (Result, error) {
	var want map[string]any
	if err := json.Unmarshal(raw, &want); err != nil {
		return Result{}, err
	}
	r := Result{UID: want["uid"].(string), Title: want["title"].(string), Done: "created"}
	have, version, err := api.get(ctx, r.UID)
	if err != nil && !notFound(err) { // no such board, or no such API, which save finds out
		return r, err
	}
	if have != nil {
		r.Done = "updated"
		delete(have, "id")
		delete(have, "version")
		if have["uid"] == nil {
			have["uid"] = r.UID // the new API has it outside
		}
		if reflect.DeepEqual(have, want) {
			r.Done = "unchanged"
			return r, nil
		}
	}
	return r, api.save(ctx, r.UID, want, version)
}
