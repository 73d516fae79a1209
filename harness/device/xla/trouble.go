package xla

import (
	"errors"
	"fmt"
	"strings"

	"depthlab/harness/device"
	"depthlab/harness/device/xla/pjrt"
)

// advice is what helps against what CUDA, cuDNN and XLA say when a client does
// not start, by a part of their words; the first that fits counts.
var advice = []struct{ words, helps string }{
	{"driver version is insufficient", oldDriver},
	{"INSUFFICIENT_DRIVER", oldDriver},
	{"SYSTEM_DRIVER_MISMATCH", "the driver's library and its kernel module are of two versions: a restart of the machine mends that after an update"},
	{"no kernel image", oldCard},
	{"NO_BINARY_FOR_GPU", oldCard},
	{"UNSUPPORTED_PTX_VERSION", oldDriver},
	{"compute capability", oldCard},
	{"OUT_OF_MEMORY", "the GPU's memory is taken: nvidia-smi shows by whom"},
	{"RESOURCE_EXHAUSTED", "the GPU's memory is taken: nvidia-smi shows by whom"},
	{"CUDNN", noCuDNN},
	{"DNN library", noCuDNN},
	{"libcudnn", noCuDNN},
	{"No visible GPU", noGPU},
	{"NO_DEVICE", noGPU},
	{"UNKNOWN", "nvidia-smi should list the GPU; if it does not, a restart of the machine or container may help"},
}

const (
	oldDriver = "the NVIDIA driver is too old for this plugin: a newer driver, or the plugin of CUDA 12 (python3 -m pip install 'jax[cuda12]', driver 525 or newer)"
	oldCard   = "the card is too old for this plugin: CUDA 13 begins with compute capability 7.5; python3 -m pip install 'jax[cuda12]' brings a plugin for older ones, and --device cpu trains on the CPU"
	noCuDNN   = "cuDNN is missing or does not start: python3 -m pip install 'jax[cuda13]' (or 'jax[cuda12]') brings it beside the plugin"
	noGPU     = "the driver shows no GPU to this process: look at nvidia-smi, at CUDA_VISIBLE_DEVICES, and whether the container was given the GPU"
)

// noClient says why no device can be had of a plugin, and what helps.
func noClient(err error) error {
	for _, a := range advice {
		if strings.Contains(err.Error(), a.words) {
			return fmt.Errorf("xla: no device: %s (%w)", a.helps, err)
		}
	}
	return fmt.Errorf("xla: no device: %w; is a GPU of this plugin's kind here, and free?", err)
}

// fail ends the session: donated memory is gone.
func (s *session) fail(err error) error {
	s.failed = fmt.Errorf("xla: %w", s.explain(err))
	return s.failed
}

// explain adds to a lack of memory or of cuDNN what helps, and tells the loss of
// the device from other failures.
func (s *session) explain(err error) error {
	if pjrt.OutOfMemory(err) || strings.Contains(err.Error(), "CUDA_ERROR_OUT_OF_MEMORY") {
		limit, used := s.d.client.Memory()
		return outOfMemory(err, s.need(), limit, used)
	}
	if lost(err) {
		return &device.LostError{Err: err}
	}
	// A client starts without cuDNN; the first convolution asks for it.
	for _, words := range []string{"DNN library", "libcudnn", "CUDNN_STATUS_NOT_INITIALIZED"} {
		if strings.Contains(err.Error(), words) {
			return fmt.Errorf("%s (%w)", noCuDNN, err)
		}
	}
	return err
}

// need is what the session's largest program was planned to take, in bytes.
func (s *session) need() (most int64) {
	for _, m := range s.machines {
		if x, err := m.code.Memory(); err == nil {
			most = max(most, x.Arguments+x.Outputs-x.Aliased+x.Temporaries)
		}
	}
	return most
}

func outOfMemory(err error, need, limit, used int64) error {
	free := "the plugin does not say how much is free"
	if limit > 0 {
		free = fmt.Sprintf("%d of %d MiB are free for this process", (limit-used)>>20, limit>>20)
	}
	return fmt.Errorf("out of memory: the program needs %d MiB with its data, %s; a smaller batch, fewer runs at a time (--jobs) or bf16 need less (%w)", need>>20, free, err)
}

// lost reports whether an error says that the device computes no more: after a
// failure inside CUDA nothing in its context can be used.
func lost(err error) bool {
	var e *pjrt.Error
	if !errors.As(err, &e) {
		return false
	}
	const aborted, unavailable, dataLoss = 10, 14, 15 // codes of absl::Status
	return e.Code == aborted || e.Code == unavailable || e.Code == dataLoss || strings.Contains(e.Text, "CUDA_ERROR_")
}
