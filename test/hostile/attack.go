package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// attack is one way to harm. It is made by several at a time, each with a pause between two tries: the rate is bounded.
type attack struct {
	name  string
	at    int // how many make it
	pause time.Duration
	try   func(ctx context.Context, a *attack, n int) (outcome string)

	p      *product
	mu     sync.Mutex
	counts map[string]int
}

// run tries until the context ends.
func (a *attack) run(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		outcome := a.try(ctx, a, n)
		if ctx.Err() != nil && outcome == "" {
			return
		}
		a.count(outcome)
		_ = sleep(ctx, a.pause)
	}
}

func (a *attack) count(outcome string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.counts == nil {
		a.counts = map[string]int{}
	}
	a.counts[outcome]++
}

// said is how often what came of it.
func (a *attack) said() string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(a.counts)) {
		parts = append(parts, fmt.Sprintf("%s: %d", k, a.counts[k]))
	}
	return strings.Join(parts, ", ")
}

// attacks are all that are made.
func attacks() []*attack {
	ms := time.Millisecond
	return []*attack{
		{name: "garbage", at: 2, pause: 100 * ms, try: garbage},
		{name: "bombs", at: 2, pause: 200 * ms, try: bomb},
		{name: "oversize", at: 1, pause: 2000 * ms, try: oversize},
		{name: "tiny", at: 2, pause: 2000 * ms, try: tiny},
		{name: "nodes", at: 1, pause: 2000 * ms, try: manyNodes},
		{name: "fleet", at: 1, pause: 3000 * ms, try: fleet},
		{name: "labels", at: 2, pause: 500 * ms, try: labelBomb},
		{name: "second", at: 2, pause: 200 * ms, try: second},
		{name: "forged", at: 2, pause: 250 * ms, try: forged},
		{name: "slow bodies", at: 64, pause: 500 * ms, try: slowBody},
		{name: "slow readers", at: 16, pause: 500 * ms, try: slowReader},
		{name: "slow pictures", at: 40, pause: 1500 * ms, try: slowPicture},
		{name: "idle", at: 500, pause: 1000 * ms, try: idle},
		{name: "promql", at: 4, pause: 100 * ms, try: expensive},
		{name: "format", at: 4, pause: 100 * ms, try: format},
		{name: "heapster", at: 3, pause: 200 * ms, try: historical},
		{name: "quantities", at: 2, pause: 200 * ms, try: hugeQuantity},
		{name: "tokens", at: 4, pause: 50 * ms, try: token},
		{name: "streams", at: 90, pause: 1500 * ms, try: stream},
		{name: "logins", at: 16, pause: 50 * ms, try: login},
		{name: "resets", at: 2, pause: 500 * ms, try: resets},
		{name: "other site", at: 1, pause: 100 * ms, try: otherSite},
	}
}

// ask sends a request as somebody and says what came of it; the answer is read to its end, unless it takes too long.
func (a *attack) ask(ctx context.Context, from, user, method, path string, body []byte, change func(*http.Request)) string {
	r, err := a.p.request(ctx, method, path, user, bytes.NewReader(body))
	if err != nil {
		return "not sent"
	}
	if change != nil {
		change(r)
	}
	return do(ctx, a.p.kept(from), r)
}

func do(ctx context.Context, c *http.Client, r *http.Request) string {
	resp, err := c.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return ""
		}
		return "no answer"
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Sprint(resp.StatusCode, " cut off")
	}
	return fmt.Sprint(resp.StatusCode)
}
