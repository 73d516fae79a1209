// The JSON Schema of question files.

package experiments

import (
	"encoding/json"
	"reflect"
)

// Schema returns the JSON Schema (draft 7) of question files, for editors to complete and check
// them. It has the keys, their types and bounds; conditions on several keys are checked by Load
// only. schema.json is a copy of it.
func Schema() []byte {
	var defaults map[string]any
	text, err := json.Marshal(paperSpec())
	if err == nil {
		err = json.Unmarshal(text, &defaults)
	}
	if err != nil {
		panic("experiments: the paper's recipe cannot be written as JSON")
	}
	whole := schemaOf(reflect.TypeFor[fileSpec](), "", defaults)
	whole["$schema"] = "http://json-schema.org/draft-07/schema#"
	whole["title"] = "A question for Depthlab"
	whole["required"] = []string{"question"}
	one := schemaOf(reflect.TypeFor[variantSpec](), "", nil)
	one["required"] = []string{"name"}
	whole["definitions"] = map[string]any{"profile": schemaOf(reflect.TypeFor[profileSpec](), "", nil), "variant": one, "vary": varySchema()}
	out, err := json.MarshalIndent(whole, "", "  ")
	if err != nil {
		panic("experiments: the schema cannot be written as JSON")
	}
	return append(out, '\n')
}

// schemaOf returns the schema of the values at path, of type t. byDefault is nil for no default.
func schemaOf(t reflect.Type, path string, byDefault any) map[string]any {
	s := typeSchema(t, path, byDefault)
	if says := keys[path].says; says != "" {
		s["description"] = says + identity(path)
	}
	if list, ok := byDefault.([]any); ok && len(list) == 0 {
		return s
	}
	if byDefault != nil && s["type"] != "object" {
		s["default"] = byDefault
	}
	return s
}

func typeSchema(t reflect.Type, path string, byDefault any) map[string]any {
	k := keyOf(path)
	switch t {
	case reflect.TypeFor[profiles]():
		return map[string]any{
			"type": "object", "minProperties": 1, "maxProperties": maxProfiles,
			"propertyNames":        map[string]any{"pattern": profilePattern},
			"additionalProperties": map[string]any{"$ref": "#/definitions/profile"},
		}
	case reflect.TypeFor[variants]():
		return map[string]any{"type": "array", "maxItems": maxVariants, "items": map[string]any{"$ref": "#/definitions/variant"}}
	case reflect.TypeFor[runNames]():
		one := map[string]any{"type": "string"}
		return map[string]any{"oneOf": []any{one, map[string]any{"type": "array", "minItems": 1, "uniqueItems": true, "items": one}}}
	case reflect.TypeFor[vary]():
		return map[string]any{"$ref": "#/definitions/vary"}
	case reflect.TypeFor[Time]():
		return map[string]any{"type": "string", "pattern": timePattern}
	case reflect.TypeFor[Percent]():
		return map[string]any{"type": "string", "pattern": percentPattern}
	case reflect.TypeFor[*WarmupSpec]():
		return map[string]any{"oneOf": []any{
			map[string]any{"const": "none"},
			typeSchema(t.Elem(), path, byDefault),
		}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeSchema(t.Elem(), path, byDefault)
	case reflect.Struct:
		defaults, _ := byDefault.(map[string]any)
		properties := map[string]any{}
		for _, f := range fieldsOf(t) {
			properties[f.name] = schemaOf(f.typ, join(path, f.name), defaults[f.name])
		}
		return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	case reflect.Slice:
		s := map[string]any{"type": "array", "items": typeSchema(t.Elem(), path, nil)}
		if k.unique {
			s["uniqueItems"] = true
		}
		if k.ranged {
			return map[string]any{"oneOf": []any{s, map[string]any{"type": "string", "pattern": rangePattern}}}
		}
		return s
	case reflect.String:
		s := map[string]any{"type": "string"}
		if k.orFile {
			return map[string]any{"oneOf": []any{map[string]any{"enum": k.oneOf}, map[string]any{"type": "string", "pattern": weightsPattern}}}
		}
		if k.oneOf != nil {
			s["enum"] = k.oneOf
		} else if k.longest > 0 {
			s["minLength"], s["maxLength"] = 1, k.longest
		}
		return s
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Uint64, reflect.Float64:
		kind, from, to := "integer", "minimum", "maximum"
		if t.Kind() == reflect.Float64 {
			kind = "number"
		}
		if k.above {
			from = "exclusiveMinimum"
		}
		if k.below {
			to = "exclusiveMaximum"
		}
		return map[string]any{"type": kind, from: k.min, to: k.max}
	}
	panic("experiments: the schema has no form for the type of " + path)
}

// varySchema returns the schema of vary: a list of values for each key of the recipe.
func varySchema() map[string]any {
	properties := map[string]any{}
	var walk func(t reflect.Type, path string)
	walk = func(t reflect.Type, path string) {
		for _, f := range fieldsOf(t) {
			full := join(path, f.name)
			if f.typ.Kind() == reflect.Struct && f.typ != reflect.TypeFor[Time]() {
				walk(f.typ, full)
				continue
			}
			properties[full] = map[string]any{"type": "array", "minItems": 1, "uniqueItems": true, "items": typeSchema(f.typ, full, nil)}
			if f.typ == reflect.TypeFor[*WarmupSpec]() || f.typ == reflect.TypeFor[*PlateauSpec]() {
				walk(f.typ.Elem(), full)
			}
		}
	}
	walk(reflect.TypeFor[Training](), "")
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}
