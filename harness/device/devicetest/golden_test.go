// Test that the goldens of the ImageNet nets have tight bounds.

package devicetest

import "testing"

// The number of tensors in which float32 cancels, and of those among them that may be
// wrong by more than a hundredth of their own largest element. So new goldens cannot be
// weaker unnoticed. No bound is above a hundredth of the largest element of the net.
func TestGoldenBounds(t *testing.T) {
	tensors, cancelled, loose := map[string]int{}, map[string]int{}, map[string]int{}
	for _, size := range []int{64, 224} {
		for _, c := range goldenNets {
			golden := readGolden(t, goldenFile(c.name, size))
			for _, kind := range []string{"grad", "after", "stat"} {
				rows := golden[kind]
				largest := 0.0
				for i := 0; i < len(rows); i += goldenRow {
					largest = max(largest, rows[i+1])
				}
				for i, bound := range allowed(rows) {
					tensors[kind]++
					if bound > exactBound {
						cancelled[kind]++
					}
					if bound > 1e-2 {
						loose[kind]++
					}
					if share := bound * rows[i*goldenRow+1] / largest; share > 1e-2 {
						t.Errorf("%s at %d: the bound of %s %d is %.2g of the net's largest", c.name, size, kind, i, share)
					}
				}
			}
		}
	}
	for kind, want := range map[string][3]int{"grad": {2336, 940, 164}, "after": {2336, 0, 0}, "stat": {1536, 0, 0}} {
		if got := [3]int{tensors[kind], cancelled[kind], loose[kind]}; got[0] != want[0] || got[1] > want[1] || got[2] > want[2] {
			t.Errorf("%s: of %d tensors float32 cancels in %d, %d of them with a bound above 1 %%; want %v", kind, got[0], got[1], got[2], want)
		}
	}
}
