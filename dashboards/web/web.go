// Package web is the page that people keep open: what the machine does, what is scaled and why, who hurts. It is
// written in TypeScript (src), built by `npm run build` into dist, which is committed, and served from memory.
// The page drinks from the public API alone: /plimsoll/v1, of which the stream tells what is now and series what was.
package web

import (
	"cmp"
	"embed"
	"io/fs"
	"net/http"
	"path"
)

//go:embed dist
var dist embed.FS

// csp lets the page load what Plimsoll itself serves and nothing else; there is no inline script or style.
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the page at / and /index.html and its files beside it; every other path is not found. Views
// live behind the address's hash, so that no path but / has to be known here, nor by a proxy in between.
func Handler() http.Handler {
	files := load(dist)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the page is only to be read", http.StatusMethodNotAllowed)
			return
		}
		name := cmp.Or(path.Clean("/" + r.URL.Path)[1:], index)
		if name == "favicon.ico" {
			name = files.icon
		}
		f, ok := files.byName[name]
		if !ok {
			http.Error(w, "the page has no such file", http.StatusNotFound)
			return
		}
		f.serve(w, r)
	})
}

// secure sets the headers that every answer carries, errors included.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", csp)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
}

// load reads and packs all files of dist. What is embedded can be read.
func load(fsys fs.FS) files {
	out := files{byName: map[string]file{}}
	entries, _ := fs.ReadDir(fsys, "dist")
	for _, e := range entries {
		body, _ := fs.ReadFile(fsys, path.Join("dist", e.Name()))
		out.byName[e.Name()] = newFile(e.Name(), body)
		if path.Ext(e.Name()) == ".svg" {
			out.icon = e.Name()
		}
	}
	return out
}
