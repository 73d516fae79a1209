// What options of sbatch say.

package slurm

import (
	"strings"
	"time"
)

// GPUs says whether options of sbatch ask for GPUs.
func GPUs(options []string) bool {
	for _, o := range options {
		if strings.HasPrefix(o, "-G") || strings.HasPrefix(o, "--g") && strings.Contains(o, "gpu") || strings.HasPrefix(o, "gpu:") {
			return true // --gpus, --gpus-per-node, --gres=gpu:1, --gres gpu:1
		}
	}
	return false
}

// TimeLimit is the time limit that options of sbatch ask for; known is false if they do
// not, or ask for none.
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
