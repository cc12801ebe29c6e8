package recipe

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// A prescription has some three thousand bytes, of which a compressor that makes codes for each document spends most of its time on
// the codes. gzipFixed uses the fixed ones of RFC 1951 section 3.2.6: a quarter of the time, and a quarter more bytes.
const (
	maxFixed  = 16 << 10 // from here on codes of its own are worth their time
	hashBits  = 10
	minMatch  = 4 // one of three bytes saves little
	maxMatch  = 258
	endOfData = 256
)

// code is a code of a fixed length, the first bit being the lowest.
type code struct {
	bits uint16
	n    uint8
}

// symbols are the codes of literals, the end of data and the lengths, distances those of distances.
var symbols, distances = func() (s [288]code, d [30]code) {
	for v := range s {
		bits, n := 0, 0
		switch {
		case v < 144:
			bits, n = 0x30+v, 8
		case v < 256:
			bits, n = 0x190+v-144, 9
		case v < 280:
			bits, n = v-256, 7
		default:
			bits, n = 0xc0+v-280, 8
		}
		s[v] = reversed(bits, n)
	}
	for v := range d {
		d[v] = reversed(v, 5)
	}
	return s, d
}()

func reversed(v, n int) code { return code{bits.Reverse16(uint16(v)) >> (16 - n), uint8(n)} }

// packer writes bits.
type packer struct {
	out  []byte
	held uint64
	n    uint
}

func (p *packer) put(v uint64, n uint) {
	p.held |= v << p.n
	if p.n += n; p.n >= 32 {
		p.out = binary.LittleEndian.AppendUint32(p.out, uint32(p.held))
		p.held >>= 32
		p.n -= 32
	}
}

func (p *packer) symbol(v int) { p.put(uint64(symbols[v].bits), uint(symbols[v].n)) }

// match writes "as so many bytes so far back" (RFC 1951 section 3.2.5).
func (p *packer) match(length, distance int) {
	if length == maxMatch {
		p.symbol(285)
	} else {
		s, extra, rest := scaled(length-3, 2)
		p.symbol(257 + s)
		p.put(uint64(rest), uint(extra))
	}
	s, extra, rest := scaled(distance-1, 1)
	p.put(uint64(distances[s].bits), uint(distances[s].n))
	p.put(uint64(rest), uint(extra))
}

// scaled splits a value into its class and what follows in extra bits: 1<<fine classes for each number of bits.
func scaled(v, fine int) (class, extra, rest int) {
	if extra = bits.Len(uint(v)) - 1 - fine; extra <= 0 {
		return v, 0, 0
	}
	return extra<<fine + v>>extra, extra, v & (1<<extra - 1)
}

// gzipFixed packs at most maxFixed bytes.
func gzipFixed(content []byte) []byte {
	p := packer{out: make([]byte, 0, len(content)/2+64)}
	p.out = append(p.out, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255) // RFC 1952: deflate, fastest, no name, no time
	p.put(0b011, 3)                                             // the last block, fixed codes
	var last [1 << hashBits]uint16                              // where four such bytes stood last, plus one
	i := 0
	for i+minMatch <= len(content) {
		word := binary.LittleEndian.Uint32(content[i:])
		h := word * 0x9e3779b1 >> (32 - hashBits)
		was := int(last[h]) - 1
		last[h] = uint16(i + 1)
		if was < 0 || binary.LittleEndian.Uint32(content[was:]) != word {
			p.symbol(int(content[i]))
			i++
			continue
		}
		n := minMatch
		for n < maxMatch && i+n < len(content) && content[was+n] == content[i+n] {
			n++
		}
		p.match(n, i-was)
		i += n
	}
	for ; i < len(content); i++ {
		p.symbol(int(content[i]))
	}
	p.symbol(endOfData)
	p.put(0, -p.n&7)
	for ; p.n > 0; p.n -= 8 {
		p.out = append(p.out, byte(p.held))
		p.held >>= 8
	}
	p.out = binary.LittleEndian.AppendUint32(p.out, crc32.ChecksumIEEE(content))
	return binary.LittleEndian.AppendUint32(p.out, uint32(len(content)))
}
