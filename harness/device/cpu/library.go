// Finds oneDNN, opens it at run time and binds its C functions.

package cpu

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	"github.com/ebitengine/purego"

	"depthlab/harness/device"
)

// library is the part of oneDNN's C interface that is used here. Handles are opaque pointers,
// as uintptr. Reference: oneapi/dnnl/dnnl.h of version 3.2.
type library struct {
	path    string
	handle  uintptr
	version string

	engineCreate    func(engine *uintptr, kind int32, index uintptr) status
	engineDestroy   func(engine uintptr) status
	streamCreate    func(stream *uintptr, engine uintptr, flags uint32) status
	streamDestroy   func(stream uintptr) status
	descTag         func(md *uintptr, rank int32, dims *dims, dtype, tag int32) status
	descClone       func(md *uintptr, from uintptr) status
	descEqual       func(a, b uintptr) int32
	descSize        func(md uintptr) uintptr
	descDestroy     func(md uintptr) status
	memoryCreate    func(m *uintptr, md, engine uintptr, data unsafe.Pointer) status
	memoryDestroy   func(m uintptr) status
	pdQuery         func(pd uintptr, what, index int32, result unsafe.Pointer) status
	pdQueryDesc     func(pd uintptr, what, index int32) uintptr
	pdDestroy       func(pd uintptr) status
	primCreate      func(p *uintptr, pd uintptr) status
	primDestroy     func(p uintptr) status
	attrCreate      func(attr *uintptr) status
	attrDestroy     func(attr uintptr) status
	attrSetPostOps  func(attr, ops uintptr) status
	postOpsCreate   func(ops *uintptr) status
	postOpsDestroy  func(ops uintptr) status
	postOpsEltwise  func(ops uintptr, alg int32, alpha, beta float32) status
	convForward     func(pd *uintptr, engine uintptr, prop, alg int32, src, weights, bias, dst uintptr, strides, dilates, padL, padR *dims, attr uintptr) status
	convBackData    func(pd *uintptr, engine uintptr, alg int32, dsrc, weights, ddst uintptr, strides, dilates, padL, padR *dims, hint, attr uintptr) status
	convBackWeights func(pd *uintptr, engine uintptr, alg int32, src, dweights, dbias, ddst uintptr, strides, dilates, padL, padR *dims, hint, attr uintptr) status
	normForward     func(pd *uintptr, engine uintptr, prop int32, src, dst uintptr, eps float32, flags uint32, attr uintptr) status
	normBackward    func(pd *uintptr, engine uintptr, prop int32, dsrc, ddst, src uintptr, eps float32, flags uint32, hint, attr uintptr) status
	eltForward      func(pd *uintptr, engine uintptr, prop, alg int32, src, dst uintptr, alpha, beta float32, attr uintptr) status
	eltBackward     func(pd *uintptr, engine uintptr, alg int32, dsrc, ddst, data uintptr, alpha, beta float32, hint, attr uintptr) status
	binary          func(pd *uintptr, engine uintptr, alg int32, src0, src1, dst, attr uintptr) status
	poolForward     func(pd *uintptr, engine uintptr, prop, alg int32, src, dst uintptr, strides, kernel, dilation, padL, padR *dims, attr uintptr) status
	poolBackward    func(pd *uintptr, engine uintptr, alg int32, dsrc, ddst uintptr, strides, kernel, dilation, padL, padR *dims, hint, attr uintptr) status
	matmul          func(pd *uintptr, engine uintptr, src, weights, bias, dst, attr uintptr) status
	reorder         func(pd *uintptr, src, srcEngine, dst, dstEngine, attr uintptr) status

	execute  uintptr // dnnl_primitive_execute, called by address: it is the hot path
	parallel uintptr // GOMP_parallel: runs a function on each thread of the team

	setThreads func(n int32) // omp_set_num_threads
}

// dims is dnnl_dims_t.
type dims [12]int64

