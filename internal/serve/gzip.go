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

// pack returns a whole answer gzipped, and says so in the header, if it is worth it and whoever asks takes it so; else it returns nil.
func pack(w http.ResponseWriter, parts ...[]byte) []byte {
	if len(parts[0]) < packFrom {
		return nil
	}
	w.Header().Add("Vary", "Accept-Encoding")
	if c, ok := w.(*counted); !ok || !c.gzip {
		return nil
	}
	w.Header().Set("Content-Encoding", "gzip")
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // the level is valid
	for _, part := range parts {
		_, _ = z.Write(part) // a Buffer takes everything
	}
	_ = z.Close()
	return b.Bytes()
}

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
