// Protocol buffers: iterates over fields.

package hlo

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// fields calls f for each field of a protocol buffer. v is the value of a varint field, b
// the bytes of a length-delimited one.
func fields(msg []byte, f func(field int, v uint64, b []byte) error) error {
	for len(msg) > 0 {
		field, kind, n := protowire.ConsumeTag(msg)
		if n < 0 {
			return damaged(n)
		}
		msg = msg[n:]
		var v uint64
		var b []byte
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(msg)
		case protowire.BytesType:
			b, n = protowire.ConsumeBytes(msg)
		default:
			n = protowire.ConsumeFieldValue(field, kind, msg)
		}
		if n < 0 {
			return damaged(n)
		}
		msg = msg[n:]
		if err := f(int(field), v, b); err != nil {
			return err
		}
	}
	return nil
}

// numbers appends the values of a repeated number, packed or not.
func numbers(list []int64, v uint64, b []byte) ([]int64, error) {
	if b == nil {
		return append(list, int64(v)), nil
	}
	for len(b) > 0 {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return list, damaged(n)
		}
		list, b = append(list, int64(v)), b[n:]
	}
	return list, nil
}

// damaged turns protowire's negative length into an error.
func damaged(n int) error {
	return fmt.Errorf("hlo: the program is damaged or cut short: %w", protowire.ParseError(n))
}
