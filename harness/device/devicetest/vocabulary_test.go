// Test that the suite runs every kernel.

package devicetest

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"
)

var hasRef = regexp.MustCompile(`(?m)^func \(k (\w+)\) Ref\(`)

// Every kernel is tested alone on every device. A device must compile and compute every
// kernel that it says it supports.
func TestEveryKernelIsTried(t *testing.T) {
	tried := map[string]bool{}
	for _, c := range singles(t) {
		tried[reflect.TypeOf(c.k).Name()] = true
	}
	files, _ := filepath.Glob("../../../nets/kernel/*.go")
	kinds := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range hasRef.FindAllSubmatch(text, -1) {
			if kinds++; !tried[string(m[1])] {
				t.Errorf("%s is missing in singles", m[1])
			}
		}
	}
	if kinds < 20 {
		t.Errorf("found only %d kernels", kinds)
	}
}
