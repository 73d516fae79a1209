// The driver's version, as recorded in Info.

package xla

import "strconv"

// driver is the version of the NVIDIA driver; "" for a CPU.
func driver(cpu bool) string {
	if cpu || Driver() == 0 {
		return ""
	}
	return strconv.Itoa(Driver())
}
