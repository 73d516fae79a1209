package pjrt

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sort"
	"unsafe"
)

// Option is a named value for a plugin: a string, bool, int64 or float32.
type Option struct {
	Name  string
	Value any
}

// namedValue is PJRT_NamedValue.
type namedValue struct {
	header
	name  unsafe.Pointer
	nname int
	kind  int32
	value uint64 // a union: its first bytes, which are the low ones, hold the shorter kinds
	n     int
}

func named(pin *runtime.Pinner, options []Option) []namedValue {
	var list []namedValue
	for _, o := range options {
		v := namedValue{name: pinned(pin, []byte(o.Name)), nname: len(o.Name), n: 1}
		v.size = unsafe.Sizeof(v)
		switch x := o.Value.(type) {
		case string:
			v.value, v.n = uint64(uintptr(pinned(pin, []byte(x)))), len(x)
		case int64:
			v.kind, v.value = 1, uint64(x)
		case float32:
			v.kind, v.value = 3, uint64(math.Float32bits(x))
		case bool:
			v.kind = 4
			if x {
				v.value = 1
			}
		default:
			panic(fmt.Sprintf("pjrt: option %s is a %T", o.Name, o.Value))
		}
		list = append(list, v)
	}
	return list
}

// CompileOptions are XLA's debug options by name ("xla_gpu_autotune_level"):
// a string, bool, int64 or float64 each.
type CompileOptions map[string]any

// encode gives a serialized CompileOptionsProto: one replica, one partition,
// no particular device (xla/pjrt/proto/compile_options.proto).
func (o CompileOptions) encode() []byte {
	var build proto
	build.int(1, -1) // device_ordinal
	build.int(4, 1)  // num_replicas
	build.int(5, 1)  // num_partitions
	var p proto
	p.bytes(3, build)
	names := make([]string, 0, len(o))
	for name := range o {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		var value proto
		switch x := o[name].(type) {
		case string:
			value.bytes(1, []byte(x))
		case bool:
			n := int64(0)
			if x {
				n = 1
			}
			value.int(2, n)
		case int64:
			value.int(3, x)
		case float64:
			value = binary.LittleEndian.AppendUint64(append(value, 4<<3|1), math.Float64bits(x))
		default:
			panic(fmt.Sprintf("pjrt: compile option %s is a %T", name, x))
		}
		var entry proto
		entry.bytes(1, []byte(name))
		entry.bytes(2, value)
		p.bytes(7, entry) // env_option_overrides
	}
	return p
}

// proto is a protocol buffer under construction.
type proto []byte

func (p *proto) int(field int, v int64) {
	*p = binary.AppendUvarint(append(*p, byte(field<<3)), uint64(v))
}

func (p *proto) bytes(field int, b []byte) {
	*p = append(binary.AppendUvarint(append(*p, byte(field<<3|2)), uint64(len(b))), b...)
}
