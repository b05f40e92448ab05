package grafana

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// classic is /api, which every Grafana up to 13 has.
type classic struct{ *conn }

func (c *classic) get(ctx context.Context, uid string) (map[string]any, any, error) {
	var answer struct {
		Dashboard map[string]any
		Meta      struct {
			Provisioned bool
			FolderUID   string
		}
	}
	if err := c.do(ctx, http.MethodGet, "/api/dashboards/uid/"+uid, nil, &answer); err != nil {
		return nil, nil, err
	}
	if answer.Meta.Provisioned {
		return nil, nil, fmt.Errorf("%w: it is provisioned from files there; export new files instead", ErrConflict)
	}
	return answer.Dashboard, kept{answer.Dashboard["version"], answer.Meta.FolderUID}, nil
}

// kept is what replacing a board must give back: its version, and the folder in which it would not stay otherwise.
type kept struct {
	version any
	folder  string
}

func (c *classic) save(ctx context.Context, _ string, spec map[string]any, version any) error {
	old, there := version.(kept)
	spec = maps.Clone(spec)
	spec["id"] = nil
	if there {
		spec["version"] = old.version // Grafana refuses if another has come meanwhile
	}
	body := map[string]any{"dashboard": spec, "overwrite": false, "message": "plimsoll dashboards push"}
	if folder := cmp.Or(c.opts.Folder, old.folder); folder != "" {
		body["folderUid"] = folder
	}
	err := c.do(ctx, http.MethodPost, "/api/dashboards/db", body, nil)
	if s, ok := errors.AsType[*statusError](err); ok && (s.code == http.StatusNotFound && !strings.Contains(strings.ToLower(s.message), "folder") || s.code == http.StatusGone) {
		return errGone
	}
	return err
}

// kinds is /apis, which Grafana has since 12.
type kinds struct {
	*conn
	version string
}

const group = "dashboard.grafana.app"

// newKinds asks which versions of the API there are and takes the newest that holds boards of the classic form.
func newKinds(ctx context.Context, c *conn) (*kinds, error) {
	type version struct{ Version string }
	var answer struct{ Versions []version }
	err := c.do(ctx, http.MethodGet, "/apis/"+group, nil, &answer)
	if notFound(err) {
		return nil, fmt.Errorf("%w: neither /api/dashboards nor /apis/%s is known (is the address right, with the path that Grafana is served under?)", ErrNotGrafana, group)
	}
	if err != nil {
		return nil, err
	}
	for _, newest := range []string{"v1", "v1beta1", "v0alpha1"} {
		if slices.Contains(answer.Versions, version{newest}) {
			return &kinds{c, newest}, nil
		}
	}
	return nil, fmt.Errorf("%w: its /apis/%s has the versions %v, none of which takes boards of the classic form", ErrNotGrafana, group, answer.Versions)
}

// kind is a board as a resource.
type kind struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   metadata       `json:"metadata"`
	Spec       map[string]any `json:"spec"`
}

type metadata struct {
	Name            string            `json:"name"`
	ResourceVersion string            `json:"resourceVersion,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
}

func (k *kinds) path() string {
	return "/apis/" + group + "/" + k.version + "/namespaces/" + url.PathEscape(cmp.Or(k.opts.Namespace, "default")) + "/dashboards"
}

func (k *kinds) get(ctx context.Context, uid string) (map[string]any, any, error) {
	var answer kind
	if err := k.do(ctx, http.MethodGet, k.path()+"/"+uid, nil, &answer); err != nil {
		return nil, nil, err
	}
	if by := answer.Metadata.Annotations["grafana.app/managedBy"]; by != "" {
		return nil, nil, fmt.Errorf("%w: it is managed by %q there; export new files instead", ErrConflict, by)
	}
	return answer.Spec, answer.Metadata, nil
}

func (k *kinds) save(ctx context.Context, uid string, spec map[string]any, version any) error {
	old, there := version.(metadata)
	body := kind{APIVersion: group + "/" + k.version, Kind: "Dashboard", Metadata: metadata{Name: uid, ResourceVersion: old.ResourceVersion}, Spec: spec}
	folder := cmp.Or(k.opts.Folder, old.Annotations["grafana.app/folder"])
	body.Metadata.Annotations = map[string]string{"grafana.app/message": "plimsoll dashboards push"}
	if folder != "" {
		body.Metadata.Annotations["grafana.app/folder"] = folder
	}
	if there {
		return k.do(ctx, http.MethodPut, k.path()+"/"+uid, body, nil)
	}
	return k.do(ctx, http.MethodPost, k.path(), body, nil)
}
