package hlo

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var errCut = errors.New("hlo: the program is cut short")

// fields calls f for each field of a protocol buffer: v is the number of a
// varint field, b the bytes of a length-delimited one.
func fields(msg []byte, f func(field int, v uint64, b []byte) error) error {
	for len(msg) > 0 {
		key, n := binary.Uvarint(msg)
		if n <= 0 {
			return errCut
		}
		msg = msg[n:]
		var v uint64
		var b []byte
		switch key & 7 {
		case 0:
			if v, n = binary.Uvarint(msg); n <= 0 {
				return errCut
			}
		case 1:
			n = 8
		case 2:
			size, m := binary.Uvarint(msg)
			if m <= 0 || size > uint64(len(msg)-m) {
				return errCut
			}
			b, n = msg[m:m+int(size)], m+int(size)
		case 5:
			n = 4
		default:
			return fmt.Errorf("hlo: wire type %d", key&7)
		}
		if n > len(msg) {
			return errCut
		}
		msg = msg[n:]
		if err := f(int(key>>3), v, b); err != nil {
			return err
		}
	}
	return nil
}

// numbers appends a repeated number, packed or not.
func numbers(list []int64, v uint64, b []byte) []int64 {
	if b == nil {
		return append(list, int64(v))
	}
	for len(b) > 0 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return list
		}
		list, b = append(list, int64(v)), b[n:]
	}
	return list
}
