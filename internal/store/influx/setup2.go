package influx

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// setup2 plans for 2.x: buckets, mappings for InfluxQL, tasks, tokens.
type setup2 struct {
	*Setup
	p       *Plan
	org     string
	buckets map[string]bucket2 // by name
	tokens  []Token
}

type bucket2 struct {
	ID             string       `json:"id,omitempty"`
	Name           string       `json:"name"`
	OrgID          string       `json:"orgID"`
	Description    string       `json:"description,omitempty"`
	RetentionRules []retention2 `json:"retentionRules"`
}

type retention2 struct {
	Type         string `json:"type"`
	EverySeconds int64  `json:"everySeconds"`
	ShardSeconds int64  `json:"shardGroupDurationSeconds,omitempty"`
}

type dbrp2 struct {
	ID              string `json:"id,omitempty"`
	OrgID           string `json:"orgID"`
	BucketID        string `json:"bucketID"`
	Database        string `json:"database"`
	RetentionPolicy string `json:"retention_policy"`
	Default         bool   `json:"default"`
	Virtual         bool   `json:"virtual,omitempty"`
}

type task2 struct {
	ID     string `json:"id,omitempty"`
	OrgID  string `json:"orgID,omitempty"`
	Name   string `json:"name,omitempty"`
	Status string `json:"status,omitempty"`
	Flux   string `json:"flux"`
}

func (s *setup2) result() Result { return Result{Tokens: s.tokens} }

// queryable are the names that InfluxQL can have for a bucket, as the server demands; its internal buckets begin with an underscore.
var queryable = regexp.MustCompile(`^[A-Za-z0-9.-][A-Za-z0-9_.-]*$`)

func (s *setup2) plan(ctx context.Context) error {
	if name := s.p.Place.Database; !queryable.MatchString(name) {
		return fmt.Errorf("bucket %q: want letters, digits, '_', '-' and '.', and no '_' at the beginning, or InfluxQL cannot read it", name)
	}
	if err := s.findOrg(ctx); err != nil {
		return err
	}
	s.buckets = map[string]bucket2{}
	for _, r := range []RollUp{Raw, Hour, Day} {
		if err := s.bucket(ctx, r); err != nil {
			return err
		}
	}
	if err := s.mappings(ctx); err != nil {
		return err
	}
	if err := s.tasks(ctx); err != nil {
		return err
	}
	if s.opts.Tokens {
		return s.authorizations(ctx)
	}
	return nil
}

func (s *setup2) step(what string, done bool, change, request string, apply func(ctx context.Context) error) {
	s.p.Steps = append(s.p.Steps, &Step{What: what, Done: done, Change: change, Request: request, apply: apply})
}

// findOrg finds the organization's ID, and says when the server itself was never set up.
func (s *setup2) findOrg(ctx context.Context) error {
	name := s.conn.opts.Org
	var a struct {
		Orgs []struct{ ID, Name string }
	}
	q := url.Values{}
	if name != "" {
		q.Set("org", name)
	}
	err := s.conn.do(ctx, http.MethodGet, "api/v2/orgs", q, nil, &a)
	if err != nil && (statusOf(err) == http.StatusNotFound || errors.Is(err, ErrUnauthorized)) {
		var fresh struct{ Allowed bool }
		if err := s.conn.do(ctx, http.MethodGet, "api/v2/setup", nil, nil, &fresh); err == nil && fresh.Allowed {
			return errors.New("the server has no user yet: open its page or run \"influx setup\" first, and put the operator token into the token file")
		}
	}
	switch {
	case err != nil && statusOf(err) == http.StatusNotFound, err == nil && len(a.Orgs) == 0:
		return fmt.Errorf("organization %q: %w (or the token may not see it)", name, ErrNoOrg)
	case err != nil:
		return fmt.Errorf("cannot look for organization %q: %w", name, err)
	case name == "" && len(a.Orgs) > 1:
		return fmt.Errorf("no organization given, and the token sees %d: %w", len(a.Orgs), ErrNoOrg)
	}
	s.org = a.Orgs[0].ID
	return nil
}

