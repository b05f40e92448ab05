package main

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// The answers of a name server, as DNS has them.
const (
	noError  = 0
	servFail = 2
	nxDomain = 3
	silence  = -1 // no answer at all
)

// nameServer answers every question for addresses with the same ones, over UDP and TCP, with a time to live of zero.
type nameServer struct {
	mu       sync.Mutex
	code     int
	found    []net.IP
	overTCP  int
	answered int
}

// startNameServer takes port 53, which needs a network of the test's own.
func startNameServer(t *testing.T) *nameServer {
	t.Helper()
	n := &nameServer{}
	udp, err := net.ListenPacket("udp", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { n.packets(udp) })
	wg.Go(func() { n.streams(tcp, &wg) })
	t.Cleanup(func() {
		_, _ = udp.Close(), tcp.Close()
		wg.Wait()
	})
	return n
}

func (n *nameServer) set(code int, found ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.code, n.found = code, nil
	for _, a := range found {
		n.found = append(n.found, net.ParseIP(a).To4())
	}
}

// counts says how many questions were answered, and how many of them over TCP.
func (n *nameServer) counts() (all, overTCP int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.answered, n.overTCP
}

func (n *nameServer) packets(c net.PacketConn) {
	buf := make([]byte, 4096)
	for {
		size, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		if a := n.answer(buf[:size], 512); a != nil {
			_, _ = c.WriteTo(a, from)
		}
	}
}

func (n *nameServer) streams(l net.Listener, wg *sync.WaitGroup) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		wg.Go(func() {
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			var size [2]byte
			for {
				if _, err := io.ReadFull(c, size[:]); err != nil {
					return
				}
				q := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(c, q); err != nil {
					return
				}
				a := n.answer(q, 65535)
				if a == nil {
					return
				}
				if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...)); err != nil {
					return
				}
			}
		})
	}
}

// answer makes the answer to a question, of at most so many bytes; a longer one is cut, and says so.
func (n *nameServer) answer(q []byte, most int) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	end := 12
	for end < len(q) && q[end] != 0 {
		end += int(q[end]) + 1
	}
	if end += 5; len(q) < end || n.code == silence {
		return nil
	}
	n.answered++
	if most > 512 {
		n.overTCP++
	}
	const response, authoritative, truncated = 0x8000, 0x0400, 0x0200
	flags, count := uint16(response|authoritative|n.code), 0
	var records []byte
	if kind := binary.BigEndian.Uint16(q[end-4:]); kind == 1 && n.code == noError {
		for _, ip := range n.found {
			records = append(records, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4) // the name asked for, A, IN, for no time, four bytes
			records = append(records, ip...)
			count++
		}
	}
	if end+len(records) > most {
		flags, records, count = flags|truncated, nil, 0
	}
	a := append([]byte(nil), q[:2]...)
	for _, x := range []uint16{flags | binary.BigEndian.Uint16(q[2:])&0x0100, 1, uint16(count), 0, 0} {
		a = binary.BigEndian.AppendUint16(a, x)
	}
	return append(append(a, q[12:end]...), records...)
}
