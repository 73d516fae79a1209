// Tests of the PJRT client on XLA's CPU plugin.

package pjrt

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"depthlab/harness/testskip"
)

// plugin opens the CPU plugin, or skips the test.
func plugin(t testing.TB) *Plugin {
	t.Helper()
	path := os.Getenv("DEPTHLAB_PJRT")
	if path == "" {
		found, _ := filepath.Glob("../../../../.lib/pjrt/cpu/*/*/*.so")
		if len(found) == 0 {
			testskip.Skip(t, "no CPU plugin in .lib/pjrt/cpu; ./run.sh test fetches it")
		}
		path = found[0]
	}
	p, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func client(t testing.TB, options ...Option) *Client {
	t.Helper()
	c, err := plugin(t).Client(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// step doubles a state, which is donated, and adds a number to it.
const step = `module @step {
  func.func @main(%s: tensor<3xf32> {tf.aliasing_output = 0 : i32}, %a: tensor<f32>) -> (tensor<3xf32>, tensor<f32>) {
    %b = stablehlo.broadcast_in_dim %a, dims = [] : (tensor<f32>) -> tensor<3xf32>
    %d = stablehlo.add %s, %s : tensor<3xf32>
    %e = stablehlo.add %d, %b : tensor<3xf32>
    return %e, %a : tensor<3xf32>, tensor<f32>
  }
}`

func floats(v ...float32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.NativeEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

func TestExecute(t *testing.T) {
	c := client(t)
	if c.Platform == "" || c.Devices[0].Kind == "" {
		t.Errorf("%+v: want a platform and a kind of device", c)
	}
	compiled, err := c.Compile(step, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := compiled.Serialize()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := c.Load(bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []*Executable{compiled, loaded} {
		state, err := c.Buffer(0, Float32, []int64{3}, floats(1, 2, 3))
		if err != nil {
			t.Fatal(err)
		}
		add, err := c.Buffer(0, Float32, nil, floats(10))
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			out, done, err := e.Execute([][]*Buffer{{state, add}})
			if err != nil {
				t.Fatal(err)
			}
			if err := done.Await(); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(state.Destroy(), add.Destroy()); err != nil {
				t.Fatal(err)
			}
			state, add = out[0][0], out[0][1]
		}
		got := make([]byte, 12)
		if err := state.Read(got); err != nil {
			t.Fatal(err)
		}
		if want := floats(78, 86, 94); string(got) != string(want) {
			t.Errorf("state %v, want %v", got, want)
		}
		if err := errors.Join(state.Destroy(), add.Destroy(), e.Destroy()); err != nil {
			t.Fatal(err)
		}
	}
}

// sum is an all-reduce of two arrays over three replicas.
const sum = `module @sum attributes {mhlo.num_replicas = 3 : i32} {
  func.func @main(%a: tensor<2xf32> {tf.aliasing_output = 0 : i32}, %b: tensor<1xf32>) -> (tensor<2xf32>, tensor<1xf32>) {
    %s:2 = "stablehlo.all_reduce"(%a, %b) <{replica_groups = dense<[[0, 1, 2]]> : tensor<1x3xi64>}> ({
      ^bb0(%x: tensor<f32>, %y: tensor<f32>):
        %z = stablehlo.add %x, %y : tensor<f32>
        stablehlo.return %z : tensor<f32>
    }) : (tensor<2xf32>, tensor<1xf32>) -> (tensor<2xf32>, tensor<1xf32>)
    return %s#0, %s#1 : tensor<2xf32>, tensor<1xf32>
  }
}`

func TestReplicas(t *testing.T) {
	c := client(t, Option{Name: "cpu_device_count", Value: int64(3)})
	if len(c.Devices) != 3 {
		t.Fatalf("%d devices, want 3", len(c.Devices))
	}
	compiled, err := c.Compile(sum, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := compiled.Serialize()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := c.Load(bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []*Executable{compiled, loaded} {
		var args [][]*Buffer
		for r := range 3 {
			v := float32(r)
			a, err := c.Buffer(r, Float32, []int64{2}, floats(v, 10*v))
			if err != nil {
				t.Fatal(err)
			}
			b, err := c.Buffer(r, Float32, []int64{1}, floats(v+1))
			if err != nil {
				t.Fatal(err)
			}
			args = append(args, []*Buffer{a, b})
		}
		out, done, err := e.Execute(args)
		if err == nil {
			err = done.Await()
		}
		if err != nil {
			t.Fatal(err)
		}
		for r := range 3 {
			a, b := make([]byte, 8), make([]byte, 4)
			if err := errors.Join(out[r][0].Read(a), out[r][1].Read(b)); err != nil {
				t.Fatal(err)
			}
			if string(a) != string(floats(3, 30)) || string(b) != string(floats(6)) {
				t.Errorf("replica %d: %v and %v, want %v and %v", r, a, b, floats(3, 30), floats(6))
			}
			for _, x := range append(args[r], out[r]...) {
				if err := x.Destroy(); err != nil {
					t.Error(err)
				}
			}
		}
		if err := e.Destroy(); err != nil {
			t.Error(err)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	c := client(t)
	for _, text := range []string{"", "module {", "no MLIR", strings.Replace(step, "stablehlo.add %s, %s", "stablehlo.frob %s", 1)} {
		if e, err := c.Compile(text, 1, nil); err == nil {
			e.Destroy()
			t.Errorf("%q compiles", text)
		}
	}
	if e, err := c.Compile(step, 1, CompileOptions{"xla_no_such_option": true}); err == nil {
		e.Destroy()
		t.Error("an unknown option is taken")
	}
	if e, err := c.Load([]byte("no executable")); err == nil {
		e.Destroy()
		t.Error("loads nonsense")
	}
}

func TestNoPlugin(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.so")
	if err := os.WriteFile(text, []byte("no library"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, want string }{
		{filepath.Join(t.TempDir(), "absent.so"), "no such file"},
		{text, "cannot be loaded"},
		{libc(t), "not a PJRT plugin"},
	} {
		_, err := Open(c.path)
		var no *PluginError
		if !errors.As(err, &no) || no.Path != c.path || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want a PluginError with %q", c.path, err, c.want)
		}
	}
	err := loadError("/p.so", errors.New("libcudnn.so.9: cannot open shared object file: No such file or directory"))
	var no *PluginError
	if !errors.As(err, &no) || no.Missing != "libcudnn.so.9" {
		t.Errorf("error %v, want the missing library", err)
	}
}

// libc returns a library that exists on every Linux machine and is not a plugin.
func libc(t *testing.T) string {
	for _, pattern := range []string{"/lib/*/libc.so.6", "/lib64/libc.so.6", "/usr/lib/libc.so.6"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0]
		}
	}
	testskip.Skip(t, "no libc.so.6")
	return ""
}

func TestVersion(t *testing.T) {
	for _, c := range []struct {
		major, minor int32
		size         uintptr
		ok           bool
	}{
		{0, 81, unsafe.Sizeof(table{}), true},
		{0, 115, 2000, true},
		{0, 80, 2000, false},
		{1, 100, 2000, false},
		{0, 90, 400, false},
	} {
		p := &Plugin{Path: "/p.so", table: &table{size: c.size}}
		p.table.version.major, p.table.version.minor = c.major, c.minor
		err := p.checkVersion()
		var no *PluginError
		if c.ok != (err == nil) || err != nil && !errors.As(err, &no) {
			t.Errorf("version %d.%d, table of %d bytes: %v", c.major, c.minor, c.size, err)
		}
	}
	if (&Plugin{}).checkVersion() == nil {
		t.Error("a plugin without a table passes")
	}
}

// The wire format, written by hand: executable_build_options {device_ordinal: -1,
// num_replicas: 1, num_partitions: 1}, then one override.
func TestOptions(t *testing.T) {
	want := "\x1a\x0f\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x20\x01\x28\x01"
	if got := string(CompileOptions(nil).encode(1)); got != want {
		t.Errorf("no options: %q, want %q", got, want)
	}
	want += "\x3a\x07\x0a\x01a\x12\x02\x10\x01"
	if got := string(CompileOptions{"a": true}.encode(1)); got != want {
		t.Errorf("one option: %q, want %q", got, want)
	}
	want = want[:17] + "\x3a\x07\x0a\x01b\x12\x02\x10\x00" + "\x3a\x0e\x0a\x01f\x12\x09\x21\x00\x00\x00\x00\x00\x00\xe0\x3f" +
		"\x3a\x10\x0a\x01i\x12\x0b\x18\xfd\xff\xff\xff\xff\xff\xff\xff\xff\x01" + "\x3a\x0b\x0a\x01s\x12\x06\x0a\x04text"
	if got := string(CompileOptions{"s": "text", "b": false, "i": int64(-3), "f": 0.5}.encode(1)); got != want {
		t.Errorf("an option of each kind: %q, want %q", got, want)
	}
}
