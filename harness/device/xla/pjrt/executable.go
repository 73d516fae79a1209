// Executables: compiles, loads and executes programs.

package pjrt

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// program is PJRT_Program.
type program struct {
	header
	code    unsafe.Pointer
	n       int
	format  unsafe.Pointer
	nformat int
}

func mlir(pin *runtime.Pinner, text string) *program {
	p := &program{ // a plugin crashes on an empty text; for a space it returns an error
		code: pinned(pin, []byte(text+" ")), n: len(text) + 1,
		format: pinned(pin, []byte("mlir")), nformat: len("mlir"),
	}
	p.size = unsafe.Sizeof(*p)
	pin.Pin(p)
	return p
}

// Compiled is a program compiled for a device, which need not exist here.
type Compiled struct {
	plugin *Plugin
	handle uintptr // PJRT_Executable
}

// Executable is a program that can be executed here.
type Executable struct {
	*Compiled
	client  *Client
	loaded  uintptr // PJRT_LoadedExecutable
	outputs int
}

// Compile compiles StableHLO text for the first devices of the client, one replica on
// each.
func (c *Client) Compile(text string, replicas int, o CompileOptions) (*Executable, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	options := o.encode(replicas)
	args := struct {
		header
		client     uintptr
		program    *program
		options    unsafe.Pointer
		n          int
		executable uintptr
	}{client: c.handle, program: mlir(&pin, text), options: pinned(&pin, options), n: len(options)}
	if err := call(c.plugin, fnClientCompile, &args); err != nil {
		return nil, err
	}
	return c.loaded(args.executable)
}

// Load loads the bytes that Serialize returned on this machine with this plugin.
func (c *Client) Load(serialized []byte) (*Executable, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	args := struct {
		header
		client   uintptr
		bytes    unsafe.Pointer
		n        int
		loaded   uintptr
		options  unsafe.Pointer
		noptions int
	}{client: c.handle, bytes: pinned(&pin, serialized), n: len(serialized)}
	if err := call(c.plugin, fnDeserializeAndLoad, &args); err != nil {
		return nil, err
	}
	return c.loaded(args.loaded)
}

func (c *Client) loaded(handle uintptr) (*Executable, error) {
	e := &Executable{Compiled: &Compiled{plugin: c.plugin}, client: c, loaded: handle}
	args := struct {
		header
		loaded, executable uintptr
	}{loaded: handle}
	if err := call(c.plugin, fnLoadedExecutable, &args); err != nil {
		return nil, errors.Join(err, e.Destroy())
	}
	e.handle = args.executable
	count := struct {
		header
		executable uintptr
		outputs    int
	}{executable: e.handle}
	if err := call(c.plugin, fnExecutableOutputs, &count); err != nil {
		return nil, errors.Join(err, e.Destroy())
	}
	e.outputs = count.outputs
	return e, nil
}

// Destroy frees the executable.
func (e *Executable) Destroy() error {
	return errors.Join(e.Compiled.Destroy(), e.plugin.destroy(fnLoadedDestroy, &e.loaded))
}

// Destroy frees the compiled program.
func (e *Compiled) Destroy() error { return e.plugin.destroy(fnExecutableDestroy, &e.handle) }

// Event is done when an execution has finished on all devices.
type Event struct {
	plugin  *Plugin
	handles []uintptr
}

// Await waits and returns the errors of the execution. It may be called once.
func (e *Event) Await() error {
	var all []error
	for _, handle := range e.handles {
		all = append(all, e.plugin.await(handle))
	}
	e.handles = nil
	return errors.Join(all...)
}

