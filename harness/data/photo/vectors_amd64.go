// The kernels for amd64, which need AVX2.

package photo

import "golang.org/x/sys/cpu"

var vector, vectors = cpu.X86.HasAVX2, kernels256
