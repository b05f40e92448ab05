package queue

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// codec packs and unpacks payloads. One of each works at a time a core, so that its memory is bounded.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newCodec() (*codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithWindowSize(256<<10),
		zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("cannot make a compressor: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxPayload))
	if err != nil {
		return nil, fmt.Errorf("cannot make a decompressor: %w", err)
	}
	return &codec{enc, dec}, nil
}

// pack appends the payload to dst, compressed if that saves at least an eighth, and returns the codec.
func (c *codec) pack(dst, record []byte) ([]byte, uint8) {
	if len(record) >= 128 {
		if b := c.enc.EncodeAll(record, dst); len(b)-len(dst) <= len(record)-len(record)/8 {
			return b, codecZstd
		}
	}
	return append(dst, record...), codecRaw
}

// unpack returns the record of a payload, in newly allocated memory.
func (c *codec) unpack(h header, payload []byte) ([]byte, error) {
	if h.codec == codecRaw {
		return bytes.Clone(payload), nil
	}
	b, err := c.dec.DecodeAll(payload, make([]byte, 0, h.raw))
	if err != nil {
		return nil, fmt.Errorf("cannot unpack record %d: %w", h.seq, err)
	}
	if len(b) != int(h.raw) {
		return nil, fmt.Errorf("cannot unpack record %d: got %d bytes, want %d", h.seq, len(b), h.raw)
	}
	return b, nil
}

func (c *codec) close() {
	_ = c.enc.Close()
	c.dec.Close()
}
