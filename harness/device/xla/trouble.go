// Errors of a client or a launch: what they mean, and what to do.

package xla

import (
	"errors"
	"fmt"
	"strings"

	"depthlab/harness/device"
	"depthlab/harness/device/xla/pjrt"
)

// advice is what to do if a client does not start, by words in the error of CUDA, cuDNN
// or XLA. The first match counts.
var advice = []struct{ words, helps string }{
	{"driver version is insufficient", oldDriver},
	{"INSUFFICIENT_DRIVER", oldDriver},
	{"SYSTEM_DRIVER_MISMATCH", "the driver's library and its kernel module have different versions: after an update of the driver, restart the machine"},
	{"no kernel image", oldCard},
	{"NO_BINARY_FOR_GPU", oldCard},
	{"UNSUPPORTED_PTX_VERSION", oldDriver},
	{"compute capability", oldCard},
	{"OUT_OF_MEMORY", "the GPU's memory is in use: nvidia-smi lists the processes that use it"},
	{"RESOURCE_EXHAUSTED", "the GPU's memory is in use: nvidia-smi lists the processes that use it"},
	{"CUDNN", noCuDNN},
	{"DNN library", noCuDNN},
	{"libcudnn", noCuDNN},
	{"No visible GPU", noGPU},
	{"NO_DEVICE", noGPU},
	{"UNKNOWN", "nvidia-smi should list the GPU; if it does not, restart the machine or container"},
}

const (
	oldDriver = "the NVIDIA driver is too old for this plugin: install a newer driver, or the plugin for CUDA 12 (python3 -m pip install 'jax[cuda12]', driver 525 or newer)"
	oldCard   = "the GPU is too old for this plugin, CUDA 13 needs compute capability 7.5: python3 -m pip install 'jax[cuda12]' installs a plugin for older GPUs, and --device cpu trains on the CPU"
	noCuDNN   = "cuDNN is missing or does not start: python3 -m pip install 'jax[cuda13]' (or 'jax[cuda12]') installs it beside the plugin"
	noGPU     = "the driver shows no GPU to this process: check nvidia-smi, CUDA_VISIBLE_DEVICES, and whether the container has access to the GPU"
)

// noClient explains why a plugin's client does not start, and what to do.
func noClient(err error) error {
	for _, a := range advice {
		if strings.Contains(err.Error(), a.words) {
			return fmt.Errorf("xla: no device: %s (%w)", a.helps, err)
		}
	}
	return fmt.Errorf("xla: no device: %w; check that this machine has a GPU that the plugin is for, and that it is free", err)
}

// fail ends the session, because donated buffers are lost, and returns the explained
// error.
func (s *session) fail(err error) error {
	s.failed = fmt.Errorf("xla: %w", explain(s, err))
	return s.failed
}

// explain adds what to do if memory or cuDNN is missing. If the device is lost it
// returns a *LostError.
func explain(s *session, err error) error {
	if pjrt.OutOfMemory(err) || strings.Contains(err.Error(), "CUDA_ERROR_OUT_OF_MEMORY") {
		limit, used := s.d.client.Memory()
		return outOfMemory(err, needed(s), limit, used)
	}
	if lost(err) {
		return &device.LostError{Err: err}
	}
	// A client starts without cuDNN; the first convolution needs it.
	for _, words := range []string{"DNN library", "libcudnn", "CUDNN_STATUS_NOT_INITIALIZED"} {
		if strings.Contains(err.Error(), words) {
			return fmt.Errorf("%s (%w)", noCuDNN, err)
		}
	}
	return err
}

// needed is the memory of the session's largest program, in bytes, as XLA planned it.
func needed(s *session) (most int64) {
	for _, m := range s.compiled {
		if x, err := m.code.Memory(); err == nil {
			most = max(most, x.Arguments+x.Outputs-x.Aliased+x.Temporaries)
		}
	}
	return most
}

// outOfMemory says how much memory is needed and free (bytes), and what to do. A limit of
// 0 is unknown.
func outOfMemory(err error, need, limit, used int64) error {
	free := "the plugin does not say how much is free"
	if limit > 0 {
		free = fmt.Sprintf("%d of %d MiB are free for this process", (limit-used)>>20, limit>>20)
	}
	return fmt.Errorf("out of memory: the program needs %d MiB with its data, %s; a smaller batch, fewer runs at a time (--jobs) or bf16 need less (%w)", need>>20, free, err)
}

// lost reports whether an error means that the device can no longer be used. After a
// failure inside CUDA nothing in its context is usable.
func lost(err error) bool {
	var e *pjrt.Error
	if !errors.As(err, &e) {
		return false
	}
	const aborted, unavailable, dataLoss = 10, 14, 15 // codes of absl::Status
	return e.Code == aborted || e.Code == unavailable || e.Code == dataLoss || strings.Contains(e.Text, "CUDA_ERROR_")
}
