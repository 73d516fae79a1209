// Devices with a known fault, to test the tests.

package devicetest

import (
	"math"
	"strings"

	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// Faulty returns devices that train wrongly, each with one fault, by its description.
// They compute in float32 in any precision. Every comparison with ref must notice each of
// them. Sound is the same without a fault.
func Faulty() map[string]device.Device {
	return map[string]device.Device{
		"parameters are never updated": &faulty{ref.New(), func(c program.Instr) kernel.Kernel {
			return changed[kernel.SGD](c, func(out, in []kernel.Tensor, right func()) {
				before := append([]float32(nil), out[0].F32...)
				right()
				copy(out[0].F32, before)
			})
		}},
		"neither parameters nor momenta are updated": &faulty{ref.New(), func(c program.Instr) kernel.Kernel {
			return changed[kernel.SGD](c, func(out, in []kernel.Tensor, right func()) {})
		}},
		"one parameter is never updated": &faulty{ref.New(), func(c program.Instr) kernel.Kernel {
			return changed[kernel.SGD](c, func(out, in []kernel.Tensor, right func()) {
				before := append([]float32(nil), out[0].F32[:16*27]...) // conv1.weight
				right()
				copy(out[0].F32, before)
			})
		}},
		"updates have the wrong sign": &faulty{ref.New(), func(c program.Instr) kernel.Kernel {
			return changed[kernel.SGD](c, func(out, in []kernel.Tensor, right func()) {
				before := append([]float32(nil), out[0].F32...)
				right()
				for i, w := range before {
					out[0].F32[i] = 2*w - out[0].F32[i]
				}
			})
		}},
		"gradients have the wrong sign": &faulty{ref.New(), func(c program.Instr) kernel.Kernel {
			return changed[kernel.CrossEntropyGrad](c, negated)
		}},
		"one gradient has the wrong sign": &faulty{ref.New(), func(c program.Instr) kernel.Kernel {
			if !strings.HasPrefix(c.Layer, "layer2.0.conv1") {
				return c.Kernel
			}
			return changed[kernel.ConvGradWeight](c, negated)
		}},
		"the loss is NaN": &faulty{ref.New(), func(c program.Instr) kernel.Kernel {
			return changed[kernel.CrossEntropy](c, func(out, in []kernel.Tensor, right func()) {
				right()
				out[0].F32[0] = float32(math.NaN())
			})
		}},
		"statistics are never updated": &faulty{ref.New(), func(c program.Instr) kernel.Kernel {
			return changed[kernel.MovingAverage](c, func(out, in []kernel.Tensor, right func()) {})
		}},
	}
}

// Sound is ref in any precision.
func Sound() device.Device {
	return &faulty{ref.New(), func(c program.Instr) kernel.Kernel { return c.Kernel }}
}

// faulty is ref with changed kernels in its training program.
type faulty struct {
	device.Device
	kernel func(c program.Instr) kernel.Kernel
}

func (d *faulty) Info() device.Info {
	i := d.Device.Info()
	i.Bfloat16 = true
	return i
}

func (d *faulty) Open(p device.Programs, o device.Options) (device.Session, error) {
	train := *p.Train
	train.Code = append([]program.Instr(nil), train.Code...)
	for i, c := range train.Code {
		train.Code[i].Kernel = d.kernel(c)
	}
	p.Train = &train
	o.Precision = device.FP32
	return d.Device.Open(p, o)
}

// changed returns the instruction's kernel. If that is a K, it returns one that calls ref
// instead; right computes the correct result.
func changed[K kernel.Kernel](c program.Instr, ref func(out, in []kernel.Tensor, right func())) kernel.Kernel {
	if _, ok := c.Kernel.(K); ok {
		return otherwise{c.Kernel, ref}
	}
	return c.Kernel
}

type otherwise struct {
	kernel.Kernel
	ref func(out, in []kernel.Tensor, right func())
}

func (k otherwise) Ref(out, in []kernel.Tensor) {
	k.ref(out, in, func() { k.Kernel.Ref(out, in) })
}

func negated(out, in []kernel.Tensor, right func()) {
	right()
	for i := range out[0].F32 {
		out[0].F32[i] *= -1
	}
}
