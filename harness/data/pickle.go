// A reader of Python's pickles, for the files of CIFAR's Python version.

package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// A pickle is a program for a stack machine, and Python's own reader lets it call any
// function. This one calls none: it knows only the opcodes of CIFAR's files (protocol 2,
// Python's pickletools.py describes them), builds plain data, and refuses everything else.
// It is not a library (github.com/kisielk/og-rek), as that lacks BUILD, which every array
// of numpy needs.
//
// Values are nil, bool, int, []byte (a text), pickleTuple, *pickleList, *pickleDict,
// pickleName and *pickleObject.
type (
	pickleTuple []any
	pickleList  struct{ items []any }
	pickleDict  struct{ keys, values []any }
	pickleName  string // "numpy dtype": a function or class; it is never looked up
)

// pickleObject is what a function would have returned: the name, what it was called with,
// and what was then set (BUILD). Nothing of it is computed.
type pickleObject struct {
	of    pickleName
	args  pickleTuple
	state any
}

// pickleMark is what MARK pushes.
type pickleMark struct{}

// unpickle reads one pickle. Texts share the memory of file.
func unpickle(file []byte) (value any, err error) {
	p := pickle{file: file, memo: map[uint32]any{}}
	defer func() {
		switch e := recover().(type) {
		case nil:
		case pickleError:
			value, err = nil, fmt.Errorf("byte %d: %s", p.at, e)
		default:
			panic(e)
		}
	}()
	for {
		op := p.next(1)[0]
		if op == '.' { // STOP
			return p.pop(), nil
		}
		p.do(op)
	}
}

// pickle is the machine while it reads.
type pickle struct {
	file  []byte
	at    int
	stack []any
	memo  map[uint32]any
}

// pickleError is the panic of a damaged or strange pickle; unpickle returns it.
type pickleError string

func (p *pickle) fail(format string, args ...any) { panic(pickleError(fmt.Sprintf(format, args...))) }

// next takes n bytes of the file.
func (p *pickle) next(n int) []byte {
	if n < 0 || n > len(p.file)-p.at {
		p.fail("the file is cut short")
	}
	p.at += n
	return p.file[p.at-n : p.at : p.at]
}

func (p *pickle) uint32() uint32 { return binary.LittleEndian.Uint32(p.next(4)) }

// line takes a line of the file.
func (p *pickle) line() string {
	n := bytes.IndexByte(p.file[p.at:], '\n')
	if n < 0 {
		p.fail("the file is cut short")
	}
	return string(p.next(n + 1)[:n])
}

func (p *pickle) push(v any) { p.stack = append(p.stack, v) }

func (p *pickle) pop() any {
	if len(p.stack) == 0 {
		p.fail("takes from an empty stack")
	}
	v := p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
	return v
}

// popMark takes everything above the last mark, and the mark.
func (p *pickle) popMark() []any {
	for i := len(p.stack) - 1; i >= 0; i-- {
		if _, ok := p.stack[i].(pickleMark); ok {
			above := slices.Clone(p.stack[i+1:])
			p.stack = p.stack[:i]
			return above
		}
	}
	p.fail("has no mark on the stack")
	return nil
}

// popAs takes a value of a type.
func popAs[T any](p *pickle) T {
	v, ok := p.pop().(T)
	if !ok {
		p.fail("has a value of another type on the stack, expected %T", v)
	}
	return v
}

// top is the value of a type on the stack, which stays there.
func top[T any](p *pickle) T {
	v := popAs[T](p)
	p.push(v)
	return v
}

