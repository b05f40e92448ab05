// Mock serves the page with made-up data that changes, for working on the page and for its browser tests:
//
//	go run ./dashboards/web/mock -scene full
//
// It speaks as much of /plimsoll/v1 as the page asks for. Every value is a pure function
// of the time, so that live values and history agree.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"plimsoll.dev/plimsoll/dashboards/web"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8099", "address to listen on")
	scene := flag.String("scene", "full", "full, first (12 s after the start), empty (nothing to show), ill (conditions), many (900 containers), cluster (a node of two) or part (of a cluster, to somebody who may not see all)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *listen, *scene); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, listen, scene string) error {
	w, err := newWorld(scene, time.Now())
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %q: %w", listen, err)
	}
	s := &http.Server{Handler: routes(w), ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	go func() { <-ctx.Done(); _ = s.Close() }()
	fmt.Printf("listening on http://%s/\n", l.Addr())
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func routes(w *world) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", web.Handler())
	mux.HandleFunc("GET /plimsoll/v1/overview", w.serveOverview)
	mux.HandleFunc("GET /plimsoll/v1/containers", w.serveContainers)
	mux.HandleFunc("GET /plimsoll/v1/decisions", w.serveDecisions)
	mux.HandleFunc("GET /plimsoll/v1/stream", w.serveStream)
	mux.HandleFunc("GET /plimsoll/v1/workloads/{ns}/{kind}/{name}", w.serveWorkload)
	mux.HandleFunc("GET /plimsoll/v1/nodes/{name}", w.serveNode)
	mux.HandleFunc("GET /plimsoll/v1/series", w.serveSeries)
	return mux
}
