// Parses options of sbatch.

package slurm

import (
	"strings"
	"time"
)

// GPUs reports whether options of sbatch request GPUs.
func GPUs(options []string) bool {
	for _, o := range options {
		if strings.HasPrefix(o, "-G") || strings.HasPrefix(o, "--g") && strings.Contains(o, "gpu") || strings.HasPrefix(o, "gpu:") {
			return true // --gpus, --gpus-per-node, --gres=gpu:1, --gres gpu:1
		}
	}
	return false
}

// TimeLimit is the time limit in options of sbatch. known is false if they have none, or UNLIMITED.
func TimeLimit(options []string) (limit time.Duration, known bool, err error) {
	for i, o := range options {
		value, given := strings.CutPrefix(o, "--time=")
		switch {
		case given:
		case o == "--time" || o == "-t":
			if i+1 < len(options) {
				value, given = options[i+1], true
			}
		case strings.HasPrefix(o, "-t"):
			value, given = o[2:], true
		}
		if given {
			limit, known, err = ParseTime(value)
		}
	}
	return limit, known, err
}
