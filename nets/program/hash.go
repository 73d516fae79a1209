// Hash of a Program.

package program

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"reflect"
)

// Hash identifies the program: the SHA-256 of all its fields. Equal hashes mean equal
// programs, even where the kernels' String methods leave out a field.
func (p *Program) Hash() string {
	h := sha256.New()
	q := *p
	q.Roles = Roles{}
	encode(h, reflect.ValueOf(q))
	for _, r := range roles { // like fields: roles that are None are left out
		if id := *r.id(&p.Roles); id != None {
			text(h, r.name)
			number(h, uint64(id))
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// encode writes a value so that different values have different bytes: structs as their
// type and the names and values of their fields, texts and lists with their length. It
// leaves out fields that are zero. So a kernel that gets a new field keeps its hash, if
// the field's zero means the former behaviour.
func encode(w io.Writer, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		t := v.Type()
		text(w, t.String())
		for i := range t.NumField() {
			if !v.Field(i).IsZero() {
				text(w, t.Field(i).Name)
				encode(w, v.Field(i))
			}
		}
		text(w, "") // end mark: no field has an empty name
	case reflect.Slice, reflect.Array:
		number(w, uint64(v.Len()))
		for i := range v.Len() {
			encode(w, v.Index(i))
		}
	case reflect.Interface:
		encode(w, v.Elem())
	case reflect.String:
		text(w, v.String())
	case reflect.Bool:
		text(w, fmt.Sprint(v.Bool()))
	case reflect.Int, reflect.Int64:
		number(w, uint64(v.Int()))
	case reflect.Uint8:
		number(w, v.Uint())
	case reflect.Float32, reflect.Float64:
		number(w, math.Float64bits(v.Float()))
	default:
		panic(fmt.Sprintf("program: a field of type %s, which Hash cannot encode", v.Type()))
	}
}

func text(w io.Writer, s string) {
	number(w, uint64(len(s)))
	io.WriteString(w, s)
}

func number(w io.Writer, n uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	w.Write(b[:])
}
