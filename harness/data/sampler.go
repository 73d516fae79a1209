// The sampler: the row (image, crop, flip) of each slot of each step, and the validation
// split.

package data

import "fmt"

// Row selects and augments one image: its index in the set, the top and left of the crop
// in the padded image, and random bits. The lowest bit is 1 to flip the image left-right;
// from all of them dropout makes the image's masks. Index -1 leaves the slot empty. (The
// same type as device.Row.)
type Row = [4]int32

// Sampler contains all randomness of training except the initial weights: which image goes
// into which slot of which step, and how it is cropped and flipped. Nothing is carried
// from one step to the next, so a resumed run needs no generator state.
//
// Sample p of a run, counted from 0, is in slot p mod Batch of step p div Batch. It
// belongs to epoch p div N and is image p mod N in that epoch's order. The order is a
// permutation that the Fisher-Yates shuffle draws from (Seed, epoch). Crop and flip are
// drawn from (Seed, p), and so is the noise of dropout. So a batch may hold the end of one epoch and the start of the
// next, no image is left out, and every row is a function of (Seed, step, slot).
//
// The methods cache the latest orders, so they are not safe for concurrent use.
type Sampler struct {
	Seed   uint64
	N      int     // number of images in the set
	Images []int32 // indices of the images to train on; then their number replaces N above; nil means all N images
	Batch  int     // samples in a step
	Pad    int     // padding; top and left of a crop are uniform in 0..2*Pad
	Flip   bool    // flip half of the samples left-right

	// Cached orders of two epochs, because a batch can need both. That of epoch e is at
	// index e mod 2.
	order [2][]int32
	epoch [2]uint64
}

// The first key of each generator, so that generators of one seed are independent.
const (
	forOrder uint64 = iota + 1
	forAugment
	forSplit
	forView
)

// Epoch is the number of samples of one epoch.
func (p *Sampler) Epoch() int {
	if p.Images != nil {
		return len(p.Images)
	}
	return p.N
}

// Rows appends to dst the Batch rows of a step, counted from 0.
func (p *Sampler) Rows(step int, dst []Row) []Row {
	n := uint64(p.Epoch())
	if step < 0 || n == 0 {
		panic("data: sampler of a negative step or of no images")
	}
	for slot := range p.Batch {
		at := uint64(step)*uint64(p.Batch) + uint64(slot)
		row := Row{p.orderOf(at / n)[at%n], int32(p.Pad), int32(p.Pad), 0}
		r := keyed(p.Seed, forAugment, at)
		if p.Pad > 0 {
			places := uint64(2*p.Pad + 1)
			row[1], row[2] = int32(r.below(places)), int32(r.below(places))
		}
		row[3] = rowBits(r.next(), p.Flip)
		dst = append(dst, row)
	}
	return dst
}

// rowBits makes the random bits of a row from a random number. Its highest bit says whether
// the image is flipped; the 31 bits below it are the others.
func rowBits(x uint64, flip bool) int32 {
	b := int32(x >> 31 &^ 1)
	if flip {
		b |= int32(x >> 63)
	}
	return b
}

// orderOf is the order of the images in an epoch.
func (p *Sampler) orderOf(epoch uint64) []int32 {
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

// Indices lists 0 to n-1.
func Indices(n int) []int32 { return appendIndices(make([]int32, 0, n), n) }

func appendIndices(dst []int32, n int) []int32 {
	for i := range n {
		dst = append(dst, int32(i))
	}
	return dst
}

// EvalRows makes one row for each image in the given order, with a centre crop and no
// flip. It fills up the last batch with empty rows (index -1).
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

// Split divides a training set of n images. It shuffles the images once, with a seed of
// its own that does not depend on the run's seed. So runs of different seeds, nets and
// questions are compared on the same images. The last validation images in that order are
// held out. The first train ones are trained on; train = 0 means all others. Both lists
// are ascending.
func Split(n, train, validation int) (trainOn, holdOut []int32, err error) {
	if train < 0 || validation < 0 || train > n-validation || validation >= n {
		return nil, nil, fmt.Errorf("%d training and %d validation images were asked for, but the training set has only %d images; ask for at most %[3]d in total", train, validation, n)
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
