package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// WriteJSON answers with v. It marshals before it writes, so that an error can still become a status.
func WriteJSON(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot write the answer as JSON: %w", err)
	}
	end := []byte{'\n'}
	if packed := pack(w, body, end); packed != nil {
		body, end = packed, nil
	}
	if bounded, ok := w.(*counted); ok {
		release, err := bounded.Reserve(len(body))
		if err != nil {
			w.Header().Del("Content-Encoding")
			return err
		}
		defer release()
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)+len(end)))
	_, _ = w.Write(body) // a client that has gone has nobody to tell
	_, _ = w.Write(end)
	return nil
}
