// Which of several devices train.

package machine

import (
	"fmt"
	"slices"

	"depthlab/harness/device/xla"
)

// Place is the numbers of the devices that train a run: one, or several that share each
// step. It is nil for a device that has no number, such as the CPU.
type Place []int

// Places divides the devices of a name among runs: each place trains one run at a time
// on so many replicas. Chosen are the devices to use, by their numbers; nil for all that
// the plugin shows, or on a CPU as many as a run needs. What cannot be done is an error.
func (m Machine) Places(name string, chosen []int, replicas int) ([]Place, error) {
	settled, err := m.Device(name)
	if err != nil {
		return nil, err
	}
	switch settled {
	case "xla":
	case "ref": // takes turns
		if chosen != nil {
			return nil, fmt.Errorf("--devices: the device ref is the CPU and has no numbers; only xla has")
		}
		if replicas > 1 {
			return []Place{numbers(replicas)}, nil
		}
		return []Place{nil}, nil
	default:
		if chosen != nil || replicas > 1 {
			return nil, fmt.Errorf("--devices, --replicas: the device %s is one, the CPU; only xla can have several", settled)
		}
		return []Place{nil}, nil
	}
	gpu := m.gpu() == nil
	if chosen == nil && replicas < 2 && !gpu {
		return []Place{nil}, nil
	}
	path, err := m.XLA()
	if err != nil {
		return nil, err
	}
	shown, err := xla.Count(path)
	if err != nil {
		return nil, err
	}
	switch {
	case chosen == nil && gpu:
		chosen = numbers(shown)
	case chosen == nil:
		chosen = numbers(min(shown, replicas))
	}
	return divide(chosen, shown, max(1, replicas))
}

// numbers are 0 to n-1.
func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// divide makes places of so many replicas each. Devices that do not fill a place are not
// used.
func divide(chosen []int, shown, replicas int) (all []Place, err error) {
	for i, d := range chosen {
		switch {
		case d < 0 || d >= shown:
			return nil, fmt.Errorf("--devices: there is no device %d; the plugin shows %d, numbered from 0", d, shown)
		case slices.Contains(chosen[:i], d):
			return nil, fmt.Errorf("--devices: device %d is named twice", d)
		}
	}
	if replicas > len(chosen) {
		return nil, fmt.Errorf("--replicas %d: expected at most %d, the number of devices that may be used (the plugin shows %d)", replicas, len(chosen), shown)
	}
	for ; len(chosen) >= replicas; chosen = chosen[replicas:] {
		all = append(all, Place(chosen[:replicas]))
	}
	return all, nil
}
