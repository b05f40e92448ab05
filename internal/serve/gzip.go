package serve

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
)

// packFrom is the smallest answer that is worth packing.
const packFrom = 1 << 10

// packed sends answers gzipped to who takes them so: those that are written whole, with their length, and not packed already. What
// comes in pieces stays as it is.
func packed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&packer{ResponseWriter: w, takes: TakesGzip(r.Header.Get("Accept-Encoding"))}, r)
	})
}

// packer is the writer of one answer.
type packer struct {
	http.ResponseWriter
	takes bool
	begun bool
}

// WriteHeader notes that the answer has begun: its length has been told.
func (p *packer) WriteHeader(status int) {
	p.begun = true
	p.ResponseWriter.WriteHeader(status)
}

// Write packs a body that is whole.
func (p *packer) Write(body []byte) (int, error) {
	h := p.Header()
	whole := !p.begun && h.Get("Content-Length") == strconv.Itoa(len(body)) && h.Get("Content-Encoding") == ""
	p.begun = true
	if !whole || len(body) < packFrom {
		return p.ResponseWriter.Write(body)
	}
	h.Add("Vary", "Accept-Encoding")
	if !p.takes {
		return p.ResponseWriter.Write(body)
	}
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // the level is valid
	_, _ = z.Write(body)                            // a Buffer takes everything
	_ = z.Close()
	h.Set("Content-Encoding", "gzip")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	if _, err := p.ResponseWriter.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(body), nil
}

// Unwrap returns the writer below.
func (p *packer) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// TakesGzip reads an Accept-Encoding header: gzip or * is named, and not with q=0.
func TakesGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, q, _ := strings.Cut(part, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name != "gzip" && name != "*" {
			continue
		}
		v, has := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(q), " ", ""), "q=")
		if !has {
			return true
		}
		f, err := strconv.ParseFloat(v, 64)
		return err == nil && f > 0
	}
	return false
}
