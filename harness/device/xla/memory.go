// Arrays that outlive a step, on the host and on the devices.

package xla

import (
	"errors"
	"fmt"
	"unsafe"

	"depthlab/harness/device/xla/lower"
	"depthlab/harness/device/xla/pjrt"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// memory is an array that outlives a step, on the host, the devices or both. The copy on
// the host is in logical order (N, C, H, W), those on the devices are channels-last.
type memory struct {
	lower.Memory
	views []view         // the tensors that it holds
	host  kernel.Tensor  // Shape is nil if only the devices have a copy
	dev   []*pjrt.Buffer // one for each replica; nil if only the host has a copy
}

// view is a tensor that begins at element at of a memory.
type view struct {
	at    int
	shape kernel.Shape
}

func newMemory(p *program.Program, m lower.Memory) *memory {
	x := &memory{Memory: m, views: []view{{0, m.Shape}}}
	if m.Arena.Packed() {
		x.views = nil
		for _, id := range p.Views(m.Arena) {
			x.views = append(x.views, view{int(p.Buffers[id].Offset / 4), p.Buffers[id].Shape})
		}
	}
	return x
}

var types = map[kernel.DType]pjrt.Type{kernel.Float32: pjrt.Float32, kernel.Int32: pjrt.Int32, kernel.Uint8: pjrt.Uint8}

// onDevices returns the copy of each replica. It copies from the host if there are none.
func (m *memory) onDevices(c *pjrt.Client, replicas int) ([]*pjrt.Buffer, error) {
	if m.dev != nil {
		return m.dev, nil
	}
	if m.host.Shape == nil {
		m.host = kernel.New(m.Type, m.Shape...)
	}
	held := kernel.New(m.Type, m.Shape...)
	m.reorder(held, m.host, true)
	for r := range replicas {
		b, err := c.Buffer(r, types[m.Type], dims(lower.Held(m.Shape)), raw(held))
		if err != nil {
			return nil, errors.Join(err, m.written())
		}
		m.dev = append(m.dev, b)
	}
	if !m.Arena.Packed() {
		m.host = kernel.Tensor{} // do not keep the data set twice
	}
	return m.dev, nil
}

// onHost returns the copy on the host. It reads from the first replica if there is none.
func (m *memory) onHost() (kernel.Tensor, error) {
	if m.host.Shape != nil {
		return m.host, nil
	}
	host := kernel.New(m.Type, m.Shape...)
	if m.dev != nil {
		held := kernel.New(m.Type, m.Shape...)
		if err := m.dev[0].Read(raw(held)); err != nil {
			return host, err
		}
		m.reorder(host, held, false)
	}
	m.host = host
	return host, nil
}

// written drops the copies on the devices, after the one on the host was changed.
func (m *memory) written() error {
	dev := m.dev
	m.dev = nil
	return destroy(dev)
}

// replace makes dev the copies on the devices, and drops the old ones and that on the
// host.
func (m *memory) replace(dev []*pjrt.Buffer) error {
	old := m.dev
	m.dev, m.host = dev, kernel.Tensor{}
	return destroy(old)
}

func destroy(buffers []*pjrt.Buffer) error {
	var all []error
	for _, b := range buffers {
		all = append(all, b.Destroy())
	}
	return errors.Join(all...)
}

// reorder copies src to dst: from logical order to channels-last if last, else back.
func (m *memory) reorder(dst, src kernel.Tensor, last bool) {
	for _, v := range m.views {
		n := v.shape.Len()
		switch m.Type {
		case kernel.Float32:
			exchange(dst.F32[v.at:][:n], src.F32[v.at:][:n], v.shape, last)
		case kernel.Int32:
			exchange(dst.I32[v.at:][:n], src.I32[v.at:][:n], v.shape, last)
		case kernel.Uint8:
			exchange(dst.U8[v.at:][:n], src.U8[v.at:][:n], v.shape, last)
		}
	}
}

// exchange copies (N, C, H, W) to (N, H, W, C) if last, else back; the same for (C, H, W).
// A tensor with fewer axes keeps its order.
func exchange[T any](dst, src []T, s kernel.Shape, last bool) {
	if len(s) < 3 {
		copy(dst, src)
		return
	}
	c, area := s[len(s)-3], s[len(s)-2]*s[len(s)-1]
	for n := 0; n < len(src); n += c * area {
		for i := range c {
			for j := range area {
				if last {
					dst[n+j*c+i] = src[n+i*area+j]
				} else {
					dst[n+i*area+j] = src[n+j*c+i]
				}
			}
		}
	}
}

func dims(s kernel.Shape) []int64 {
	d := make([]int64, len(s))
	for i, n := range s {
		d[i] = int64(n)
	}
	return d
}

// raw returns the bytes of a tensor, without copying.
func raw(t kernel.Tensor) []byte {
	switch {
	case t.F32 != nil:
		return rawOf(t.F32)
	case t.I32 != nil:
		return rawOf(t.I32)
	case t.U8 != nil:
		return t.U8
	}
	panic(fmt.Sprintf("xla: the tensor of shape %v has no elements", t.Shape))
}

func rawOf[T any](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}
