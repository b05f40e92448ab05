package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"plimsoll.dev/plimsoll/internal/scope"
)

// rights is a fake. It stands for an API server: whoever is named "all" may every path, "door" those below /apis, the others none.
type rights struct{ reviews }

func (*rights) Authorize(_ context.Context, c Caller, a Access) error {
	if c.Name == "all" || c.Name != "nobody" && strings.HasPrefix(a.Path, "/apis/") {
		return nil
	}
	return fmt.Errorf("%w: verb %q on %q", ErrDenied, a.Verb, a.Path)
}

func (*rights) Scope(_ context.Context, c Caller) (scope.Scope, error) {
	switch c.Name {
	case "part", "nobody":
		return scope.Of(false, false, "shop"), nil
	case "nothing":
		return scope.Scope{}, nil
	case "unlucky":
		return scope.Whole(), errors.New("the API server is away")
	}
	return scope.Scope{}, fmt.Errorf("%w: %s in any namespace", ErrDenied, scope.PodsRight)
}

// A limited route shows a part to whoever sees one; every other is for those alone who have the right to its path.
func TestScopeOfCallers(t *testing.T) {
	says := func(w http.ResponseWriter, r *http.Request) error {
		s := scope.From(r.Context())
		_, err := fmt.Fprint(w, "whole ", s.IsWhole(), " shop ", s.Sees("shop"), " till ", s.Sees("till"))
		return err
	}
	o := loop(Route{Pattern: "/part", Handle: says, Limited: true}, Route{Pattern: "/none", Handle: says},
		Route{Pattern: "/apis/g/part", Handle: says, Limited: true, Whole: func(*http.Request) string { return "/part" }})
	f := &rights{}
	o.Authenticator, o.Authorizer = f, f
	h, err := Handler(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, who string
		status    int
		want      string
	}{
		{"/part", "all", 200, "whole true shop true till true"},
		{"/part", "part", 200, "whole false shop true till false"},
		{"/part", "nothing", 403, `verb \"get\" on \"/part\"`},
		{"/part", "stranger", 403, `verb \"get\" on \"/part\", nor is there any of which it would show a part: a right is missing: verb \"list\" on \"pods\"`},
		{"/part", "unlucky", 503, "it cannot be checked"},
		{"/none", "all", 200, "whole true"},
		{"/none", "part", 403, `verb \"get\" on \"/none\"`},
		{"/apis/g/part", "all", 200, "whole true shop true till true"},
		{"/apis/g/part", "part", 200, "whole false shop true till false"},
		{"/apis/g/part", "nobody", 403, `verb \"get\" on \"/apis/g/part\"`},
		{"/apis/g/part", "stranger", 403, `verb \"get\" on \"/part\"`},
		{"/apis/g/part", "stranger", 403, `"kind":"Status"`},
		{"/apis/g/part", "stranger", 403, `"schema":"plimsoll.dev/error/v1"`},
	} {
		r := asked(h, "GET", c.path, c.who)
		if text := body(t, r); r.StatusCode != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s as %q: got %d %s, want %d with %q", c.path, c.who, r.StatusCode, text, c.status, c.want)
		}
	}
}

// Where everybody who comes in may everything, they see it too.
func TestScopeWithoutAuthorizer(t *testing.T) {
	h, err := Handler(loop(Route{Pattern: "/x", Handle: func(w http.ResponseWriter, r *http.Request) error {
		if !scope.From(r.Context()).IsWhole() {
			return NotFound("nothing is seen")
		}
		return nil
	}}))
	if err != nil {
		t.Fatal(err)
	}
	if r := asked(h, "GET", "/x", ""); r.StatusCode != 200 {
		t.Errorf("got %d", r.StatusCode)
	}
}
