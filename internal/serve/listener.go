package serve

import (
	"net"
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

// bounded is a listener with a limit of open connections. Beyond it a new one is closed at once, so that nobody waits for a
// place; one host has half of the places at most.
type bounded struct {
	net.Listener
	opts    Options
	metrics *metrics
	first   func() // called once, before the first connection is taken

	mu   sync.Mutex
	n    int
	by   map[string]int
	told time.Time
}

func newBounded(l net.Listener, o Options, m *metrics, first func()) *bounded {
	return &bounded{Listener: l, opts: o, metrics: m, first: sync.OnceFunc(first), by: map[string]int{}}
}

// Accept waits for a connection that there is a place for.
func (b *bounded) Accept() (net.Conn, error) {
	b.first()
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		if b.admit(host) {
			return &conn{Conn: c, of: b, host: host}, nil
		}
		b.metrics.connsRefused.Inc()
		_ = c.Close()
	}
}

// admit takes a place, if there is one.
func (b *bounded) admit(host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if most := b.opts.maxConns; b.n >= most || b.by[host] >= max(most/2, 1) {
		if now := time.Now(); now.Sub(b.told) > time.Minute {
			b.told = now
			b.opts.Logger.Warn("too many connections, new ones are closed", "open", b.n, "most", most, "from", host, "host_open", b.by[host])
		}
		return false
	}
	b.n++
	b.by[host]++
	b.metrics.conns.Set(float64(b.n))
	return true
}

func (b *bounded) give(host string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n--
	if b.by[host]--; b.by[host] == 0 {
		delete(b.by, host)
	}
	b.metrics.conns.Set(float64(b.n))
}

// conn gives its place back when it is closed.
type conn struct {
	net.Conn
	of   *bounded
	host string
	once sync.Once
}

// Close closes the connection.
func (c *conn) Close() error {
	c.once.Do(func() { c.of.give(c.host) })
	return c.Conn.Close()
}
