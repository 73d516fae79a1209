// Test of the compiler: the Program on ref against the graph on Gorgonia's own machine.

package ref_test

import (
	"math"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// TestWaist: Gorgonia's tape machine runs the graph, and ref runs the Program compiled
// from it. Both call the same references. So an error of the compiler in merging,
// ordering or placing changes bits.
func TestWaist(t *testing.T) {
	const batch, images = 4, 6
	for _, c := range []struct {
		net         string
		group, size int
	}{
		{"plain-8", 0, 16}, {"resnet-8", 0, 16}, {"resnet-8", 2, 16}, {"resnet-8/split", 0, 16}, {"resnet-8/B", 0, 16}, {"resnet-8/C", 2, 16}, {"resnet-14/C", 0, 16}, {"resnet-8/single", 0, 16},
		{"resnet-14/preact", 2, 16}, {"resnet-8/preact/C", 0, 16}, {"resnet-20/bottleneck/preact", 0, 16},
		{"resnet-11/bottleneck", 0, 16}, {"resnet-11/bottleneck/A/v1.5", 2, 16}, {"resnet-18", 0, 50}, {"resnet-8/shortcut-dropout=0.5", 2, 16},
	} {
		t.Run(c.net, func(t *testing.T) {
			arch, err := nets.ParseArch(c.net)
			if err != nil {
				t.Fatal(err)
			}
			cfg := compile.Config{Config: nets.Config{Batch: batch, Channels: 3, Size: c.size, Classes: 10, Group: c.group, Eps: 1e-5}, Images: images, Pad: 2, Optimizer: kernel.SGD{Momentum: 0.9}}
			p, err := compile.Compile(arch, nets.Train, cfg)
			if err != nil {
				t.Fatal(err)
			}
			s, err := ref.New().Open(device.Programs{Train: p}, device.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			graph, err := arch.Build(nets.Train, cfg.Config)
			if err != nil {
				t.Fatal(err)
			}

			// One step at learning rate 0, which does not change the parameters.
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			pixels := make([]uint8, images*3*c.size*c.size)
			for i := range pixels {
				pixels[i] = uint8(i * i >> 3)
			}
			must(s.Write("images", pixels))
			must(s.Write("labels", []int32{3, 1, 4, 1, 5, 9}))
			must(s.Write("scale", []float32{0.01, 0.02, 0.03}))
			values := map[*G.Node]tensor.Tensor{}
			for _, p := range graph.Params {
				w := nets.Init(p, 1, false)
				if p.Kind == nets.Shift || p.Kind == nets.Bias {
					for i := range w {
						w[i] = float32(i%5) / 8
					}
				}
				must(s.Write(p.Name, w))
				values[p.Node] = tensor.New(tensor.WithShape(p.Node.Shape()...), tensor.WithBacking(w))
			}
			metric := make([]device.Metric, 1)
			// One slot is empty: the loss is the mean over 3 images.
			must(s.Train(device.Launch{Rows: []device.Row{{0, 2, 2, 6}, {5, 0, 4, 1}, {-1}, {3, 1, 2, 3}}, Rates: make([]device.Rates, 1)}, metric))

			input, label := make([]float32, batch*3*c.size*c.size), make([]int32, batch)
			must(s.Read("input", input))
			must(s.Read("label", label))
			values[graph.Input] = tensor.New(tensor.WithShape(graph.Input.Shape()...), tensor.WithBacking(input))
			values[graph.Label] = tensor.New(tensor.WithShape(batch), tensor.WithBacking(label))
			if graph.Noise != nil {
				noise := make([]int32, batch)
				must(s.Read("noise", noise))
				values[graph.Noise] = tensor.New(tensor.WithShape(batch), tensor.WithBacking(noise))
			}
			loss, grads := tapeMachine(t, graph, values)

			if math.Float32bits(loss) != math.Float32bits(metric[0].Loss) || loss == 0 {
				t.Errorf("loss %v, Gorgonia has %v", metric[0].Loss, loss)
			}
			for _, p := range graph.Params {
				got, want := make([]float32, len(grads[p.Name])), grads[p.Name]
				must(s.Read("grad."+p.Name, got))
				zero := true
				for i := range got {
					if got[i] != want[i] {
						t.Fatalf("grad.%s[%d] is %v, Gorgonia has %v", p.Name, i, got[i], want[i])
					}
					zero = zero && got[i] == 0
				}
				if zero {
					t.Errorf("grad.%s is all 0", p.Name)
				}
			}
			if n := len(p.Views(program.Grad)); n != len(graph.Params) {
				t.Errorf("%d gradients of %d parameters", n, len(graph.Params))
			}
		})
	}
}

// tapeMachine returns the loss and the gradients by name. It uses G.Read, because a later
// node may overwrite a node's Value.
func tapeMachine(t *testing.T, g *nets.Graph, values map[*G.Node]tensor.Tensor) (float32, map[string][]float32) {
	var loss G.Value
	G.Read(g.Loss, &loss)
	read := make([]G.Value, len(g.Params))
	for i, p := range g.Params {
		G.Read(p.Grad, &read[i])
	}
	vm := G.NewTapeMachine(g.Expr)
	defer vm.Close()
	for n, v := range values {
		if err := G.Let(n, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	grads := map[string][]float32{}
	for i, p := range g.Params {
		grads[p.Name] = read[i].Data().([]float32)
	}
	return loss.Data().(float32), grads
}