// Execute enqueues one execution, with a list of arguments for each replica, and returns
// the buffers that each replica will write. Arguments that the program aliases to outputs
// are donated: do not use them again, but destroy them. The caller must wait for the
// event.
func (e *Executable) Execute(args [][]*Buffer) ([][]*Buffer, *Event, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	replicas := len(args)
	lists, outputs := make([]unsafe.Pointer, replicas), make([]unsafe.Pointer, replicas)
	events, written := make([]uintptr, replicas), make([][]uintptr, replicas)
	for r, list := range args {
		handles := make([]uintptr, len(list))
		for i, b := range list {
			handles[i] = b.handle
		}
		written[r] = make([]uintptr, e.outputs)
		lists[r], outputs[r] = pinned(&pin, handles), pinned(&pin, written[r])
	}
	options := struct {
		header
		send, recv   uintptr
		nsend, nrecv int
		launch       int64
		keep         unsafe.Pointer
		nkeep        int
		rest         [5]uintptr // context, call location, tasks: not used
	}{}
	options.size = unsafe.Sizeof(options)
	pin.Pin(&options)
	x := struct {
		header
		executable      uintptr
		options         unsafe.Pointer
		arguments       unsafe.Pointer // one list for each device
		devices, nargs  int
		outputs, events unsafe.Pointer
		device          uintptr
	}{
		executable: e.loaded, options: unsafe.Pointer(&options),
		arguments: pinned(&pin, lists), devices: replicas, nargs: len(args[0]),
		outputs: pinned(&pin, outputs), events: pinned(&pin, events),
	}
	if err := call(e.plugin, fnLoadedExecute, &x); err != nil {
		return nil, nil, err
	}
	out := make([][]*Buffer, replicas)
	for r, handles := range written {
		for _, h := range handles {
			out[r] = append(out[r], &Buffer{e.client, h})
		}
	}
	return out, &Event{e.plugin, events}, nil
}

// Memory is the memory that an executable needs on the device, in bytes.
type Memory struct{ Arguments, Outputs, Aliased, Temporaries int64 }

// Memory returns the bytes that the compiler planned.
func (e *Compiled) Memory() (Memory, error) {
	args := struct {
		header
		executable                               uintptr
		code, arguments, outputs, aliases, temps int64
		host                                     [5]int64
		peak                                     int64
	}{executable: e.handle}
	err := call(e.plugin, fnCompiledMemory, &args)
	return Memory{args.arguments, args.outputs, args.aliases, args.temps}, err
}

// Optimized returns the program as XLA optimised it, as HloModuleProtoWithConfig.
func (e *Compiled) Optimized() ([]byte, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	p := &program{}
	p.size = unsafe.Sizeof(*p)
	pin.Pin(p)
	args := struct {
		header
		executable uintptr
		program    *program
	}{executable: e.handle, program: p}
	if err := call(e.plugin, fnExecutableOptimized, &args); err != nil { // the first call returns the size
		return nil, err
	}
	text := make([]byte, p.n)
	p.code = pinned(&pin, text)
	return text, call(e.plugin, fnExecutableOptimized, &args)
}

// Serialize returns bytes for Load, on the same kind of device and with the same version
// of the plugin.
func (e *Compiled) Serialize() ([]byte, error) {
	args := struct {
		header
		executable    uintptr
		bytes         *byte
		n             int
		backing, free uintptr
	}{executable: e.handle}
	if err := call(e.plugin, fnExecutableSerialize, &args); err != nil {
		return nil, err
	}
	text := append([]byte(nil), unsafe.Slice(args.bytes, args.n)...)
	purego.SyscallN(args.free, args.backing)
	return text, nil
}

// CompileFor compiles StableHLO text for GPUs of one machine that need not exist here,
// one replica on each, from the description of one GPU (a GpuTargetConfigProto as text).
// The result can be inspected, not executed.
func (p *Plugin) CompileFor(target, text string, replicas int, o CompileOptions) (*Compiled, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	list := named(&pin, []Option{{"target_config", target}, {"topology", fmt.Sprintf("1x1x%d", replicas)}})
	topology := struct {
		header
		name     unsafe.Pointer
		nname    int
		options  unsafe.Pointer
		n        int
		topology uintptr
	}{name: pinned(&pin, []byte("gpu")), nname: 3, options: pinned(&pin, list), n: len(list)}
	if err := call(p, fnTopologyCreate, &topology); err != nil {
		return nil, err
	}
	options := o.encode(replicas)
	args := struct {
		header
		topology         uintptr
		program          *program
		options          unsafe.Pointer
		n                int
		client, compiled uintptr
	}{topology: topology.topology, program: mlir(&pin, text), options: pinned(&pin, options), n: len(options)}
	err := call(p, fnCompile, &args)
	err = errors.Join(err, p.destroy(fnTopologyDestroy, &topology.topology))
	if err != nil {
		return nil, err
	}
	return &Compiled{p, args.compiled}, nil
}
