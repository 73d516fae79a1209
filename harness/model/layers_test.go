// Tests of the layers' responses.

package model

import (
	"math"
	"testing"

	"depthlab/harness/data/datatest"
	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/harness/state"
	"depthlab/nets"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// measuring is a batch norm that also measures the standard deviation of its response.
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

// instrumented is a device that measures the response of each batch norm, by layer.
type instrumented struct {
	device.Device
	measured map[string]*float64
}

func (d instrumented) Open(p device.Programs, o device.Options) (device.Session, error) {
	for i, c := range p.Train.Code {
		if k, ok := c.Kernel.(kernel.BatchNorm); ok {
			d.measured[c.Layer] = new(float64)
			p.Train.Code[i].Kernel = measuring{k, d.measured[c.Layer]}
		}
	}
	return d.Device.Open(p, o)
}

// The responses computed from scale, shift and running variance equal those measured on a
// batch, for every layer of nets that have been trained a little.
func TestResponses(t *testing.T) {
	for _, net := range []string{"plain-14", "resnet-8/C", "resnet-8/single", "resnet-8/preact", "resnet-8/gate=exclusive"} {
		run, err := planned(t, small).Run(net, 0)
		if err != nil {
			t.Fatal(err)
		}
		run.Optimizer.Form = "pytorch" // in this form a rate of 0 changes no parameter
		measured := map[string]*float64{}
		m, err := Open(run, datatest.Noise(), instrumented{ref.New(), measured}, "")
		if err != nil {
			t.Fatal(err)
		}
		for step, rate := range []float32{0.1, 0} { // the last step measures the weights that are read
			if _, err := m.Steps(11*step, 11-10*step, 11, device.Rates{Learning: rate, Statistics: 0.5}); err != nil {
				t.Fatal(err)
			}
		}
		tensors, err := m.Tensors(program.Param, program.Stat)
		if err != nil {
			t.Fatal(err)
		}
		values, err := state.Values(tensors)
		if err != nil {
			t.Fatal(err)
		}
		got := m.Layers.Responses(values, run.BatchNorm.Eps)
		if arch, _ := nets.ParseArch(net); len(got) != arch.Depth-1 || len(m.Layers.Weights) != arch.Depth {
			t.Fatalf("%s: %d responses and %d layers of weights", net, len(got), len(m.Layers.Weights))
		}
		moved := false
		for i, name := range m.Layers.Norms {
			want := *measured[name]
			if math.Abs(got[i]-want) > 1e-3*want {
				t.Errorf("%s, %s: response %g, measured %g", net, name, got[i], want)
			}
			moved = moved || math.Abs(want-1) > 0.01
		}
		if !moved {
			t.Errorf("%s: training did not change the responses", net)
		}
	}
}
