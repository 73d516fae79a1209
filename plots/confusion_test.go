// Tests of the figure of which classes are taken for which.

package plots

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func confusing(n int) (names []string, counts [][]int) {
	for i := range n {
		names = append(names, "class "+strings.Repeat("x", i%9)+string(rune('a'+i%26)))
		row := make([]int, n)
		for j := range row {
			row[j] = (i*7 + j*13) % 23
		}
		row[i] = 900 - 20*i
		counts = append(counts, row)
	}
	return names, counts
}

func TestConfusion(t *testing.T) {
	dir := t.TempDir()
	if *out != "" {
		dir = *out
	}
	for _, n := range []int{1, 2, 10, 100} {
		names, counts := confusing(n)
		if err := DrawConfusion(dir, "What resnet-20 takes for what", []string{"test set of CIFAR-10"}, names, counts); err != nil {
			t.Fatal(err)
		}
		svg, err := os.ReadFile(filepath.Join(dir, "confusion.svg"))
		if err != nil {
			t.Fatal(err)
		}
		// Every cell that is not empty, and with few classes their names and numbers.
		cells := 0
		for _, row := range counts {
			for _, c := range row {
				if c > 0 {
					cells++
				}
			}
		}
		if got := bytes.Count(svg, []byte("<path")); got < cells {
			t.Errorf("%d classes: %d areas, want %d", n, got, cells)
		}
		if has := bytes.Contains(svg, []byte(">900<")) && bytes.Contains(svg, []byte(names[0])); has != (n <= mostNamed) {
			t.Errorf("%d classes: with names and numbers %v", n, has)
		}
		if *out != "" {
			os.Rename(filepath.Join(dir, "confusion.png"), filepath.Join(dir, "confusion"+strings.Repeat("-", n%7)+".png"))
		}
	}
	if err := DrawConfusion(dir, "", nil, nil, nil); err == nil {
		t.Error("no classes were drawn")
	}
}
