// Options for plugins and for the compiler, as PJRT encodes them.

package pjrt

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// Option is a named value for a plugin: a string, bool, int64 or []int64.
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
	value uint64 // a union: shorter types are in its first (low) bytes
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
		case []int64:
			v.kind, v.value, v.n = 2, uint64(uintptr(pinned(pin, x))), len(x)
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

// CompileOptions are XLA's debug options by name ("xla_gpu_autotune_level"), each a
// string, bool, int64 or float64.
type CompileOptions map[string]any

// encode makes a serialized CompileOptionsProto with this number of replicas, one
// partition, and no particular devices: XLA then takes the client's first ones
// (xla/pjrt/proto/compile_options.proto).
func (o CompileOptions) encode(replicas int) []byte {
	var build []byte
	build = appendInt(build, 1, -1)              // device_ordinal
	build = appendInt(build, 4, int64(replicas)) // num_replicas
	build = appendInt(build, 5, 1)               // num_partitions
	p := appendBytes(nil, 3, build)
	for _, name := range slices.Sorted(maps.Keys(o)) {
		var value []byte
		switch x := o[name].(type) {
		case string:
			value = appendBytes(nil, 1, []byte(x))
		case bool:
			value = appendInt(nil, 2, int64(protowire.EncodeBool(x)))
		case int64:
			value = appendInt(nil, 3, x)
		case float64:
			value = protowire.AppendTag(nil, 4, protowire.Fixed64Type)
			value = protowire.AppendFixed64(value, math.Float64bits(x))
		default:
			panic(fmt.Sprintf("pjrt: compile option %s is a %T", name, x))
		}
		entry := appendBytes(nil, 1, []byte(name))
		entry = appendBytes(entry, 2, value)
		p = appendBytes(p, 7, entry) // env_option_overrides
	}
	return p
}

func appendInt(b []byte, field protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(v))
}

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}
