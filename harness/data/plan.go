package data

import "fmt"

// Row selects and augments one image: its index in the set, the top and left
// of the crop in the padded image, and 1 to flip it left to right. Index -1
// leaves the slot empty. (The same type as device.Row.)
type Row = [4]int32

// Plan is the whole randomness of training after the weights: which image goes
// into which slot of which step, cropped and flipped how. Nothing is carried
// from one step to the next, so that a resumed run needs no generator's state.
//
// The p-th sample of a run, counted from 0, is in slot p mod Batch of step
// p div Batch. It belongs to epoch p div N and is image p mod N of that epoch's
// order, a permutation that Fisher and Yates's shuffle draws from (Seed, epoch).
// Its crop and flip are drawn from (Seed, p). So a batch may hold the end of
// one epoch and the start of the next, no image is left out, and every row is
// a function of (Seed, step, slot).
//
// The methods keep the latest orders, so they are for one goroutine.
type Plan struct {
	Seed   uint64
	N      int     // images of the set
	Images []int32 // indices of those to train on, nil for all N; then their number takes N's place above
	Batch  int     // samples a step
	Pad    int     // a crop's top and left are uniform in 0..2*Pad
	Flip   bool    // left to right, half of the samples

	// The orders of two epochs, of which a batch can need both; epoch e is
	// at e mod 2.
	order [2][]int32
	epoch [2]uint64
}

// What generators are keyed with, so that those of one seed are unrelated.
const (
	forOrder uint64 = iota + 1
	forAugment
	forSplit
	forView
)

// Epoch is the number of samples of one epoch.
func (p *Plan) Epoch() int {
	if p.Images != nil {
		return len(p.Images)
	}
	return p.N
}

// Rows appends the Batch rows of a step, counted from 0, to dst.
func (p *Plan) Rows(step int, dst []Row) []Row {
	n := uint64(p.Epoch())
	if step < 0 || n == 0 {
		panic("data: plan of a negative step or of no images")
	}
	for slot := range p.Batch {
		at := uint64(step)*uint64(p.Batch) + uint64(slot)
		row := Row{p.orderOf(at / n)[at%n], int32(p.Pad), int32(p.Pad), 0}
		r := keyed(p.Seed, forAugment, at)
		if p.Pad > 0 {
			places := uint64(2*p.Pad + 1)
			row[1], row[2] = int32(r.below(places)), int32(r.below(places))
		}
		if p.Flip {
			row[3] = int32(r.next() >> 63)
		}
		dst = append(dst, row)
	}
	return dst
}

// orderOf is the order of an epoch's images.
func (p *Plan) orderOf(epoch uint64) []int32 {
	order := &p.order[epoch%2]
	if *order == nil || p.epoch[epoch%2] != epoch {
		if p.Images != nil {
			*order = append((*order)[:0], p.Images...)
		} else {
			*order = appendIndices((*order)[:0], p.N)
		}
		shuffle(*order, keyed(p.Seed, forOrder, epoch))
		p.epoch[epoch%2] = epoch
	}
	return *order
}

func shuffle(x []int32, r random) {
	for i := len(x) - 1; i > 0; i-- {
		j := r.below(uint64(i + 1))
		x[i], x[j] = x[j], x[i]
	}
}

// Indices is 0 to n-1.
func Indices(n int) []int32 { return appendIndices(make([]int32, 0, n), n) }

func appendIndices(dst []int32, n int) []int32 {
	for i := range n {
		dst = append(dst, int32(i))
	}
	return dst
}

// EvalRows is one row for each image in the order given, the crop in the
// middle of the padding and no flip, filled up to whole batches with rows of
// index -1.
func EvalRows(images []int32, batch, pad int) []Row {
	rows := make([]Row, 0, (len(images)+batch-1)/batch*batch)
	for _, i := range images {
		rows = append(rows, Row{i, int32(pad), int32(pad), 0})
	}
	for len(rows) < cap(rows) {
		rows = append(rows, Row{-1, int32(pad), int32(pad), 0})
	}
	return rows
}

// Split divides a training set of n images. The images are shuffled once, by
// a seed of the program's own that no run's seed changes, so that runs of
// different seeds, nets and questions are compared on the same images.
// validation images from the back of that order are held out; the train first
// ones are trained on, all the rest for 0. Both come in rising order.
func Split(n, train, validation int) (trainOn, holdOut []int32, err error) {
	if train < 0 || validation < 0 || train > n-validation || validation >= n {
		return nil, nil, fmt.Errorf("%d training and %d validation images asked for, but the training set has %d; ask for at most that many together", train, validation, n)
	}
	if train == 0 {
		train = n - validation
	}
	order := Indices(n)
	shuffle(order, keyed(forSplit))
	use := make([]uint8, n)
	for _, i := range order[:train] {
		use[i] = 1
	}
	for _, i := range order[n-validation:] {
		use[i] = 2
	}
	for i, u := range use {
		switch u {
		case 1:
			trainOn = append(trainOn, int32(i))
		case 2:
			holdOut = append(holdOut, int32(i))
		}
	}
	return trainOn, holdOut, nil
}
