// Tests of the sampler: every epoch is a permutation, rows depend on seed, step and slot
// only.

package data

import (
	"math"
	"slices"
	"testing"
)

func TestEveryEpochIsAPermutation(t *testing.T) {
	for _, test := range []struct {
		name     string
		n, batch int
		images   []int32
	}{
		{"batch divides", 128, 32, nil},
		{"batch straddles epochs", 100, 32, nil},
		{"epochs shorter than a batch", 5, 32, nil},
		{"one image", 1, 4, nil},
		{"subset", 100, 7, []int32{3, 5, 99, 42, 0, 17}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := Sampler{Seed: 1, N: test.n, Images: test.images, Batch: test.batch}
			want := test.images
			if want == nil {
				want = Indices(test.n)
			}
			want = slices.Sorted(slices.Values(want))
			var rows []Row
			for step := 0; len(rows) < 6*len(want); step++ {
				rows = p.Rows(step, rows)
			}
			var orders [][]int32
			for e := range 6 {
				var got []int32
				for _, r := range rows[e*len(want) : (e+1)*len(want)] {
					got = append(got, r[0])
				}
				orders = append(orders, slices.Clone(got))
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Fatalf("epoch %d holds images %v", e, got)
				}
			}
			if len(want) > 50 && slices.Equal(orders[0], orders[1]) {
				t.Error("two epochs have the same order")
			}
		})
	}
}

// Rows are the same in any order of calls, from a new Sampler or a used one.
func TestRowDependsOnSeedStepSlotAlone(t *testing.T) {
	sampler := func() *Sampler { return &Sampler{Seed: 7, N: 1000, Batch: 64, Pad: 4, Flip: true} }
	inOrder := sampler()
	var all [][]Row
	for step := range 60 {
		all = append(all, inOrder.Rows(step, nil))
	}
	used := sampler()
	for _, step := range []int{59, 0, 31, 30, 32, 15, 16, 15, 47, 1} {
		if !slices.Equal(sampler().Rows(step, nil), all[step]) {
			t.Errorf("step %d differs in a new sampler", step)
		}
		if !slices.Equal(used.Rows(step, nil), all[step]) {
			t.Errorf("step %d differs after others", step)
		}
	}
	other := sampler()
	other.Seed++
	if slices.Equal(other.Rows(0, nil), all[0]) {
		t.Error("rows do not depend on the seed")
	}
	// An image's crop and flip do not change the order of the images.
	still := &Sampler{Seed: 7, N: 1000, Batch: 64}
	for i, r := range still.Rows(3, nil) {
		if r != (Row{all[3][i][0], 0, 0, r[3] &^ 1}) {
			t.Fatalf("without augmentation slot %d is %v, with it %v", i, r, all[3][i])
		}
	}
}

// These bits are part of every published result.
func TestSamplerBits(t *testing.T) {
	p := Sampler{Seed: 0, N: 50000, Batch: 128, Pad: 4, Flip: true}
	got := slices.Concat(p.Rows(0, nil)[:2], p.Rows(63999, nil)[126:])
	want := []Row{{30827, 8, 4, -90490472}, {37509, 4, 6, 1361761758}, {35290, 6, 0, -639411538}, {25600, 3, 4, 1871416648}}
	if !slices.Equal(got, want) {
		t.Errorf("rows are %v, want %v", got, want)
	}
}

func TestCropAndFlipAreUniform(t *testing.T) {
	p := Sampler{Seed: 3, N: 50, Batch: 81 * 400, Pad: 4, Flip: true}
	var place [81]int
	var flips, sum int
	for _, r := range p.Rows(0, nil) {
		place[r[1]*9+r[2]]++
		flips += int(r[3] & 1)
		sum++
	}
	chi := 0.0
	for _, n := range place {
		chi += float64((n-400)*(n-400)) / 400
	}
	if chi > 80+4*math.Sqrt(160) {
		t.Errorf("crops are not uniform: chi squared %.0f with 80 degrees of freedom", chi)
	}
	if f := float64(flips) / float64(sum); math.Abs(f-0.5) > 0.012 {
		t.Errorf("%.3f of the samples are flipped", f)
	}
}

// The random bits of rows: each is 1 as often as 0, no two rows have the same, and the
// flip does not depend on whether the images are cropped. Without flips the lowest is 0.
func TestNoise(t *testing.T) {
	const n = 20000
	p := Sampler{Seed: 3, N: 50, Batch: n, Pad: 4, Flip: true}
	var ones [32]int
	seen := map[int32]bool{}
	for _, r := range p.Rows(0, nil) {
		seen[r[3]] = true
		for b := range ones {
			ones[b] += int(r[3] >> b & 1)
		}
	}
	for b, k := range ones {
		if deviation := float64(k-n/2) / math.Sqrt(n/4.); math.Abs(deviation) > 4 {
			t.Errorf("bit %d is 1 in %d of %d rows", b, k, n)
		}
	}
	if n-len(seen) > 3 { // 0.05 pairs are expected
		t.Errorf("%d rows have %d different bits", n, len(seen))
	}
	p.Flip = false
	for slot, r := range p.Rows(0, nil) {
		if r[3]&1 != 0 || !seen[r[3]] && !seen[r[3]|1] {
			t.Fatalf("without flips slot %d has the bits %#x", slot, r[3])
		}
	}
}

