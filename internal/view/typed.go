package view

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
)

// kindOf is the kind of what is answered at a path of the group; "" of the page's files and of the stream, which are no objects.
func kindOf(at string) string {
	name, below, _ := strings.Cut(strings.TrimPrefix(at, Base+"/"), "/")
	switch {
	case name == "pages" || name == "stream":
		return ""
	case name == "namespaces":
		return kinds["workloads"]
	case below == "" && lists[name]:
		return kinds[name] + "List"
	}
	return kinds[name]
}

// typed has a JSON object that is answered begin with its kind, without which no client of an API server takes it for an answer.
func typed(w http.ResponseWriter, kind string) http.ResponseWriter {
	if kind == "" {
		return w
	}
	return &typer{ResponseWriter: w, kind: kind}
}

type typer struct {
	http.ResponseWriter
	kind  string
	begun bool
}

// Unwrap lets others find what a writer can.
func (t *typer) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func (t *typer) Write(b []byte) (int, error) {
	if t.begun || t.Header().Get("Content-Type") != "application/json" || !bytes.HasPrefix(b, []byte(`{"`)) {
		t.begun = true
		return t.ResponseWriter.Write(b)
	}
	t.begun = true
	head := `{"kind":"` + t.kind + `","apiVersion":"` + Group + "/" + Version + `",`
	if n, err := strconv.Atoi(t.Header().Get("Content-Length")); err == nil {
		t.Header().Set("Content-Length", strconv.Itoa(n+len(head)-1))
	}
	if _, err := t.ResponseWriter.Write([]byte(head)); err != nil {
		return 0, err
	}
	n, err := t.ResponseWriter.Write(b[1:])
	return n + 1, err
}
