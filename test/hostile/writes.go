package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/klauspost/compress/snappy"
)

func asInsider(r *http.Request) { setWrite(r, "insider-process", false) }

// garbage sends what is no message, packed well and not at all.
func garbage(ctx context.Context, a *attack, n int) string {
	raw := make([]byte, rand.IntN(64<<10))
	for i := range raw {
		raw[i] = byte(rand.Uint32())
	}
	if n%2 == 0 {
		raw = snappy.Encode(nil, raw)
	}
	return a.ask(ctx, fromInsider, "insider", http.MethodPost, "/api/v1/write", raw, asInsider)
}

// bomb sends a few bytes that say that they are gigabytes, and some that really become many.
func bomb(ctx context.Context, a *attack, n int) string {
	body := binary.AppendUvarint(nil, 1<<31)
	if n%8 == 1 {
		body = snappy.Encode(nil, make([]byte, 128<<20))
	}
	return a.ask(ctx, fromInsider, "insider", http.MethodPost, "/api/v1/write", body, asInsider)
}

// oversize sends without an end.
func oversize(ctx context.Context, a *attack, _ int) string {
	r, err := a.p.request(ctx, http.MethodPost, "/api/v1/write", "insider", io.LimitReader(zeros{}, 256<<20))
	if err != nil {
		return "not sent"
	}
	asInsider(r)
	return do(ctx, a.p.kept(fromInsider), r)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// tiny sends as many samples as one request may have, and more than that.
func tiny(ctx context.Context, a *attack, n int) string {
	now := time.Now().UnixMilli()
	var all []one
	per := []int{1_900, 8_000}[n%2]
	for i := range 100 {
		all = append(all, one{labels: []string{"__name__", "container_memory_rss", "container", fmt.Sprint("t", i), "namespace", "x", "node", "tiny", "pod", "p"}, ms: now - 10_000, more: per})
	}
	return a.ask(ctx, fromInsider, "insider", http.MethodPost, "/api/v1/write", encode(all), asInsider)
}

// manyNodes sends of ever new machines.
func manyNodes(ctx context.Context, a *attack, n int) string {
	now := time.Now().UnixMilli()
	var all []one
	for i := range 5000 {
		all = append(all, one{labels: []string{"__name__", "container_memory_working_set_bytes", "container", "c", "namespace", "x", "node", fmt.Sprintf("made-up-%d-%d", n, i), "pod", "p"}, ms: now, value: 1})
	}
	return a.ask(ctx, fromInsider, "insider", http.MethodPost, "/api/v1/write", encode(all), func(r *http.Request) { setWrite(r, "insider-process", n%2 == 0) })
}

// fleet sends two samples each of ten thousand containers, which the picture then shows to whoever asks for all of it.
func fleet(ctx context.Context, a *attack, n int) string {
	now := time.Now().UnixMilli()
	var all []one
	for i := range 10_000 {
		of := []string{"container", fmt.Sprint("c", i), "id", fmt.Sprint("/kubepods/burstable/pod0000-1111-2222-3333/", i), "image", "registry.example/shop/web:1.2.3", "namespace", "fleet", "node", fmt.Sprint("fleet-", i%50), "pod", fmt.Sprint("web-", i)}
		for _, name := range []string{"container_cpu_usage_seconds_total", "container_memory_working_set_bytes"} {
			all = append(all, one{labels: append([]string{"__name__", name}, of...), ms: now, value: float64(n)})
		}
	}
	return a.ask(ctx, fromInsider, "insider", http.MethodPost, "/api/v1/write", encode(all), func(r *http.Request) { setWrite(r, "insider-process", true) })
}

// labelBomb sends series of very many labels, of very long ones, and ever new values of one.
func labelBomb(ctx context.Context, a *attack, n int) string {
	now := time.Now().UnixMilli()
	var all []one
	for i := range []int{1, 20, 2000}[n%3] {
		labels := []string{"__name__", "container_memory_rss", "container", fmt.Sprint("l", n, "-", i), "namespace", "x", "node", "labels", "pod", "p"}
		for k := range []int{500, 1, 0}[n%3] {
			labels = append(labels, fmt.Sprintf("z%03d", k), strings.Repeat("x", []int{10, 60_000, 0}[n%3]))
		}
		all = append(all, one{labels: labels, ms: now, value: 1})
	}
	return a.ask(ctx, fromInsider, "insider", http.MethodPost, "/api/v1/write", encode(all), asInsider)
}

// second sends for the node that the honest sender speaks for, which the insider's login may do too.
func second(ctx context.Context, a *attack, n int) string {
	all := []one{{labels: []string{"__name__", "container_memory_rss", "container", "c0", "namespace", "honest", "node", "honest", "pod", "p"}, ms: time.Now().UnixMilli() + int64(n%3)*1000, value: -1}}
	return a.ask(ctx, fromInsider, "insider", http.MethodPost, "/api/v1/write", encode(all), func(r *http.Request) { setWrite(r, "insider-process", n%2 == 0) })
}

// forged says that the scaled service is busy, or idle: as its own machine, as another, of now and of what is to come.
func forged(ctx context.Context, a *attack, n int) string {
	now := time.Now().UnixMilli()
	if n%4 >= 2 {
		now += 4000
	}
	node := own
	if n%2 == 1 {
		node = "elsewhere"
	}
	var all []one
	for i := range 10 {
		for k := range 2 { // a counter that rises by a hundred cores, or not at all
			v := float64(k) * 100 * float64(n/40%2)
			all = append(all, one{labels: []string{"__name__", "container_cpu_usage_seconds_total", "container", "web", "namespace", "demo", "node", node, "pod", fmt.Sprint("web-", i+1)},
				ms: now - 1000 + int64(k)*1000, value: v + float64(n)})
		}
	}
	return a.ask(ctx, fromInsider, "insider", http.MethodPost, "/api/v1/write", encode(all), func(r *http.Request) { setWrite(r, "insider-process", n%3 != 0) })
}

// slowBody sends a byte now and then.
func slowBody(ctx context.Context, a *attack, _ int) string {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r, err := a.p.request(ctx, http.MethodPost, "/api/v1/write", "insider", &drip{ctx: ctx, left: 1 << 20})
	if err != nil {
		return "not sent"
	}
	r.ContentLength = 1 << 20
	asInsider(r)
	return do(ctx, a.p.kept(fromInsider), r)
}

// drip gives one byte a second.
type drip struct {
	ctx  context.Context
	left int
}

func (d *drip) Read(p []byte) (int, error) {
	if sleep(d.ctx, time.Second) != nil || d.left == 0 {
		return 0, io.EOF
	}
	d.left--
	p[0] = 1
	return 1, nil
}
