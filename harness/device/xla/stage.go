// Batches that are copied to the devices during a launch (staging).

package xla

import (
	"errors"
	"fmt"

	"depthlab/harness/device"
	"depthlab/harness/device/xla/lower"
	"depthlab/harness/device/xla/pjrt"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// staged is a batch on the devices, divided among the replicas.
type staged struct{ images, labels []*pjrt.Buffer }

func (b *staged) Free() error { return errors.Join(destroy(b.images), destroy(b.labels)) }

// ChannelsLast reports that staged images must be channels-last (see lower.Held).
func (s *session) ChannelsLast() bool { return true }

// Stage may be called during a launch: it shares no state with it, and PJRT is thread
// safe.
func (s *session) Stage(images []uint8, labels []int32) (device.Staged, error) {
	p := s.compiled[0].p
	b := &staged{}
	var err error
	if b.images, err = distribute(s, p, p.Images, images); err == nil {
		b.labels, err = distribute(s, p, p.Labels, rawOf(labels))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("xla: %w", explain(s, err)), b.Free())
	}
	return b, nil
}

// distribute copies to each replica its part of the bytes of a buffer.
func distribute(s *session, p *program.Program, id program.BufID, bytes []byte) (all []*pjrt.Buffer, err error) {
	b, n := &p.Buffers[id], p.Devices()
	if int64(len(bytes)) != int64(n)*b.Bytes() {
		return nil, fmt.Errorf("%s: %d bytes, expected %d", b.Name, len(bytes), int64(n)*b.Bytes())
	}
	for r := range n {
		part := device.Part(bytes, r, n).([]uint8)
		x, err := s.d.client.Buffer(r, types[b.Type], dims(lower.Held(b.Shape)), part)
		if err != nil {
			return all, err
		}
		all = append(all, x)
	}
	return all, nil
}

func (s *session) Use(x device.Staged) error {
	b := x.(*staged)
	for name, dev := range map[string][]*pjrt.Buffer{"images": b.images, "labels": b.labels} {
		m, _, err := s.find(name)
		if err != nil {
			return errors.Join(err, b.Free())
		}
		if err := m.replace(dev); err != nil {
			return err
		}
	}
	return nil
}

// writeDivided writes a slice that is as long as the buffers of all replicas together: to
// each replica its part.
func writeDivided(s *session, m *memory, replicas int, src any) error {
	if err := m.written(); err != nil {
		return err
	}
	m.host = kernel.Tensor{}
	for r := range replicas {
		t, held := kernel.New(m.Type, m.Shape...), kernel.New(m.Type, m.Shape...)
		if err := device.Copy(m.Name, t, device.Part(src, r, replicas), true); err != nil {
			return err
		}
		m.reorder(held, t, true)
		b, err := s.d.client.Buffer(r, types[m.Type], dims(lower.Held(m.Shape)), raw(held))
		if err != nil {
			return errors.Join(err, m.written())
		}
		m.dev = append(m.dev, b)
	}
	return nil
}
