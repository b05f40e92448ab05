package serve

import (
	"errors"
	"net"
	"net/http"
	"time"
)

// counted is the writer of an answer whose bytes are counted while it waits to be read.
type counted struct {
	http.ResponseWriter
	of     *answers
	client string
	least  int    // what an answer that is written in pieces counts as
	made   func() // called when the answer is made
	gzip   bool   // whoever asks takes it packed

	release func() // of the place that it has; nil: none
	begun   bool   // the header is written
	refused bool   // there was no place, which is the answer
}

// errNoPlace is what a handler is told that writes an answer for which there is no place.
var errNoPlace = errors.New("cannot write the answer: there is no place for it")

// Unwrap returns the writer below.
func (w *counted) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader begins an answer. One that its handler writes in pieces has a place until the handler ends.
func (w *counted) WriteHeader(code int) {
	if w.refused {
		return
	}
	if code >= http.StatusOK && code < http.StatusBadRequest && code != http.StatusNoContent && w.release == nil && !w.begun {
		release, err := w.hold(max(w.least, leastAnswer))
		if w.made(); err != nil {
			w.refused = true
			w.Header().Del("Content-Length")
			w.Header().Del("Content-Encoding")
			WriteProblem(w.ResponseWriter, statusOf(err), err.Error())
			return
		}
		w.release = release
	}
	w.made()
	w.begun = w.begun || code >= http.StatusOK
	w.ResponseWriter.WriteHeader(code)
}

// Write writes a part of an answer.
func (w *counted) Write(b []byte) (int, error) {
	if !w.begun {
		w.least = max(w.least, len(b))
		w.WriteHeader(http.StatusOK)
	}
	if w.refused {
		return 0, errNoPlace
	}
	return w.ResponseWriter.Write(b)
}

// Reserve finds a place for so many bytes that are to be written, until release. Its error is one to answer with.
func (w *counted) Reserve(bytes int) (release func(), err error) {
	defer w.made()
	release, err = w.hold(bytes)
	if err != nil {
		return nil, err
	}
	rc := http.NewResponseController(w.ResponseWriter)
	_ = rc.SetWriteDeadline(time.Now().Add(10*time.Second + time.Duration(bytes)*time.Second/readPace)) // not supported by test recorders
	w.release = release
	return w.end, nil
}

// hold finds a place.
func (w *counted) hold(bytes int) (release func(), err error) {
	rc := http.NewResponseController(w.ResponseWriter)
	p := &place{client: w.client, bytes: max(bytes, leastAnswer), cut: func() { _ = rc.SetWriteDeadline(time.Now()) }}
	of := w.of.of(bytes)
	if err := of.take(p); err != nil {
		return nil, err
	}
	return func() { of.give(p) }, nil
}

// end gives the place back.
func (w *counted) end() {
	if w.release != nil {
		w.release()
		w.release = nil
	}
}

// starting is the writer of a stream, whose first words are made as an answer is.
type starting struct {
	http.ResponseWriter
	made func()
}

// Unwrap returns the writer below.
func (w *starting) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader begins the stream.
func (w *starting) WriteHeader(code int) {
	w.made()
	w.ResponseWriter.WriteHeader(code)
}

// ClientOf names whoever a request is counted to: the login, and the host.
func ClientOf(r *http.Request) string {
	return CallerOf(r.Context()).Name + "@" + hostOf(r)
}

// hostOf is where a request comes from.
func hostOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