// do carries out an instruction.
func (p *pickle) do(op byte) {
	switch op {
	case 0x80: // PROTO
		if n := p.next(1)[0]; n != 2 {
			p.fail("is a pickle of protocol %d, expected 2, that of the published files", n)
		}
	case '(': // MARK
		p.push(pickleMark{})
	case 'N': // NONE
		p.push(nil)
	case 0x88: // NEWTRUE
		p.push(true)
	case 0x89: // NEWFALSE
		p.push(false)
	case 'K': // BININT1
		p.push(int(p.next(1)[0]))
	case 'M': // BININT2
		p.push(int(binary.LittleEndian.Uint16(p.next(2))))
	case 'J': // BININT
		p.push(int(int32(p.uint32())))
	case 'U': // SHORT_BINSTRING
		p.push(p.next(int(p.next(1)[0])))
	case 'T', 'X': // BINSTRING, BINUNICODE
		p.push(p.next(int(int32(p.uint32()))))
	case ']': // EMPTY_LIST
		p.push(&pickleList{})
	case 'a': // APPEND
		v := p.pop()
		l := top[*pickleList](p)
		l.items = append(l.items, v)
	case 'e': // APPENDS
		items := p.popMark()
		l := top[*pickleList](p)
		l.items = append(l.items, items...)
	case '}': // EMPTY_DICT
		p.push(&pickleDict{})
	case 's': // SETITEM
		value, key := p.pop(), p.pop()
		p.set(key, value)
	case 'u': // SETITEMS
		items := p.popMark()
		if len(items)%2 != 0 {
			p.fail("has a key without a value")
		}
		for pair := range slices.Chunk(items, 2) {
			p.set(pair[0], pair[1])
		}
	case ')': // EMPTY_TUPLE
		p.push(pickleTuple{})
	case 't': // TUPLE
		p.push(pickleTuple(p.popMark()))
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		t := make(pickleTuple, op-0x84)
		for i := len(t) - 1; i >= 0; i-- {
			t[i] = p.pop()
		}
		p.push(t)
	case 'q': // BINPUT
		p.remember(uint32(p.next(1)[0]))
	case 'r': // LONG_BINPUT
		p.remember(p.uint32())
	case 'h': // BINGET
		p.recall(uint32(p.next(1)[0]))
	case 'j': // LONG_BINGET
		p.recall(p.uint32())
	case 'c': // GLOBAL: a name, and no more
		module, name := p.line(), p.line()
		p.push(pickleName(module + " " + name))
	case 'R': // REDUCE: noted, not called
		args := popAs[pickleTuple](p)
		p.push(&pickleObject{of: popAs[pickleName](p), args: args})
	case 'b': // BUILD: noted, not called
		state := p.pop()
		top[*pickleObject](p).state = state
	default:
		p.fail("has the instruction %#x, which the published files do not have", op)
	}
}

func (p *pickle) set(key, value any) {
	d := top[*pickleDict](p)
	d.keys, d.values = append(d.keys, key), append(d.values, value)
}

func (p *pickle) remember(at uint32) {
	v := p.pop()
	p.push(v)
	p.memo[at] = v
}

func (p *pickle) recall(at uint32) {
	v, ok := p.memo[at]
	if !ok {
		p.fail("recalls value %d, which it never stored", at)
	}
	p.push(v)
}

// get is the value of a key; nil if it is not there.
func (d *pickleDict) get(key string) any {
	for i, k := range d.keys {
		if text, ok := k.([]byte); ok && string(text) == key {
			return d.values[i]
		}
	}
	return nil
}

// bytesOfArray gives a numpy array of bytes, rows x columns, and whether it is stored
// column by column.
func bytesOfArray(v any, rows, columns int) (pixels []byte, byColumn bool, err error) {
	bad := errors.New("expected an array of numpy")
	array, ok := v.(*pickleObject)
	if !ok || array.of != "numpy.core.multiarray _reconstruct" {
		return nil, false, bad
	}
	state, ok := array.state.(pickleTuple) // version, shape, type, by column, bytes
	if !ok || len(state) != 5 {
		return nil, false, bad
	}
	shape, ok1 := state[1].(pickleTuple)
	kind, ok2 := state[2].(*pickleObject)
	byColumn, ok3 := state[3].(bool)
	pixels, ok4 := state[4].([]byte)
	if !ok1 || !ok2 || !ok3 || !ok4 || kind.of != "numpy dtype" || len(kind.args) == 0 {
		return nil, false, bad
	}
	if text, ok := kind.args[0].([]byte); !ok || string(text) != "u1" {
		return nil, false, errors.New("expected an array of the type u1")
	}
	if len(shape) != 2 || shape[0] != any(rows) || shape[1] != any(columns) || len(pixels) != rows*columns {
		return nil, false, fmt.Errorf("an array of %d bytes, expected one of shape (%d, %d)", len(pixels), rows, columns)
	}
	return pixels, byColumn, nil
}

// bytesOfList gives a list of whole numbers below most.
func bytesOfList(v any, n, most int) ([]byte, error) {
	list, ok := v.(*pickleList)
	if !ok || len(list.items) != n {
		return nil, fmt.Errorf("expected a list of %d labels", n)
	}
	all := make([]byte, n)
	for i, item := range list.items {
		label, ok := item.(int)
		if !ok || label < 0 || label >= most {
			return nil, fmt.Errorf("row %d has label %d, expected 0 to %d", i, label, most-1)
		}
		all[i] = byte(label)
	}
	return all, nil
}