func (s *setup2) bucket(ctx context.Context, r RollUp) error {
	name, want := s.p.Place.Bucket(r), s.retention(r)
	var a struct{ Buckets []bucket2 }
	err := s.conn.do(ctx, http.MethodGet, "api/v2/buckets", url.Values{"orgID": {s.org}, "name": {name}}, nil, &a)
	if err != nil && statusOf(err) != http.StatusNotFound {
		return fmt.Errorf("cannot look for bucket %q: %w", name, needs(err, "read the bucket"))
	}
	rules := []retention2{{Type: "expire", EverySeconds: int64(want / time.Second), ShardSeconds: int64(shard(want) / time.Second)}}
	what := fmt.Sprintf("bucket %q that keeps data %s", name, keeps(want))
	if len(a.Buckets) == 0 {
		b := bucket2{Name: name, OrgID: s.org, Description: "Plimsoll's history " + r.String(), RetentionRules: rules}
		s.step(what, false, "", "POST /api/v2/buckets name="+name, func(ctx context.Context) error {
			return s.change(ctx, http.MethodPost, "api/v2/buckets", b, "write buckets in the organization")
		})
		return nil
	}
	b := a.Buckets[0]
	s.buckets[name] = b
	var got time.Duration
	if len(b.RetentionRules) > 0 {
		got = time.Duration(b.RetentionRules[0].EverySeconds) * time.Second
	}
	step := s.existing(ctx, fmt.Sprintf("bucket %q", name), r, got, ident(name)+"."+ident("autogen"))
	step.Request, step.apply = "PATCH /api/v2/buckets/"+b.ID, func(ctx context.Context) error {
		return s.change(ctx, http.MethodPatch, "api/v2/buckets/"+b.ID, map[string]any{"retentionRules": rules}, "write the bucket")
	}
	s.p.Steps = append(s.p.Steps, step)
	return nil
}

// mappings plans the DBRP mappings, by which InfluxQL finds the buckets.
func (s *setup2) mappings(ctx context.Context) error {
	var a struct{ Content []dbrp2 }
	if err := s.conn.do(ctx, http.MethodGet, "api/v2/dbrps", url.Values{"orgID": {s.org}, "db": {s.p.Place.Database}}, nil, &a); err != nil && statusOf(err) != http.StatusNotFound {
		return fmt.Errorf("cannot look for the InfluxQL mappings of %q: %w", s.p.Place.Database, needs(err, "read dbrp in the organization"))
	}
	for _, r := range []RollUp{Raw, Hour, Day} {
		name, policy := s.p.Place.Bucket(r), s.p.Place.PolicyOf(r)
		what := fmt.Sprintf("InfluxQL name \"%s.%s\" of bucket %q", s.p.Place.Database, policy, name)
		id := s.buckets[name].ID
		var there *dbrp2
		for i := range a.Content {
			if x := &a.Content[i]; !x.Virtual && x.Database == s.p.Place.Database && x.RetentionPolicy == policy {
				there = x
			}
		}
		switch {
		case there != nil && there.BucketID == id: // perhaps not the default: what asks names the policy
			s.step(what, true, "", "", nil)
		case there != nil:
			step := &Step{What: what, Change: fmt.Sprintf("it is that of the bucket with the ID %q, which InfluxQL would not find under it any more", there.BucketID),
				Request: "DELETE and POST /api/v2/dbrps", apply: func(ctx context.Context) error {
					if err := s.change(ctx, http.MethodDelete, "api/v2/dbrps/"+there.ID+"?orgID="+s.org, nil, "write dbrp"); err != nil {
						return err
					}
					return s.mapTo(ctx, id, policy, r == Raw)
				}}
			if !s.opts.Force {
				step.Refusal = fmt.Errorf("%s: %w", step.Change, ErrRefused)
			}
			s.p.Steps = append(s.p.Steps, step)
		default:
			s.step(what, false, "", "POST /api/v2/dbrps database="+s.p.Place.Database+" retention_policy="+policy, func(ctx context.Context) error {
				return s.mapTo(ctx, id, policy, r == Raw)
			})
		}
	}
	return nil
}

