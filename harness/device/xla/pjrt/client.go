// Client: devices, memory and buffers.

package pjrt

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// Client is a connection to the devices of a plugin.
type Client struct {
	Platform string // "cpu", "cuda"
	Version  string // version of the platform: "cuda 13000", or free text
	Devices  []Device
	plugin   *Plugin
	handle   uintptr
}

// Device is one device of a client.
type Device struct {
	Kind   string // "NVIDIA H100 80GB HBM3"
	handle uintptr
}

// Client connects to the plugin's devices. Options are the plugin's own, such as
// preallocate for CUDA. Most plugins refuse unknown names.
func (p *Plugin) Client(options ...Option) (*Client, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	list := named(&pin, options)
	args := struct {
		header
		options                   unsafe.Pointer
		n                         int
		get, getArg, put, putArg  uintptr
		client, tryGet, tryGetArg uintptr
	}{options: pinned(&pin, list), n: len(list)}
	if err := call(p, fnClientCreate, &args); err != nil {
		return nil, fmt.Errorf("pjrt: %s: %w", p.Path, err)
	}
	c := &Client{plugin: p, handle: args.client}
	var err error
	if c.Platform, err = p.text(fnClientPlatform, c.handle); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if c.Version, err = p.text(fnClientVersion, c.handle); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if c.Devices, err = c.devices(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// text calls a function that returns a string about a handle.
func (p *Plugin) text(fn int, handle uintptr) (string, error) {
	args := struct {
		header
		handle uintptr
		text   *byte
		n      uintptr
	}{handle: handle}
	if err := call(p, fn, &args); err != nil {
		return "", err
	}
	return string(unsafe.Slice(args.text, args.n)), nil
}

func (c *Client) devices() ([]Device, error) {
	args := struct {
		header
		client uintptr
		list   *uintptr
		n      uintptr
	}{client: c.handle}
	if err := call(c.plugin, fnClientAddressable, &args); err != nil {
		return nil, err
	}
	var all []Device
	for _, handle := range unsafe.Slice(args.list, args.n) {
		d := struct {
			header
			device, description uintptr
		}{device: handle}
		if err := call(c.plugin, fnDeviceDescription, &d); err != nil {
			return nil, err
		}
		kind, err := c.plugin.text(fnDescriptionKind, d.description)
		if err != nil {
			return nil, err
		}
		all = append(all, Device{Kind: kind, handle: handle})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("pjrt: %s: the client has no devices", c.plugin.Path)
	}
	return all, nil
}

// Memory returns the memory limit and the used memory of the first device, in bytes. Both
// are 0 if the plugin does not report them.
func (c *Client) Memory() (limit, used int64) {
	type stat struct {
		value int64
		set   bool
	}
	args := struct {
		header
		device                                              uintptr
		inUse                                               int64
		peak, allocs, largest, limit, reserved              stat
		peakReserved, reservable, freeBlock, pool, peakPool stat
	}{device: c.Devices[0].handle}
	if err := call(c.plugin, fnDeviceMemory, &args); err != nil {
		return 0, 0
	}
	if args.limit.set {
		limit = args.limit.value
	}
	return limit, args.inUse
}

// Close disconnects. Destroy all buffers and executables before.
func (c *Client) Close() error { return c.plugin.destroy(fnClientDestroy, &c.handle) }

// Type is the type of an element (PJRT_Buffer_Type).
type Type int32

const (
	Int32   Type = 4
	Uint8   Type = 6
	Float32 Type = 11
)

// Buffer is an array on a device.
type Buffer struct {
	client *Client
	handle uintptr
}

// Buffer copies data, dense and row-major, to one of the client's devices, given by its
// index in Devices.
func (c *Client) Buffer(device int, t Type, dims []int64, data []byte) (*Buffer, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	args := struct {
		header
		client                 uintptr
		data                   unsafe.Pointer
		kind                   Type
		dims                   unsafe.Pointer
		ndims                  int
		strides                unsafe.Pointer
		nstrides               int
		semantics              int32 // 0: the data are read before the call returns
		device, memory, layout uintptr
		done, buffer           uintptr
	}{client: c.handle, data: pinned(&pin, data), kind: t, dims: pinned(&pin, dims), ndims: len(dims), device: c.Devices[device].handle}
	if err := call(c.plugin, fnBufferFromHost, &args); err != nil {
		return nil, err
	}
	b := &Buffer{c, args.buffer}
	if err := c.plugin.await(args.done); err != nil {
		return nil, errors.Join(err, b.Destroy())
	}
	return b, nil
}

// Read waits for the buffer and copies it to dst, which must have its size.
func (b *Buffer) Read(dst []byte) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	args := struct {
		header
		source, layout uintptr
		to             unsafe.Pointer
		n              int
		event          uintptr
	}{source: b.handle, to: pinned(&pin, dst), n: len(dst)}
	if err := call(b.client.plugin, fnBufferToHost, &args); err != nil {
		return err
	}
	return b.client.plugin.await(args.event)
}

// Destroy frees the buffer. Call it on a donated buffer, too, although its memory has
// moved on.
func (b *Buffer) Destroy() error { return b.client.plugin.destroy(fnBufferDestroy, &b.handle) }

// pinned pins the elements of s in memory and returns their address.
func pinned[T any](pin *runtime.Pinner, s []T) unsafe.Pointer {
	if len(s) == 0 {
		return nil
	}
	pin.Pin(&s[0])
	return unsafe.Pointer(&s[0])
}
