package serve

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// defaultConns is the most connections at once: enough for thousands of collectors, and never more than half of the files that the
// process may open, as everything else needs some.
func defaultConns() int {
	most := 8192
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) == nil && files.Cur < uint64(2*most) {
		most = max(int(files.Cur/2), 64)
	}
	return most
}

// bounded is a listener with a limit of open connections. One host has half of the places at most. Where there is none left, the connection
// that has been idle for longest gives way, of the same host where that has its half; only if all are at work is the new one closed at once.
type bounded struct {
	net.Listener
	opts    Options
	metrics *metrics

	mu   sync.Mutex
	n    int
	by   map[string]*clients
	full seldom
}

// clients are the connections of one host.
type clients struct {
	n    int
	idle list.List // of *conn, those that have been idle for longest first
}

func newBounded(l net.Listener, o Options, m *metrics) *bounded {
	return &bounded{Listener: l, opts: o, metrics: m, by: map[string]*clients{}, full: seldom{every: time.Minute}}
}

// Accept waits for a connection that there is a place for.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		mine := &conn{Conn: c, of: b, host: host}
		gone, ok := b.admit(mine)
		if gone != nil {
			b.metrics.connsRefused.Inc()
			_ = gone.Conn.Close() // its server notices and closes it once more
		}
		if ok {
			return mine, nil
		}
		b.metrics.connsRefused.Inc()
		_ = c.Close()
	}
}

// admit takes a place, if there is one, or that of one that is idle.
func (b *bounded) admit(c *conn) (gone *conn, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	mine := b.by[c.host]
	if mine == nil {
		mine = &clients{}
	}
	if most := b.opts.maxConns; b.n >= most || mine.n >= max(most/2, 1) {
		from := mine
		if mine.n < max(most/2, 1) {
			from = b.largest()
		}
		if gone = from.oldest(); gone == nil {
			b.tell(c.host, mine.n)
			return nil, false
		}
		b.free(gone)
	}
	b.by[c.host] = mine
	b.n++
	mine.n++
	c.idle = mine.idle.PushBack(c) // nothing was asked yet
	b.metrics.conns.Set(float64(b.n))
	return gone, true
}

// tell says that there are too many. The caller has mu.
func (b *bounded) tell(host string, n int) {
	if _, ok := b.full.line(); ok {
		b.opts.Logger.Warn("too many connections, new ones are closed", "open", b.n, "most", b.opts.maxConns, "from", host, "host_open", n)
	}
}

// largest are those of the host with most connections that are idle. The caller has mu.
func (b *bounded) largest() *clients {
	out := &clients{}
	for _, c := range b.by {
		if c.idle.Len() > out.idle.Len() {
			out = c
		}
	}
	return out
}

// oldest is the connection that has been idle for longest; nil if none is.
func (c *clients) oldest() *conn {
	if first := c.idle.Front(); first != nil {
		return first.Value.(*conn)
	}
	return nil
}

// free gives a connection's place back, once. The caller has mu.
func (b *bounded) free(c *conn) {
	if c.freed {
		return
	}
	c.freed = true
	of := b.by[c.host]
	if c.idle != nil {
		of.idle.Remove(c.idle)
		c.idle = nil
	}
	b.n--
	if of.n--; of.n == 0 {
		delete(b.by, c.host)
	}
	b.metrics.conns.Set(float64(b.n))
}

// connKey is where a request's context has its connection.
type connKey struct{}

// known puts a connection into the context of its requests.
func (b *bounded) known(ctx context.Context, nc net.Conn) context.Context {
	if over, ok := nc.(interface{ NetConn() net.Conn }); ok { // TLS
		nc = over.NetConn()
	}
	return context.WithValue(ctx, connKey{}, nc)
}

// atWork keeps connections whose requests are being answered from being taken for idle. One whose request only comes in, byte by byte, is idle.
func (b *bounded) atWork(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(connKey{}).(*conn)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		b.begin(c)
		defer b.end(c)
		next.ServeHTTP(w, r)
	})
}

func (b *bounded) begin(c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.work++; c.idle != nil && !c.freed {
		b.by[c.host].idle.Remove(c.idle)
		c.idle = nil
	}
}

func (b *bounded) end(c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.work--; c.work == 0 && !c.freed {
		c.idle = b.by[c.host].idle.PushBack(c)
	}
}

// conn gives its place back when it is closed.
type conn struct {
	net.Conn
	of    *bounded
	host  string
	idle  *list.Element // nil: it is at work
	work  int           // requests that are being answered
	freed bool
}

// Close closes the connection.
func (c *conn) Close() error {
	c.of.mu.Lock()
	c.of.free(c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}