// mapTo makes a mapping, unless the bucket is still to be made: then the next pass does.
func (s *setup2) mapTo(ctx context.Context, bucket, policy string, standard bool) error {
	if bucket == "" {
		return errNotYet // it was made in this pass; the next one knows it
	}
	return s.change(ctx, http.MethodPost, "api/v2/dbrps",
		dbrp2{OrgID: s.org, BucketID: bucket, Database: s.p.Place.Database, RetentionPolicy: policy, Default: standard}, "write dbrp in the organization")
}

func (s *setup2) tasks(ctx context.Context) error {
	for _, r := range []RollUp{Hour, Day} {
		for _, l := range metric.Levels() {
			name, flux := taskName(s.p.Place, l, r), fluxTask(s.p.Place, l, r)
			var a struct{ Tasks []task2 }
			if err := s.conn.do(ctx, http.MethodGet, "api/v2/tasks", url.Values{"orgID": {s.org}, "name": {name}}, nil, &a); err != nil {
				return fmt.Errorf("cannot look for task %q: %w", name, needs(err, "read tasks in the organization"))
			}
			what := fmt.Sprintf("task that makes %q", s.p.Place.Measurement(l, r))
			switch {
			case len(a.Tasks) == 0:
				s.step(what, false, "", "POST /api/v2/tasks\n"+flux, func(ctx context.Context) error {
					if s.buckets[s.p.Place.Bucket(r)].ID == "" || s.buckets[s.p.Place.Bucket(r-1)].ID == "" {
						return errNotYet // the buckets were made in this pass
					}
					return s.change(ctx, http.MethodPost, "api/v2/tasks", task2{OrgID: s.org, Flux: flux, Status: "active"}, "write tasks in the organization, and read and write the buckets")
				})
			case a.Tasks[0].Flux != flux:
				id := a.Tasks[0].ID
				s.step(what, false, "another version", "PATCH /api/v2/tasks/"+id+"\n"+flux, func(ctx context.Context) error {
					return s.change(ctx, http.MethodPatch, "api/v2/tasks/"+id, task2{Flux: flux}, "write tasks in the organization")
				})
			case a.Tasks[0].Status == "inactive":
				s.step(what+" (somebody switched it off: left so)", true, "", "", nil)
			default:
				s.step(what, true, "", "", nil)
			}
		}
	}
	return nil
}

type permission2 struct {
	Action   string    `json:"action"`
	Resource resource2 `json:"resource"`
}

type resource2 struct {
	Type  string `json:"type"`
	ID    string `json:"id,omitempty"`
	OrgID string `json:"orgID,omitempty"`
}

type authorization2 struct {
	ID          string        `json:"id,omitempty"`
	OrgID       string        `json:"orgID"`
	Description string        `json:"description"`
	Token       string        `json:"token,omitempty"`
	Status      string        `json:"status,omitempty"`
	Permissions []permission2 `json:"permissions"`
}

// permissions are what a role may do; nil while a bucket is missing.
func (s *setup2) permissions(role string) []permission2 {
	var out []permission2
	for _, r := range []RollUp{Raw, Hour, Day} {
		id := s.buckets[s.p.Place.Bucket(r)].ID
		if id == "" {
			return nil
		}
		b := resource2{Type: "buckets", ID: id, OrgID: s.org}
		if r == Raw || role == "server" { // a server rolls up what comes late
			out = append(out, permission2{"write", b})
		}
		if role == "server" {
			out = append(out, permission2{"read", b})
		}
	}
	if role == "server" {
		out = append(out, permission2{"read", resource2{Type: "dbrp", OrgID: s.org}})
	}
	return out
}

