package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A file is a header and frames. Each frame is what one write put on the disk at once:
//
//	mark      1 byte, not zero
//	checksum  4 bytes, CRC-32C of the file's salt and of everything behind it in the frame
//	length    4 bytes, of the payload
//	number    8 bytes, 1 for the file's first frame and one more for each that follows
//	durable   8 bytes, the number of the last frame that was on stable storage when this one was written
//	payload   records, each behind its length as a uvarint; the whole XORed with the salt again and again
//	mark      1 byte
//
// All numbers are little-endian. The salt, random for each file, keeps a record that a client had a hand in from ever
// passing for a frame, or for a part of the disk that was not written: no sector of a frame is all zeros. See torn.
const (
	magic       = "NETBOOTJ"
	version     = 1
	headerSize  = 32
	frameHeader = 25
	overhead    = frameHeader + 1
	mark        = 0xf5
	// MaxRecord bounds one record in bytes, maxPayload what one frame holds before it is full.
	MaxRecord  = 64 << 10
	maxPayload = 4 << 20
	maxFrame   = overhead + maxPayload + MaxRecord + binary.MaxVarintLen64
)

//nolint:gochecknoglobals // a table
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header begins a file.
type header struct {
	generation uint64
	salt       uint64
}

func (h header) bytes() []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], version)
	binary.LittleEndian.PutUint64(b[12:], h.generation)
	binary.LittleEndian.PutUint64(b[20:], h.salt)
	binary.LittleEndian.PutUint32(b[28:], crc32.Checksum(b[:28], castagnoli))
	return b
}

var errHeader = errors.New("its header is damaged")

func readHeader(r io.ReaderAt) (header, error) {
	b := make([]byte, headerSize)
	if _, err := r.ReadAt(b, 0); err != nil {
		if errors.Is(err, io.EOF) {
			err = errHeader
		}
		return header{}, err
	}
	switch {
	case string(b[:8]) != magic || binary.LittleEndian.Uint32(b[28:]) != crc32.Checksum(b[:28], castagnoli):
		return header{}, errHeader
	case binary.LittleEndian.Uint32(b[8:]) != version:
		return header{}, fmt.Errorf("it has version %d of the format, and this program knows %d", binary.LittleEndian.Uint32(b[8:]), version)
	}
	return header{binary.LittleEndian.Uint64(b[12:]), binary.LittleEndian.Uint64(b[20:])}, nil
}

// frame is what one write put on the disk.
type frame struct {
	number, durable uint64
	payload         []byte
}

// size is what the frame takes on the disk, in bytes.
func (f frame) size() int64 { return int64(overhead + len(f.payload)) }

// beginFrame makes room for a frame's header at the end of dst; records follow, then endFrame.
func beginFrame(dst []byte) []byte { return append(dst, make([]byte, frameHeader)...) }

func appendRecord(dst, record []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(record))), record...)
}

// endFrame fills in the header of b, a frame but for its last byte, which it appends.
func endFrame(b []byte, number, durable, salt uint64) []byte {
	mask(b[frameHeader:], salt)
	b = append(b, mark)
	b[0] = mark
	binary.LittleEndian.PutUint32(b[5:], uint32(len(b)-overhead))
	binary.LittleEndian.PutUint64(b[9:], number)
	binary.LittleEndian.PutUint64(b[17:], durable)
	binary.LittleEndian.PutUint32(b[1:], checksum(b, salt))
	return b
}

// mask XORs b with the salt, which twice gives back what it was.
func mask(b []byte, salt uint64) {
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^salt)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(salt >> (8 * i))
	}
}

func checksum(frame []byte, salt uint64) uint32 {
	var s [8]byte
	binary.LittleEndian.PutUint64(s[:], salt)
	return crc32.Update(crc32.Checksum(s[:], castagnoli), castagnoli, frame[5:])
}

// declaredSize is the size of the frame that b seems to begin with; 0: none does.
func declaredSize(b []byte) int {
	if len(b) < frameHeader || b[0] != mark {
		return 0
	}
	if n := binary.LittleEndian.Uint32(b[5:]); n <= maxFrame-overhead {
		return int(n) + overhead
	}
	return 0
}

// parseFrame reads the frame at the beginning of b, whose payload it unmasks in place; ok is false, and b as it was, if
// there is no whole one.
func parseFrame(b []byte, salt uint64) (f frame, ok bool) {
	n := declaredSize(b)
	if n == 0 || n > len(b) || b[n-1] != mark || binary.LittleEndian.Uint32(b[1:]) != checksum(b[:n], salt) {
		return frame{}, false
	}
	f = frame{binary.LittleEndian.Uint64(b[9:]), binary.LittleEndian.Uint64(b[17:]), b[frameHeader : n-1]}
	mask(f.payload, salt)
	return f, true
}

// records hands each record of a payload to each.
func records(payload []byte, each func([]byte) error) error {
	for len(payload) > 0 {
		n, used := binary.Uvarint(payload)
		if used <= 0 || n > uint64(len(payload)-used) {
			return errors.New("a record is longer than its frame")
		}
		if err := each(payload[used : used+int(n)]); err != nil {
			return err
		}
		payload = payload[used+int(n):]
	}
	return nil
}
