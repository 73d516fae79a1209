// Package pjrt is a small client of PJRT, XLA's C interface, without cgo. It opens a
// plugin (one shared library for each kind of device), compiles StableHLO text, holds
// buffers and executes. It knows nothing about nets.
//
// Every function of the interface takes a pointer to its own argument struct, which
// begins with its size, and returns an error or nil. Structs and the table of functions
// only grow at the end. So one client works with versions 0.81 to 0.115 and later ones.
// Reference: xla/pjrt/c/pjrt_c_api.h.
package pjrt

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Oldest is the oldest minor version of the interface (major version 0) that this client
// was tested with.
const Oldest = 81

// Plugin is an open plugin. It stays loaded until the process ends.
type Plugin struct {
	Path         string
	Major, Minor int // version of the interface
	table        *table
}

// table is the beginning of PJRT_Api, up to the last function that is used here.
type table struct {
	size      uintptr
	extension unsafe.Pointer
	version   struct {
		size         uintptr
		extension    unsafe.Pointer
		major, minor int32
	}
	functions [fnCompiledMemory + 1]uintptr
}

// Positions in the table of functions.
const (
	fnErrorDestroy        = 0
	fnErrorMessage        = 1
	fnErrorCode           = 2
	fnPluginInitialize    = 3
	fnEventDestroy        = 5
	fnEventAwait          = 8
	fnClientCreate        = 10
	fnClientDestroy       = 11
	fnClientPlatform      = 12
	fnClientVersion       = 14
	fnClientAddressable   = 16
	fnClientCompile       = 20
	fnBufferFromHost      = 22
	fnDescriptionKind     = 26
	fnDeviceDescription   = 29
	fnDeviceMemory        = 34
	fnExecutableDestroy   = 40
	fnExecutableOutputs   = 44
	fnExecutableOptimized = 48
	fnExecutableSerialize = 49
	fnLoadedDestroy       = 50
	fnLoadedExecutable    = 51
	fnLoadedExecute       = 55
	fnDeserializeAndLoad  = 56
	fnBufferDestroy       = 58
	fnBufferToHost        = 70
	fnTopologyCreate      = 82
	fnTopologyDestroy     = 83
	fnCompile             = 89
	fnCompiledMemory      = 96
)

// PluginError says why a file cannot be used as a plugin.
type PluginError struct {
	Path    string
	Problem string
	Missing string // a library that the plugin needs and that was not found, or ""
}

func (e *PluginError) Error() string { return fmt.Sprintf("pjrt: %s: %s", e.Path, e.Problem) }

// A plugin may be initialised only once in a process.
var opened = struct {
	sync.Mutex
	plugins map[string]*Plugin
}{plugins: map[string]*Plugin{}}

// Open loads the plugin at path, or returns it if it is loaded. Errors are *PluginError:
// no such file, not a library, a missing library that it needs, not a plugin, an
// interface that is too old or of another major version.
func Open(path string) (*Plugin, error) {
	opened.Lock()
	defer opened.Unlock()
	if p := opened.plugins[path]; p != nil {
		return p, nil
	}
	if _, err := os.Stat(path); err != nil {
		return nil, &PluginError{Path: path, Problem: "there is no such file"}
	}
	lib, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, loadError(path, err)
	}
	at, err := purego.Dlsym(lib, "GetPjrtApi")
	if err != nil {
		return nil, &PluginError{Path: path, Problem: "it is a library but not a PJRT plugin: it has no function GetPjrtApi"}
	}
	var get func() *table
	purego.RegisterFunc(&get, at)
	p := &Plugin{Path: path, table: get()}
	if err := p.checkVersion(); err != nil {
		return nil, err
	}
	var args struct{ header }
	if err := call(p, fnPluginInitialize, &args); err != nil {
		return nil, fmt.Errorf("pjrt: %s: initialise: %w", path, err)
	}
	opened.plugins[path] = p
	return p, nil
}

// Preload loads libraries that a plugin will look for by name and that the system may not
// find. It ignores libraries that cannot be loaded.
func Preload(paths []string) {
	for _, path := range paths {
		_, _ = purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	}
}

var missingLibrary = regexp.MustCompile(`(\S+): cannot open shared object file`)

func loadError(path string, err error) error {
	e := &PluginError{Path: path, Problem: "it cannot be loaded: " + err.Error()}
	if m := missingLibrary.FindStringSubmatch(err.Error()); m != nil && m[1] != path {
		e.Missing, e.Problem = m[1], "it needs the library "+m[1]+", which was not found"
	}
	return e
}

func (p *Plugin) checkVersion() error {
	if p.table == nil {
		return &PluginError{Path: p.Path, Problem: "its function GetPjrtApi returned nothing"}
	}
	p.Major, p.Minor = int(p.table.version.major), int(p.table.version.minor)
	if p.Major != 0 || p.Minor < Oldest || p.table.size < unsafe.Sizeof(table{}) {
		return &PluginError{Path: p.Path, Problem: fmt.Sprintf("its interface is version %d.%d (a table of %d bytes), but 0.%d or a later 0.x is needed",
			p.Major, p.Minor, p.table.size, Oldest)}
	}
	return nil
}

// header is the beginning of every argument struct.
type header struct {
	size      uintptr
	extension unsafe.Pointer
}

// call calls a function of the table. T begins with a header. The caller must pin
// whatever the struct points to.
func call[T any](p *Plugin, fn int, args *T) error {
	(*header)(unsafe.Pointer(args)).size = unsafe.Sizeof(*args)
	e, _, _ := purego.SyscallN(p.table.functions[fn], uintptr(unsafe.Pointer(args)))
	if e == 0 {
		return nil
	}
	return p.takeError(e)
}

// Error is an error from the plugin.
type Error struct {
	Code int // code of absl::Status: 8 means out of memory
	Text string
}

func (e *Error) Error() string { return e.Text }

const resourceExhausted = 8

// OutOfMemory reports whether err was caused by a lack of device memory.
func OutOfMemory(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == resourceExhausted
}

// takeError copies a PJRT_Error and destroys it.
func (p *Plugin) takeError(handle uintptr) error {
	text := struct {
		header
		err  uintptr
		text *byte
		n    uintptr
	}{err: handle}
	text.size = unsafe.Sizeof(text)
	purego.SyscallN(p.table.functions[fnErrorMessage], uintptr(unsafe.Pointer(&text)))
	e := &Error{Text: string(unsafe.Slice(text.text, text.n))}
	code := struct {
		header
		err  uintptr
		code int32
	}{err: handle}
	code.size = unsafe.Sizeof(code)
	purego.SyscallN(p.table.functions[fnErrorCode], uintptr(unsafe.Pointer(&code)))
	e.Code = int(code.code)
	destroy := struct {
		header
		err uintptr
	}{err: handle}
	destroy.size = unsafe.Sizeof(destroy)
	purego.SyscallN(p.table.functions[fnErrorDestroy], uintptr(unsafe.Pointer(&destroy)))
	return e
}

// destroy destroys the object of a handle.
func (p *Plugin) destroy(fn int, handle *uintptr) error {
	if *handle == 0 {
		return nil
	}
	args := struct {
		header
		handle uintptr
	}{handle: *handle}
	*handle = 0
	return call(p, fn, &args)
}

// await waits for an event and destroys it.
func (p *Plugin) await(event uintptr) error {
	if event == 0 {
		return nil
	}
	args := struct {
		header
		event uintptr
	}{event: event}
	return errors.Join(call(p, fnEventAwait, &args), p.destroy(fnEventDestroy, &event))
}
