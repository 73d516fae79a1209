// Comparison with PyTorch: ten training steps of CIFAR nets.

package devicetest

import (
	"embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/testskip"
)

//go:embed testdata/*.safetensors testdata/imagenet/*.safetensors
var golden embed.FS

// Golden compares a device with PyTorch: losses, every gradient, and parameters and
// running statistics after ten steps, to 1e-4 of the largest element of each tensor.
// PyTorch's values are float64 (testdata/golden.py). float32 rounds at 6e-8; after ten
// steps on ref this has grown to 4e-7.
func Golden(t *testing.T, start func(testing.TB) device.Device) {
	const bound = 1e-4
	dev := start(t)
	defer dev.Close()
	for _, c := range []struct {
		net   string
		group int
		file  string
		salt  string
		all   bool // only where everything is tested
	}{
		{net: "plain-8", file: "plain-8", salt: "74"},
		{net: "resnet-8", file: "resnet-8", salt: "159", all: true},
		{net: "resnet-8/B", file: "resnet-8_B", salt: "282", all: true},
		{net: "resnet-8/C", file: "resnet-8_C", salt: "176", all: true},
		{net: "resnet-8/split", group: 2, file: "resnet-8_split_g2", salt: "70"},
		{net: "resnet-8/B/preact", file: "resnet-8_B_preact", salt: "62"},
		{net: "resnet-8/single/preact", file: "resnet-8_single_preact", salt: "27", all: true},
		{net: "resnet-14/B/relu-preact", file: "resnet-14_B_relu-preact", salt: "122"},
		{net: "resnet-8/relu-before-add", file: "resnet-8_relu-before-add", salt: "87", all: true},
		{net: "resnet-8/B/bn-after-add", file: "resnet-8_B_bn-after-add", salt: "206", all: true},
		{net: "resnet-8/scale=0.5/branch-scale=2", file: "resnet-8_scales", salt: "170", all: true},
		{net: "resnet-8/gate=shortcut", file: "resnet-8_gate", salt: "232", all: true},
		{net: "resnet-8/B/gate=exclusive/gate-bias=1", file: "resnet-8_exclusive", salt: "237"},
		{net: "resnet-8/shortcut-dropout=0.25", file: "resnet-8_dropout", salt: "172"},
	} {
		if c.all && !testskip.Everything() {
			continue
		}
		t.Run("golden/"+c.file, func(t *testing.T) {
			want := readGolden(t, c.file)
			n := newNet(t, c.net, 4, c.group, 8, c.salt).trainOnly()
			s := open(t, dev, n, device.Options{Precision: device.FP32, Deterministic: true})

			worst := 0.0
			compare := func(name, buffer string) {
				t.Helper()
				norm, ok := want["norm."+name]
				if !ok {
					t.Fatalf("PyTorch has no %s", name)
				}
				id, ok := n.programs.Train.Lookup(buffer)
				if !ok {
					t.Fatalf("no buffer %s", buffer)
				}
				all := s.read(buffer, n.programs.Train.Buffers[id].Shape.Len())
				got := all
				if len(all) > 100 {
					got = make([]float32, 64)
					for i := range got {
						got[i] = all[i*7919%len(all)]
					}
				}
				if len(got) != len(want[name]) {
					t.Fatalf("%s: %d values, PyTorch has %d", name, len(got), len(want[name]))
				}
				size := 0.0
				for _, w := range want[name] {
					size = max(size, math.Abs(w))
				}
				for i, w := range want[name] {
					e := math.Abs(float64(got[i])-w) / size
					worst = max(worst, e)
					if !(e <= bound) {
						t.Fatalf("%s: value %d is %v, PyTorch has %v (largest of the tensor: %v)", name, i, got[i], w, size)
					}
				}
				if got := norm2(all); !(math.Abs(got-norm[0]) <= bound*norm[0]) {
					t.Errorf("%s: norm %v, PyTorch has %v", name, got, norm[0])
				}
			}
			for step := range want["loss"] {
				plan := n.plan(step, 1, 0.05)
				if step >= 5 {
					plan = n.plan(step, 1, 0.005)
				}
				m := s.train(plan)
				if loss := want["loss"][step]; !(math.Abs(float64(m[0].Loss)-loss) <= bound*loss) || m[0].Wrong != int(want["wrong"][step]) {
					t.Fatalf("step %d: loss %v and %d wrong, PyTorch has %v and %v", step, m[0].Loss, m[0].Wrong, loss, want["wrong"][step])
				}
				if step == 0 {
					for _, p := range n.graph.Params {
						compare("grad."+p.Name, "grad."+p.Name)
					}
				}
			}
			for _, p := range n.graph.Params {
				compare("after."+p.Name, p.Name)
			}
			for _, b := range n.graph.Norms {
				compare("after."+b.Name+".running_mean", b.Name+".running_mean")
				compare("after."+b.Name+".running_var", b.Name+".running_var")
			}
			t.Logf("worst error %.1e", worst)
		})
	}
}

func norm2(x []float32) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

// readGolden reads a safetensors file: the length of a JSON header, the header, the data.
func readGolden(t testing.TB, name string) map[string][]float64 {
	t.Helper()
	file, err := golden.ReadFile("testdata/" + name + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(file)
	header := map[string]json.RawMessage{}
	if err := json.Unmarshal(file[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	data := file[8+n:]
	all := map[string][]float64{}
	for name, raw := range header {
		if strings.HasPrefix(name, "__") {
			continue
		}
		var h struct {
			DType   string
			Offsets [2]int `json:"data_offsets"`
		}
		if err := json.Unmarshal(raw, &h); err != nil {
			t.Fatal(err)
		}
		part := data[h.Offsets[0]:h.Offsets[1]]
		var v []float64
		for len(part) > 0 {
			switch h.DType {
			case "F64":
				v = append(v, math.Float64frombits(binary.LittleEndian.Uint64(part)))
				part = part[8:]
			case "F32":
				v = append(v, float64(math.Float32frombits(binary.LittleEndian.Uint32(part))))
				part = part[4:]
			case "I32":
				v = append(v, float64(int32(binary.LittleEndian.Uint32(part))))
				part = part[4:]
			default:
				t.Fatal(fmt.Sprintf("%s: type %s", name, h.DType))
			}
		}
		all[name] = v
	}
	return all
}
