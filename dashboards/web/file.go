package web

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"path"
	"strconv"
	"strings"

	"plimsoll.dev/plimsoll/internal/serve"
)

const index = "index.html"

// files are those of the page, by name; icon is the name of the mark.
type files struct {
	byName map[string]file
	icon   string
}

// file is one of them, packed once.
type file struct {
	kind, etag string
	plain, zip []byte
	forever    bool // its name holds its hash: it never changes
}

func newFile(name string, body []byte) file {
	sum := sha256.Sum256(body)
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is valid
	_, _ = z.Write(body)                                  // a Buffer takes everything
	_ = z.Close()
	return file{
		kind: kinds(path.Ext(name)), etag: hex.EncodeToString(sum[:8]),
		plain: body, zip: b.Bytes(), forever: name != index,
	}
}

// kinds gives the content type; the machine's own tables are not asked, so that it is the same everywhere.
func kinds(ext string) string {
	known := map[string]string{".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
	return cmp.Or(known[ext], "application/octet-stream")
}

func (f file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if f.forever {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body, etag := f.plain, `"`+f.etag+`"`
	if serve.TakesGzip(r.Header.Get("Accept-Encoding")) {
		body, etag = f.zip, `"`+f.etag+`-gzip"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", etag)
	if known(r.Header.Get("If-None-Match"), etag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(body) // the client may be gone
}

// known says whether an If-None-Match header names the tag. The comparison is weak, as RFC 9110 13.1.2 wants it.
func known(header, etag string) bool {
	for t := range strings.SplitSeq(header, ",") {
		t = strings.TrimPrefix(strings.TrimSpace(t), "W/")
		if t == etag || t == "*" {
			return true
		}
	}
	return false
}
