// Tests of counting kernels, on hand-made programs.

package hlo

import (
	"encoding/binary"
	"reflect"
	"testing"
)

// msg writes a protocol buffer with fields of numbers, strings and messages.
func msg(parts ...any) []byte {
	var b []byte
	for i := 0; i < len(parts); i += 2 {
		field := parts[i].(int)
		switch v := parts[i+1].(type) {
		case int:
			b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(field<<3)), uint64(v))
		case string:
			b = append(binary.AppendUvarint(binary.AppendUvarint(b, uint64(field<<3|2)), uint64(len(v))), v...)
		case []byte:
			b = append(binary.AppendUvarint(binary.AppendUvarint(b, uint64(field<<3|2)), uint64(len(v))), v...)
		}
	}
	return b
}

const f32Type = 11

func array(dims ...byte) []byte { return msg(2, f32Type, 3, dims) }

func instr(id int, name, opcode string, shape []byte, more ...any) []byte {
	return msg(append([]any{1, name, 2, opcode, 3, shape, 35, id}, more...)...)
}

// A step with a convolution, a fused sum over slices, a copy and an all-reduce, in a loop
// and without one.
func TestKernels(t *testing.T) {
	fused := msg(5, 2, 2, instr(20, "p", "parameter", array(100)), 2, instr(21, "s", "slice", array(10), 36, 20),
		2, instr(22, "sum", "reduce", array(), 36, 21))
	body := []any{5, 1,
		2, instr(10, "w", "parameter", array(100)),
		2, instr(11, "x", "parameter", array(4, 5)),
		2, instr(12, "conv", "custom-call", msg(4, array(8), 4, msg(2, 6, 3, []byte{99})), 28, "__cudnn$convForward", 36, []byte{11, 10}, 7, msg(2, "conv1/conv")),
		2, instr(13, "y", "get-tuple-element", array(8), 36, 12),
		2, instr(14, "sum", "fusion", array(), 36, 10, 38, 2),
		2, instr(15, "copy", "copy", array(8), 36, 13),
		2, instr(16, "start", "all-reduce-start", array(8), 36, 15),
		2, instr(17, "done", "all-reduce-done", array(8), 36, 16),
	}
	want := []Kernel{
		{"conv", Convolution, "conv1/conv", 4*8 + 4*20 + 4*100},
		{"sum", "reduction", "", 4 + 4*10},
		{"copy", "copy", "", 2 * 4 * 8},
		{"start", AllReduce, "", 2 * 4 * 8},
	}
	module := msg(1, msg(3, fused, 3, msg(body...), 6, 1))
	got, err := Kernels(module)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("kernels %+v, %v; want %+v", got, err, want)
	}

	entry := msg(5, 9, 2, instr(90, "s", "parameter", array(1)), 2, instr(91, "loop", "while", array(1), 36, 90, 38, []byte{1}))
	got, err = Kernels(msg(1, msg(3, fused, 3, msg(body...), 3, entry, 6, 9)))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("in a loop %+v, %v; want %+v", got, err, want)
	}

	// A loop of three turns reads one row of a stack and writes another in place.
	rows := msg(5, 3, 6, 33,
		2, instr(30, "p0", "parameter", array(7, 10)),
		2, instr(31, "p2", "parameter", array(), 9, 2),
		2, instr(32, "p1", "parameter", array(7, 10), 9, 1),
		2, instr(34, "row", "bitcast", array(70), 36, 32),
		2, instr(35, "row", "dynamic-slice", array(10), 36, []byte{34, 31}),
		2, instr(36, "put", "dynamic-update-slice", array(7, 10), 36, []byte{30, 35, 31}),
		2, instr(33, "put", "bitcast", array(70), 36, 36))
	turn := msg(5, 4,
		2, instr(40, "to", "parameter", array(7, 10)), 2, instr(41, "from", "parameter", array(7, 10)), 2, instr(42, "k", "parameter", array()),
		2, instr(43, "put", "fusion", array(70), 36, []byte{40, 41, 42}, 38, 3))
	more := msg(5, 6, 2, instr(60, "less", "compare", array()))
	entry = msg(5, 8, 2, instr(80, "s", "parameter", array(1)),
		2, instr(81, "loop", "while", array(1), 36, 80, 38, []byte{4, 6}, 43, `{"known_trip_count":{"n":"3"}}`))
	put := Kernel{"put", "copy", "", 4*10 + 4*10 + 4}
	if got, err = Kernels(msg(1, msg(3, rows, 3, turn, 3, more, 3, entry, 6, 8))); err != nil || !reflect.DeepEqual(got, []Kernel{put, put, put}) {
		t.Errorf("in a loop of three turns %+v, %v; want three of %+v", got, err, put)
	}
	// Without a known trip count it is a loop over steps, whose condition is computed.
	entry = msg(5, 8, 2, instr(80, "s", "parameter", array(1)), 2, instr(81, "loop", "while", array(1), 36, 80, 38, []byte{4, 6}))
	if got, err = Kernels(msg(1, msg(3, rows, 3, turn, 3, more, 3, entry, 6, 8))); err != nil || len(got) != 2 || got[0] != put || got[1].Name != "less" {
		t.Errorf("in a loop of steps %+v, %v; want %+v and its condition", got, err, put)
	}

	cut := msg(1, msg(3, msg(5, 1, 2, instr(10, "x", "copy", array(1), 36, []byte{0x80})), 6, 1)) // a list of numbers
	for _, bad := range [][]byte{nil, {0xff}, module[:len(module)/2], cut, msg(1, msg(6, 3)), []byte("no program")} {
		if _, err := Kernels(bad); err == nil {
			t.Errorf("%q passes for a program", bad)
		}
	}
}
