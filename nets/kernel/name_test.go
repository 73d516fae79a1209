// Tests of the kernels' names: they tell all fields apart.

package kernel

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"
)

var hasRef = regexp.MustCompile(`(?m)^func \(k (\w+)\) Ref\(`)

// vocabulary lists the kernels of this package: the types that have a Ref.
func vocabulary(t *testing.T) (kinds []string) {
	t.Helper()
	files, _ := filepath.Glob("*.go")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range hasRef.FindAllSubmatch(text, -1) {
			kinds = append(kinds, string(m[1]))
		}
	}
	if len(kinds) < 20 {
		t.Fatalf("found only the kernels %q", kinds)
	}
	return kinds
}

// Every field of every kernel changes its name, so that dumps of programs show every
// difference.
func TestNamesTellAll(t *testing.T) {
	named := map[string]bool{}
	for _, c := range good {
		kind := reflect.TypeOf(c.k)
		if named[kind.Name()] {
			continue
		}
		named[kind.Name()] = true
		k := reflect.New(kind).Elem()
		filled(k)
		name := func() string { return k.Interface().(Kernel).String() }
		before := name()
		eachField(k, kind.Name(), func(field reflect.Value, path string) {
			old := reflect.ValueOf(field.Interface())
			other(field)
			if name() == before {
				t.Errorf("%s does not change the name %q", path, before)
			}
			field.Set(old)
		})
	}
	for _, kind := range vocabulary(t) {
		if !named[kind] {
			t.Errorf("%s is missing in the list good", kind)
		}
	}
}

// filled sets every field to a value that is not zero.
func filled(v reflect.Value) { eachField(v, "", func(field reflect.Value, _ string) { other(field) }) }

// eachField calls f with each plain field of a struct and of the structs in it.
func eachField(v reflect.Value, path string, f func(field reflect.Value, path string)) {
	for i := range v.NumField() {
		field, at := v.Field(i), path+"."+v.Type().Field(i).Name
		if field.Kind() == reflect.Struct {
			eachField(field, at, f)
		} else {
			f(field, at)
		}
	}
}

// other changes a value.
func other(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8: // a type with two values
		v.SetUint(1 - v.Uint())
	case reflect.Float32, reflect.Float64:
		v.SetFloat(v.Float() + 0.5)
	default:
		panic("kernel: a field of type " + v.Type().String())
	}
}