// Values of dnnl_types.h that version 3 keeps stable.
const (
	engineCPU       = 1
	streamInOrder   = 1
	bf16            = 2
	f32             = 3
	tagAny          = 1
	tagNChw16c      = 78
	tagNChw8c       = 102
	tagNChw4c       = -4 // our own: oneDNN has none
	tagNHWC         = 22
	tagTransposed   = 14 // of a matrix: dnnl_ba
	tagOIhw16i16o   = 79
	propTraining    = 64
	propInference   = 96
	propBackward    = 128
	algConvDirect   = 1
	algRelu         = 0x20
	algReluUseDst   = 0x100
	algAdd          = 0x1fff0
	algPoolMax      = 0x1ff
	algPoolAverage  = 0x3ff // excluding padding; there is none
	normGlobalStats = 1
	normScale       = 2
	normShift       = 4
	normRelu        = 8

	argSrc         = 1
	argSrc1        = 2
	argDst         = 17
	argWeights     = 33
	argBias        = 41
	argMean        = 49
	argVariance    = 50
	argScale       = 51
	argShift       = 52
	argWorkspace   = 64
	argDiffSrc     = 129
	argDiffDst     = 145
	argDiffWeights = 161
	argDiffScale   = 255
	argDiffShift   = 256

	queryImpl        = 8
	querySrc         = 129
	queryDiffSrc     = 130
	queryWeights     = 131
	queryDiffWeights = 132
	queryDst         = 133
	queryDiffDst     = 134
	queryWorkspace   = 135
)

// tagPlain is the dense row-major layout of a rank: dnnl_a, dnnl_ab, ...
var tagPlain = [...]int32{1: 2, 2: 3, 3: 4, 4: 5, 5: 6}

// status is dnnl_status_t.
type status int32

var statusNames = [...]string{"success", "out of memory", "invalid arguments", "unimplemented",
	"last implementation reached", "runtime error", "not required", "invalid graph",
	"invalid graph operation", "invalid shape", "invalid data type"}

func (s status) String() string {
	if s >= 0 && int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("status %d", int32(s))
}

// check turns a status into an error that names the function.
func check(s status, function string) error {
	if s == 0 {
		return nil
	}
	return fmt.Errorf("oneDNN: %s: %s", function, s)
}

// EnvLibrary is the environment variable with the path of the library to open.
const EnvLibrary = "DEPTHLAB_ONEDNN"

const soname = "libdnnl.so.3"

// Find returns the path of the library to open: DEPTHLAB_ONEDNN, the first libdnnl.so.3 in
// libDir/onednn, or the system's. The error is an *UnsupportedError if there is none.
func Find(libDir string) (string, error) {
	if path := os.Getenv(EnvLibrary); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("cpu: %w", err)
		}
		return path, nil
	}
	var found string
	root := filepath.Join(libDir, "onednn")
	linked, err := filepath.EvalSymlinks(root) // WalkDir does not follow a link
	if err != nil {
		linked = root
	}
	err = filepath.WalkDir(linked, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == soname {
			found = path
			return fs.SkipAll
		}
		return nil // skip what cannot be read
	})
	if err == nil && found != "" {
		return found, nil
	}
	if err := quietTeam(); err != nil { // the probe loads libgomp
		return "", err
	}
	if h, err := purego.Dlopen(soname, purego.RTLD_LAZY|purego.RTLD_LOCAL); err == nil {
		purego.Dlclose(h)
		return soname, nil
	}
	return "", &device.UnsupportedError{Device: name, What: "a machine without " + soname,
		Hint: fmt.Sprintf("unpack the wheel onednn-cpu-gomp into %s, or set %s to the path of the library", root, EnvLibrary)}
}

