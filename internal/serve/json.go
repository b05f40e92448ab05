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
	if bounded, ok := w.(*counted); ok {
		release, err := bounded.Reserve(len(body))
		if err != nil {
			return err
		}
		defer release()
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	_, _ = w.Write(body) // a client that has gone has nobody to tell
	_, _ = w.Write([]byte{'\n'})
	return nil
}