func TestEvalRows(t *testing.T) {
	got := EvalRows([]int32{4, 2, 9}, 2, 4)
	want := []Row{{4, 4, 4, 0}, {2, 4, 4, 0}, {9, 4, 4, 0}, {-1, 4, 4, 0}}
	if !slices.Equal(got, want) {
		t.Errorf("EvalRows = %v, want %v", got, want)
	}
	if got := EvalRows(Indices(128), 128, 0); len(got) != 128 || got[127][0] != 127 {
		t.Errorf("a full batch became %d rows", len(got))
	}
	if got := EvalRows(nil, 128, 0); len(got) != 0 {
		t.Errorf("no images became %d rows", len(got))
	}
}

func TestSplit(t *testing.T) {
	for _, test := range []struct{ n, train, validation, wantTrain int }{
		{50000, 0, 0, 50000}, {50000, 0, 5000, 45000}, {50000, 5000, 5000, 5000}, {10, 4, 6, 4}, {10, 9, 0, 9},
	} {
		train, validation, err := Split(test.n, test.train, test.validation)
		if err != nil {
			t.Fatal(err)
		}
		if len(train) != test.wantTrain || len(validation) != test.validation {
			t.Errorf("%v: got %d and %d images", test, len(train), len(validation))
		}
		seen := make(map[int32]bool)
		for _, i := range slices.Concat(train, validation) {
			if seen[i] || i < 0 || int(i) >= test.n {
				t.Fatalf("%v: image %d is twice or out of range", test, i)
			}
			seen[i] = true
		}
	}
	// The held-out images do not depend on the number of training images.
	_, a, _ := Split(1000, 0, 100)
	_, b, _ := Split(1000, 200, 100)
	if !slices.Equal(a, b) {
		t.Error("the validation set depends on the training set's size")
	}
	for _, bad := range [][3]int{{10, 11, 0}, {10, 5, 6}, {10, 0, 10}, {10, -1, 0}, {10, 0, -1}} {
		if _, _, err := Split(bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("Split%v is accepted", bad)
		}
	}
}

func BenchmarkRows(b *testing.B) {
	p := Sampler{N: 50000, Batch: 128, Pad: 4, Flip: true}
	var rows []Row
	for step := 0; b.Loop(); step++ {
		rows = p.Rows(step, rows[:0])
	}
}

// For any arguments, Split refuses them or the sampler keeps its rules.
func FuzzSampler(f *testing.F) {
	f.Add(uint64(0), 10, 6, 2, 4, 1, true, 3)
	f.Add(uint64(1)<<63, 1, 0, 0, 1, 0, false, 1<<40)
	f.Add(uint64(7), 50, 0, 49, 100, 4, true, 12345)
	f.Add(uint64(7), -1, -1, -1, 1, 0, true, 0)
	f.Fuzz(func(t *testing.T, seed uint64, n, train, validation, batch, pad int, flip bool, step int) {
		if n > 300 || batch < 1 || batch > 300 || pad < 0 || pad > 100 || step < 0 || step > math.MaxInt/600 {
			return // a question's file cannot ask for this
		}
		images, held, err := Split(n, train, validation)
		if err != nil {
			return
		}
		use := map[int32]bool{}
		for _, i := range append(slices.Clone(images), held...) {
			if use[i] || i < 0 || int(i) >= n {
				t.Fatalf("image %d is used twice, or is none of %d", i, n)
			}
			use[i] = true
		}
		p := Sampler{Seed: seed, N: n, Images: images, Batch: batch, Pad: pad, Flip: flip}
		rows := p.Rows(step, nil)
		again := Sampler{Seed: seed, N: n, Images: images, Batch: batch, Pad: pad, Flip: flip}
		again.Rows(step/2, nil) // earlier calls make no difference
		if !slices.Equal(rows, again.Rows(step, nil)) {
			t.Fatal("rows depend on what was asked before")
		}
		if len(rows) != batch {
			t.Fatalf("%d rows", len(rows))
		}
		seen := map[uint64]map[int32]bool{}
		for slot, r := range rows {
			if !slices.Contains(images, r[0]) || r[1] < 0 || r[2] < 0 || int(r[1]) > 2*pad || int(r[2]) > 2*pad || r[3]&1 == 1 && !flip {
				t.Fatalf("row %v", r)
			}
			epoch := (uint64(step)*uint64(batch) + uint64(slot)) / uint64(len(images))
			if seen[epoch] == nil {
				seen[epoch] = map[int32]bool{}
			}
			if seen[epoch][r[0]] {
				t.Fatalf("image %d twice in epoch %d", r[0], epoch)
			}
			seen[epoch][r[0]] = true
		}
	})
}