// authorizations plans the tokens of the roles.
func (s *setup2) authorizations(ctx context.Context) error {
	var a struct{ Authorizations []authorization2 }
	if err := s.conn.do(ctx, http.MethodGet, "api/v2/authorizations", url.Values{"orgID": {s.org}}, nil, &a); err != nil {
		return fmt.Errorf("cannot look for tokens: %w", needs(err, "read authorizations"))
	}
	for _, role := range []string{"collector", "server"} {
		description := fmt.Sprintf("plimsoll %s: %s", role, s.p.Place.Database)
		does := map[string]string{"collector": "can only write raw data", "server": "can write and read raw data and roll-ups"}[role]
		what := fmt.Sprintf("token %q that %s", description, does)
		want := s.permissions(role)
		i := slices.IndexFunc(a.Authorizations, func(x authorization2) bool {
			return x.Description == description && x.Status != "inactive" && want != nil && same(x.Permissions, want)
		})
		if i >= 0 {
			s.tokens = append(s.tokens, Token{role, a.Authorizations[i].Token})
			s.step(what, true, "", "", nil)
			continue
		}
		s.step(what, false, "", "POST /api/v2/authorizations description="+description, func(ctx context.Context) error {
			if want == nil {
				return errNotYet // the buckets were made in this pass
			}
			return s.change(ctx, http.MethodPost, "api/v2/authorizations",
				authorization2{OrgID: s.org, Description: description, Status: "active", Permissions: want}, "write authorizations")
		})
	}
	return nil
}

func same(a, b []permission2) bool {
	key := func(p permission2) string { return p.Action + " " + p.Resource.Type + " " + p.Resource.ID }
	keys := func(ps []permission2) []string {
		var out []string
		for _, p := range ps {
			out = append(out, key(p))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(keys(a), keys(b))
}

// change sends a request that changes something; right is what the token needs for it.
func (s *setup2) change(ctx context.Context, method, path string, body any, right string) error {
	path, query, _ := strings.Cut(path, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return err
	}
	return needs(s.conn.do(ctx, method, path, q, body, nil), right)
}

// needs says of an error what the token needs a right for. 2.x answers 401 for want of a right, too; when the organization was found, the
// token itself is known.
func needs(err error, right string) error {
	if errors.Is(err, ErrForbidden) || errors.Is(err, ErrUnauthorized) {
		return fmt.Errorf("%w: the token needs the right to %s: %s", ErrForbidden, right, err.Error())
	}
	return err
}

// fluxQuery runs Flux for its effect. What goes wrong after the first row stands in the answer, whose status is 200 then.
func (s *Setup) fluxQuery(ctx context.Context, flux string) error {
	q := url.Values{}
	if s.conn.opts.Org != "" {
		q.Set("org", s.conn.opts.Org)
	}
	body, err := json.Marshal(map[string]any{"query": flux, "type": "flux"})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.conn.Endpoint("api/v2/query", q), bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	_, answer, err := s.conn.exchange(r)
	if statusOf(err) == http.StatusNotFound { // "could not find bucket": so it is said to a token that may not see it
		return fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	if err != nil {
		return err
	}
	return fluxError(answer)
}

// fluxError finds the error in an answer of CSV: a table with the columns error and reference.
func fluxError(answer []byte) error {
	lines := bytes.Split(bytes.ReplaceAll(answer, []byte("\r\n"), []byte("\n")), []byte("\n"))
	for i, l := range lines[:len(lines)-1] {
		if bytes.HasPrefix(bytes.TrimPrefix(l, []byte(",")), []byte("error,reference")) {
			return &status{code: http.StatusOK, message: clip(strings.Trim(string(lines[i+1]), `,"`), 300)}
		}
	}
	return nil
}
