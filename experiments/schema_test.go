// Tests of the JSON Schema, and that every key is described.

package experiments

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"testing"
)

var update = flag.Bool("update", false, "write schema.json anew")

func TestSchemaIsCurrent(t *testing.T) {
	if *update {
		if err := os.WriteFile("schema.json", Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("schema.json")
	if err != nil || !bytes.Equal(have, Schema()) {
		t.Errorf("schema.json is not current (%v): go test ./experiments -run Schema -update", err)
	}
}

// TestKeys checks that the table of keys describes every field of a file, and nothing else.
func TestKeys(t *testing.T) {
	fields := map[string]bool{}
	var walk func(reflect.Type, string)
	walk = func(typ reflect.Type, path string) {
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[Time]() {
			return
		}
		for _, f := range fieldsOf(typ) {
			full := join(path, f.name)
			fields[full] = true
			if keys[full].says == "" {
				t.Errorf("%s is not described", full)
			}
			walk(f.typ, full)
		}
	}
	walk(reflect.TypeFor[fileSpec](), "")
	walk(reflect.TypeFor[profileSpec](), "")
	walk(reflect.TypeFor[variantSpec](), "")
	for path := range keys {
		if !fields[path] {
			t.Errorf("%s is described, but is no key", path)
		}
	}
	for _, target := range belongs {
		if !fields[target] {
			t.Errorf("%s is recommended, but is no key", target)
		}
	}
}
