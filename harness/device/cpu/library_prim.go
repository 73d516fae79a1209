// oneDNN's primitives and memory descriptors.

package cpu

import (
	"fmt"
	"unsafe"
)

// describe creates oneDNN's memory descriptor of x.
func describe(d *Device, x *desc) error {
	var n dims
	for i, e := range x.shape {
		n[i] = int64(e)
	}
	if err := check(d.lib.descTag(&x.handle, int32(len(x.shape)), &n, x.dtype, x.tag), fmt.Sprintf("memory descriptor of %v", x.shape)); err != nil {
		return err
	}
	x.size = int64(d.lib.descSize(x.handle))
	return nil
}

// intern returns our object for a memory descriptor that a primitive owns.
func intern(d *Device, handle uintptr) (*desc, error) {
	for _, x := range d.descs {
		if d.lib.descEqual(x.handle, handle) != 0 {
			return x, nil
		}
	}
	for _, x := range d.queried {
		if d.lib.descEqual(x.handle, handle) != 0 {
			return x, nil
		}
	}
	x := &desc{}
	if err := check(d.lib.descClone(&x.handle, handle), "memory descriptor clone"); err != nil {
		return nil, err
	}
	x.size = int64(d.lib.descSize(x.handle))
	d.queried = append(d.queried, x)
	return x, nil
}

// prim is a primitive of oneDNN: code for one operation on certain shapes.
type prim struct {
	pd     uintptr
	handle uintptr
	impl   string // the implementation that oneDNN chose: "jit:avx2"
	dev    *Device
}

// newPrim returns the primitive of a key, and creates it the first time. describe creates its
// descriptor.
func newPrim(d *Device, key any, describe func(pd *uintptr) (status, error)) (*prim, error) {
	if p := d.prims[key]; p != nil {
		return p, nil
	}
	p := &prim{dev: d}
	s, err := describe(&p.pd)
	if err != nil {
		return nil, err
	}
	if err := check(s, "primitive descriptor"); err != nil {
		return nil, err
	}
	if err := check(d.lib.primCreate(&p.handle, p.pd), "primitive create"); err != nil {
		d.lib.pdDestroy(p.pd)
		return nil, err
	}
	var text *byte
	if d.lib.pdQuery(p.pd, queryImpl, 0, unsafe.Pointer(&text)) == 0 {
		p.impl = goString(text)
	}
	d.prims[key] = p
	return p, nil
}

// query returns the layout of one of the primitive's operands.
func (p *prim) query(what int32) (*desc, error) {
	h := p.dev.lib.pdQueryDesc(p.pd, what, 0)
	if h == 0 {
		return nil, fmt.Errorf("oneDNN: %s has no descriptor %d", p.impl, what)
	}
	return intern(p.dev, h)
}

func goString(p *byte) string {
	if p == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}
