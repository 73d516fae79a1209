package model

import (
	"math"
	"testing"

	"depthlab/harness/data/datatest"
	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/nets"
	"depthlab/nets/kernel"
)

// measuring is a batch norm that also measures its response.
type measuring struct {
	kernel.BatchNorm
	std *float64
}

func (k measuring) Ref(out, in []kernel.Tensor) {
	k.BatchNorm.Ref(out, in)
	bare := kernel.BatchNorm{Eps: k.Eps, Group: k.Group}
	y := kernel.Tensor{Shape: out[0].Shape, F32: make([]float32, len(out[0].F32))}
	bare.Ref([]kernel.Tensor{y, out[1], out[2]}, in[:3])
	var sum, square float64
	for _, v := range y.F32 {
		sum += float64(v)
	}
	mean := sum / float64(len(y.F32))
	for _, v := range y.F32 {
		square += (float64(v) - mean) * (float64(v) - mean)
	}
	*k.std = math.Sqrt(square / float64(len(y.F32)))
}

// The responses that follow from scale, shift and running variance alone are
// those of a batch, for every layer of nets that have been trained a little.
func TestResponses(t *testing.T) {
	for _, net := range []string{"plain-14", "resnet-8/C", "resnet-8/single", "resnet-8/preact"} {
		src := datatest.Noise()
		run, err := planned(t, small).Run(net, 0)
		if err != nil {
			t.Fatal(err)
		}
		run.Optimizer.Form = "pytorch" // a rate of 0 moves nothing
		m := &Model{Run: run}
		if err := m.split(src); err != nil {
			t.Fatal(err)
		}
		arch, err := nets.ParseArch(net)
		if err != nil {
			t.Fatal(err)
		}
		if m.Programs, err = Compile(arch, run, &src.Train, src.Train.N+src.Test.N, 0); err != nil {
			t.Fatal(err)
		}
		measured := map[string]*float64{}
		for i, c := range m.Programs.Train.Code {
			if k, ok := c.Kernel.(kernel.BatchNorm); ok {
				measured[c.Layer] = new(float64)
				m.Programs.Train.Code[i].Kernel = measuring{k, measured[c.Layer]}
			}
		}
		if m.Session, err = ref.New().Open(m.Programs, device.Options{}); err != nil {
			t.Fatal(err)
		}
		if err := m.fill(arch, src); err != nil {
			t.Fatal(err)
		}
		const steps = 12
		rows, err := m.Rows(0, steps)
		if err != nil {
			t.Fatal(err)
		}
		plan := device.Plan{Rows: rows}
		for i := range steps {
			rate := float32(0.1)
			if i == steps-1 {
				rate = 0 // what is read is what was measured
			}
			plan.Rates = append(plan.Rates, device.Rates{Learning: rate, Statistics: 0.5})
		}
		if err := m.Session.Train(plan, make([]device.Metric, steps)); err != nil {
			t.Fatal(err)
		}
		got, err := m.Responses()
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != arch.Depth-1 || len(m.Path.Weights) != arch.Depth {
			t.Fatalf("%s: %d responses and %d layers of weights", net, len(got), len(m.Path.Weights))
		}
		moved := false
		for i, name := range m.Path.Norms {
			want := *measured[name]
			if math.Abs(got[i]-want) > 1e-3*want {
				t.Errorf("%s, %s: response %g, measured %g", net, name, got[i], want)
			}
			moved = moved || math.Abs(want-1) > 0.01
		}
		if !moved {
			t.Errorf("%s: the responses are those that it began with", net)
		}
	}
}
