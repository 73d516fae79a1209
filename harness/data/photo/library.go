// libjpeg-turbo, opened at run time without cgo.

package photo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// EnvLibrary names the environment variable with the path of libturbojpeg.
const EnvLibrary = "DEPTHLAB_TURBOJPEG"

const soname = "libturbojpeg.so.0"

// Library is libjpeg-turbo with its TurboJPEG interface, version 3, the first that
// decodes a part of an image. Unlike libjpeg's own interface it returns after an error.
// nil means Go's decoder.
type Library struct {
	path string

	create, destroy, set, get, header, scale, crop, decompress, errorCode, errorText uintptr
}

func (l *Library) String() string {
	if l == nil {
		return "Go's decoder"
	}
	return "libjpeg-turbo"
}

// Find returns the path of the library: $DEPTHLAB_TURBOJPEG, else a file in
// libDir/turbojpeg, else the bare name of the system's library.
func Find(libDir string) (string, error) {
	if path := os.Getenv(EnvLibrary); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("libjpeg-turbo: %w", err)
		}
		return path, nil
	}
	var found string
	root := filepath.Join(libDir, "turbojpeg")
	linked, err := filepath.EvalSymlinks(root) // WalkDir does not follow a link
	if err != nil {
		linked = root
	}
	filepath.WalkDir(linked, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), "libturbojpeg") {
			found = path
			return fs.SkipAll
		}
		return nil // a folder that cannot be read holds no library for us
	})
	if found != "" {
		return found, nil
	}
	if l, err := Open(soname); err == nil {
		return l.path, nil
	}
	return "", fmt.Errorf("no libjpeg-turbo 3 was found: ./run.sh fetches it where python3 has pip; or unpack the wheel turbojpeg into %s, or set %s to a libturbojpeg.so.0", root, EnvLibrary)
}

// Open loads the library at path. It stays loaded.
func Open(path string) (*Library, error) {
	h, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	l := &Library{path: path}
	for name, f := range map[string]*uintptr{
		"tj3Init": &l.create, "tj3Destroy": &l.destroy, "tj3Set": &l.set, "tj3Get": &l.get,
		"tj3DecompressHeader": &l.header, "tj3SetScalingFactor": &l.scale, "tj3SetCroppingRegion": &l.crop,
		"tj3Decompress8": &l.decompress, "tj3GetErrorCode": &l.errorCode, "tj3GetErrorStr": &l.errorText,
	} {
		if *f, err = purego.Dlsym(h, name); err != nil {
			purego.Dlclose(h)
			return nil, fmt.Errorf("%s is older than libjpeg-turbo 3: it lacks %s", path, name)
		}
	}
	return l, nil
}

// turbo is a decompressor.
type turbo struct {
	*Library
	handle uintptr
	entire bool // for tests: always decode the whole image
}

func (l *Library) new() (*turbo, error) {
	const decompress = 1 // TJINIT_DECOMPRESS
	h, _, _ := purego.SyscallN(l.create, decompress)
	if h == 0 {
		return nil, errors.New("libjpeg-turbo: no memory for a decompressor")
	}
	return &turbo{Library: l, handle: h}, nil
}

func (t *turbo) close() { purego.SyscallN(t.destroy, t.handle) }

// Parameters of tj3Get and tj3Set (turbojpeg.h, enum TJPARAM).
const (
	paramSubsampling = 4
	paramWidth       = 5
	paramHeight      = 6
	paramColours     = 8
	paramScans       = 13
)

// Colour spaces (enum TJCS) that can only be decoded to CMYK pixels.
const csCMYK, csYCCK = 3, 4

const pixelRGBX = 2 // enum TJPF

// mcuWidth is the width of an MCU in pixels, by chroma subsampling (tjMCUWidth).
var mcuWidth = [...]int{8, 16, 16, 8, 8, 32, 8}

// mostScans is the largest number of scans of a progressive file. A hostile file can have
// thousands, each as slow as the whole image.
const mostScans = 500

func (t *turbo) param(p uintptr) int {
	v, _, _ := purego.SyscallN(t.get, t.handle, p)
	return int(int32(v))
}

// open reads the header of a file. mcu is the width of an MCU; 0 for an unusual sampling of
// the colours, so that only the whole image can be decoded. ok is false for files that
// another decoder must decode: CMYK and those that the library refuses.
func (t *turbo) open(file []byte) (width, height, mcu int, ok bool) {
	// If a stream ends before its image, the call succeeds, and the decompressor keeps
	// the size and pixels of the previous photo. So each photo gets a new decompressor.
	fresh, err := t.new()
	if err != nil {
		return 0, 0, 0, false
	}
	t.close()
	t.handle = fresh.handle
	purego.SyscallN(t.set, t.handle, paramScans, mostScans)
	r, _, _ := purego.SyscallN(t.header, t.handle, address(file), uintptr(len(file)))
	runtime.KeepAlive(file)
	subsampling, colours := t.param(paramSubsampling), t.param(paramColours)
	if int32(r) != 0 || colours == csCMYK || colours == csYCCK {
		return 0, 0, 0, false
	}
	if subsampling >= 0 && subsampling < len(mcuWidth) {
		mcu = mcuWidth[subsampling]
	}
	return t.param(paramWidth), t.param(paramHeight), mcu, true
}

// decode decodes a region of the file that open read last, scaled by 1/shrink (1, 2, 4 or
// 8), into rows of RGBX. The region's left is a multiple of the MCU's width in the scaled
// image. Where mcu is 0 the region is the whole image.
func (t *turbo) decode(file []byte, shrink, mcu int, region rectangle, dst []byte) error {
	runtime.LockOSThread() // the library keeps the text of a warning for each thread
	defer runtime.UnlockOSThread()
	purego.SyscallN(t.scale, t.handle, 1|uintptr(shrink)<<32)
	if mcu > 0 {
		r, _, _ := purego.SyscallN(t.crop, t.handle,
			uintptr(region.x)|uintptr(region.y)<<32, uintptr(region.w)|uintptr(region.h)<<32)
		if int32(r) != 0 {
			return errors.New(t.problem())
		}
	}
	r, _, _ := purego.SyscallN(t.decompress, t.handle, address(file), uintptr(len(file)), address(dst), uintptr(4*region.w), pixelRGBX)
	runtime.KeepAlive(file)
	runtime.KeepAlive(dst)
	if int32(r) == 0 {
		return nil
	}
	// Most warnings are about stray bytes, and the image is complete.
	const warning = 0 // TJERR_WARNING
	code, _, _ := purego.SyscallN(t.errorCode, t.handle)
	if text := t.problem(); int32(code) != warning || strings.Contains(text, "remature end") {
		return errors.New(text)
	}
	return nil
}

// problem is the library's message about its latest call.
func (t *turbo) problem() string {
	p, _, _ := purego.SyscallN(t.errorText, t.handle)
	if p == 0 {
		return "unknown error of libjpeg-turbo"
	}
	const longest = 200 // JMSG_LENGTH_MAX
	text := unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&p))), longest)
	n := 0
	for n < longest && text[n] != 0 {
		n++
	}
	return string(text[:n])
}

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
