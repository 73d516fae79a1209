// Places: which of several devices train a run.

package machine

import (
	"fmt"
	"slices"
)

// Place is the numbers of the devices that train a run: one, or several that share each step
// (data parallel). It is nil for a device without a number, such as the CPU.
type Place []int

// Places divides the devices of a kind into places, each of which trains one run at a time on
// so many replicas. chosen are the numbers of the devices to use; nil means all GPUs that are
// shown, or on a CPU as many as one run needs. It fails if there are not enough devices.
func (m Machine) Places(name string, chosen []int, replicas int) ([]Place, error) {
	k, err := m.Kind(name)
	if err != nil {
		return nil, err
	}
	if k.Shown == nil {
		switch {
		case chosen != nil:
			return nil, fmt.Errorf("--devices: the device %s is the CPU, a single device without a number", k.Name)
		case replicas > 1 && !k.Turns:
			return nil, fmt.Errorf("--replicas %d: the device %s is the CPU, a single device", replicas, k.Name)
		case replicas > 1:
			return []Place{numbers(replicas)}, nil
		}
		return []Place{nil}, nil
	}
	gpu := k.Unopened().GPU
	if chosen == nil && replicas < 2 && !gpu {
		return []Place{nil}, nil
	}
	library, err := k.Find(m)
	if err != nil {
		return nil, err
	}
	shown, err := k.Shown(library)
	if err != nil {
		return nil, err
	}
	named, replicas := chosen != nil, max(1, replicas)
	switch {
	case named:
	case gpu:
		chosen = numbers(shown)
	default:
		chosen = numbers(min(shown, replicas))
	}
	all, err := divide(chosen, shown, replicas, named)
	if used := len(all) * replicas; err == nil && used < len(chosen) {
		m.say("--replicas %d: %d of the %d devices are used, in groups of %[1]d", replicas, used, len(chosen))
	}
	return all, err
}

// numbers are 0 to n-1.
func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// divide divides the chosen devices into places of so many replicas. Devices that do not fill
// a place are not used; it fails if they were named.
func divide(chosen []int, shown, replicas int, named bool) (all []Place, err error) {
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
	if named && len(chosen)%replicas > 0 {
		return nil, fmt.Errorf("--replicas %d: the %d devices of --devices do not divide into groups of %[1]d; name a multiple of %[1]d", replicas, len(chosen))
	}
	for ; len(chosen) >= replicas; chosen = chosen[replicas:] {
		all = append(all, Place(chosen[:replicas]))
	}
	return all, nil
}