// openLibrary loads oneDNN and binds its functions. Call it on the thread that will execute
// primitives: libgomp keeps a team for each calling thread.
func openLibrary(path string) (*library, error) {
	if err := quietTeam(); err != nil {
		return nil, err
	}
	h, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("cpu: open %s: %w; it needs libgomp.so.1", path, err)
	}
	l := &library{path: path, handle: h}
	for _, f := range []struct {
		symbol string
		fn     any
	}{
		{"dnnl_engine_create", &l.engineCreate}, {"dnnl_engine_destroy", &l.engineDestroy},
		{"dnnl_stream_create", &l.streamCreate}, {"dnnl_stream_destroy", &l.streamDestroy},
		{"dnnl_memory_desc_create_with_tag", &l.descTag}, {"dnnl_memory_desc_clone", &l.descClone},
		{"dnnl_memory_desc_equal", &l.descEqual}, {"dnnl_memory_desc_get_size", &l.descSize}, {"dnnl_memory_desc_destroy", &l.descDestroy},
		{"dnnl_memory_create", &l.memoryCreate}, {"dnnl_memory_destroy", &l.memoryDestroy},
		{"dnnl_primitive_desc_query", &l.pdQuery}, {"dnnl_primitive_desc_query_md", &l.pdQueryDesc}, {"dnnl_primitive_desc_destroy", &l.pdDestroy},
		{"dnnl_primitive_create", &l.primCreate}, {"dnnl_primitive_destroy", &l.primDestroy},
		{"dnnl_primitive_attr_create", &l.attrCreate}, {"dnnl_primitive_attr_destroy", &l.attrDestroy}, {"dnnl_primitive_attr_set_post_ops", &l.attrSetPostOps},
		{"dnnl_post_ops_create", &l.postOpsCreate}, {"dnnl_post_ops_destroy", &l.postOpsDestroy}, {"dnnl_post_ops_append_eltwise", &l.postOpsEltwise},
		{"dnnl_convolution_forward_primitive_desc_create", &l.convForward},
		{"dnnl_convolution_backward_data_primitive_desc_create", &l.convBackData},
		{"dnnl_convolution_backward_weights_primitive_desc_create", &l.convBackWeights},
		{"dnnl_batch_normalization_forward_primitive_desc_create", &l.normForward},
		{"dnnl_batch_normalization_backward_primitive_desc_create", &l.normBackward},
		{"dnnl_eltwise_forward_primitive_desc_create", &l.eltForward}, {"dnnl_eltwise_backward_primitive_desc_create", &l.eltBackward},
		{"dnnl_binary_primitive_desc_create", &l.binary},
		{"dnnl_pooling_forward_primitive_desc_create", &l.poolForward}, {"dnnl_pooling_backward_primitive_desc_create", &l.poolBackward},
		{"dnnl_matmul_primitive_desc_create", &l.matmul},
		{"dnnl_reorder_primitive_desc_create", &l.reorder},
		{"omp_set_num_threads", &l.setThreads},
	} {
		at, err := purego.Dlsym(h, f.symbol) // searches what the library needs, libgomp, too
		if err != nil {
			return nil, &device.UnsupportedError{Device: name, What: fmt.Sprintf("%s without the function %s", path, f.symbol),
				Hint: "use oneDNN 3.2 or later, built for the CPU with OpenMP"}
		}
		purego.RegisterFunc(f.fn, at)
	}
	if l.execute, err = purego.Dlsym(h, "dnnl_primitive_execute"); err != nil {
		return nil, fmt.Errorf("cpu: %s: %w", path, err)
	}
	if l.parallel, err = purego.Dlsym(h, "GOMP_parallel"); err != nil {
		l.parallel = 0 // another OpenMP than libgomp: our own kernels are not used
	}
	return l, l.readVersion()
}

func (l *library) readVersion() error {
	at, err := purego.Dlsym(l.handle, "dnnl_version")
	if err != nil {
		return fmt.Errorf("cpu: %s: %w", l.path, err)
	}
	var version func() *struct{ Major, Minor, Patch int32 }
	purego.RegisterFunc(&version, at)
	v := version()
	l.version = fmt.Sprintf("oneDNN %d.%d.%d", v.Major, v.Minor, v.Patch)
	if v.Major != 3 {
		return &device.UnsupportedError{Device: name, What: l.version + " at " + l.path, Hint: "use version 3"}
	}
	return nil
}
