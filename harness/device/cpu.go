// The CPU's model and features, as the operating system reports them.

package device

import (
	"os"
	"strings"
	"sync"
)

// Processor is what the operating system reports about the CPU.
type Processor struct {
	Model string          // "AMD EPYC 7763"; "unknown CPU" if not reported
	Flags map[string]bool // "avx2", "avx512_bf16", "amx_bf16", as Linux writes them
}

// CPU reads /proc/cpuinfo once.
var CPU = sync.OnceValue(func() Processor {
	p := Processor{Model: "unknown CPU", Flags: map[string]bool{}}
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return p
	}
	for _, line := range strings.Split(string(text), "\n") {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "model name":
			p.Model = strings.TrimSpace(value)
		case "flags":
			for _, f := range strings.Fields(value) {
				p.Flags[f] = true
			}
			return p // all cores are equal
		}
	}
	return p
})
