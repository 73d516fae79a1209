// Package hlo parses the program that XLA optimised (HLO), and counts the kernels that a
// GPU will launch for it. Reference: xla/service/hlo.proto.
package hlo

import (
	"fmt"
	"regexp"
	"strconv"
)

// module holds the needed parts of a HloModuleProto.
type module struct {
	entry        int64
	computations map[int64]*computation
}

type computation struct {
	id, root     int64
	instructions []*instruction
	byID         map[int64]*instruction
}

type instruction struct {
	id               int64
	name, opcode     string
	shape            shape
	place            string // metadata.op_name: origin of the instruction
	target           string // target of a custom call
	parameter        int64  // index of a parameter
	turns            int    // trip count of a loop, if known; else 0
	operands, called []int64
}

// shape is an array of so many bytes, or a tuple.
type shape struct {
	bytes  int64
	scalar bool
	parts  []shape
}

// elementBits gives the bits of an element by PrimitiveType (xla/xla_data.proto).
var elementBits = map[uint64]int64{1: 8, 2: 8, 3: 16, 4: 32, 5: 64, 6: 8, 7: 16, 8: 32, 9: 64, 10: 16, 11: 32, 12: 64, 16: 16}

// knownTurns matches the trip count in the backend's configuration of a loop (JSON).
var knownTurns = regexp.MustCompile(`"known_trip_count":\{"n":"(\d+)"`)

// parse parses a HloModuleProtoWithConfig.
func parse(raw []byte) (*module, error) {
	m := &module{computations: map[int64]*computation{}}
	err := fields(raw, func(field int, _ uint64, b []byte) error {
		if field != 1 {
			return nil
		}
		return fields(b, func(field int, v uint64, b []byte) error {
			switch field {
			case 3:
				c, err := parseComputation(b)
				m.computations[c.id] = c
				return err
			case 6:
				m.entry = int64(v)
			}
			return nil
		})
	})
	if err == nil && m.computations[m.entry] == nil {
		err = fmt.Errorf("hlo: no entry computation among %d", len(m.computations))
	}
	return m, err
}

func parseComputation(msg []byte) (*computation, error) {
	c := &computation{byID: map[int64]*instruction{}}
	return c, fields(msg, func(field int, v uint64, b []byte) error {
		switch field {
		case 2:
			i, err := parseInstruction(b)
			c.instructions = append(c.instructions, i)
			c.byID[i.id] = i
			return err
		case 5:
			c.id = int64(v)
		case 6:
			c.root = int64(v)
		}
		return nil
	})
}

func parseInstruction(msg []byte) (*instruction, error) {
	i := &instruction{}
	return i, fields(msg, func(field int, v uint64, b []byte) (err error) {
		switch field {
		case 1:
			i.name = string(b)
		case 2:
			i.opcode = string(b)
		case 3:
			i.shape, err = parseShape(b)
		case 7:
			return fields(b, func(field int, _ uint64, b []byte) error {
				if field == 2 {
					i.place = string(b)
				}
				return nil
			})
		case 9:
			i.parameter = int64(v)
		case 28:
			i.target = string(b)
		case 35:
			i.id = int64(v)
		case 36:
			i.operands, err = numbers(i.operands, v, b)
		case 38:
			i.called, err = numbers(i.called, v, b)
		case 43:
			if m := knownTurns.FindSubmatch(b); m != nil {
				i.turns, err = strconv.Atoi(string(m[1]))
			}
		}
		return err
	})
}

func parseShape(msg []byte) (shape, error) {
	var s shape
	var kind uint64
	var dims []int64
	err := fields(msg, func(field int, v uint64, b []byte) (err error) {
		switch field {
		case 2:
			kind = v
		case 3:
			dims, err = numbers(dims, v, b)
		case 4:
			var part shape
			part, err = parseShape(b)
			s.parts = append(s.parts, part)
			s.bytes += part.bytes
		}
		return err
	})
	if bits := elementBits[kind]; bits > 0 {
		s.bytes, s.scalar = bits/8, len(dims) == 0
		for _, d := range dims {
			s.bytes *= d
		}
	}
	return s, err
}
