// Packed arenas: which value holds which elements, as the step proceeds.

package lower

import "sort"

// arena is the content of a packed arena of n elements at some point of the step: one
// vector at first, then pieces, one for each write, sorted by position.
type arena struct {
	n      int
	pieces []piece
}

// piece is elements [at, at+n) of an arena. They are the elements of v that begin at from.
type piece struct {
	at, n int
	v     value
	from  int
}

func newArena(v value) *arena {
	n := length(v.dims)
	return &arena{n, []piece{{0, n, v, 0}}}
}

// part returns the part of the piece that lies in [at, at+n); false if it is empty.
func (p piece) part(at, n int) (piece, bool) {
	lo, hi := max(at, p.at), min(at+n, p.at+p.n)
	return piece{lo, hi - lo, p.v, p.from + lo - p.at}, lo < hi
}

// read returns a value of this shape, from element at on.
func (a *arena) read(b *text, at int, dims ...int) value {
	n := length(dims)
	var vs []value
	for _, p := range a.pieces {
		q, ok := p.part(at, n)
		if !ok {
			continue
		}
		if q.from == 0 && q.n == length(q.v.dims) {
			if q.n == n {
				return b.reshape(q.v, dims...)
			}
			vs = append(vs, b.reshape(q.v, q.n))
			continue
		}
		vs = append(vs, b.slice(b.reshape(q.v, length(q.v.dims)), []int{q.from}, []int{q.from + q.n}, []int{1}))
	}
	return b.reshape(b.concat(0, vs...), dims...)
}

// span returns a piece that holds elements [at, at+n). It concatenates pieces if no single
// one does.
func (a *arena) span(b *text, at, n int) piece {
	for _, p := range a.pieces {
		if p.at <= at && at+n <= p.at+p.n {
			return p
		}
	}
	return piece{at, n, a.read(b, at, n), 0}
}

// write replaces the elements from at on with those of v.
func (a *arena) write(at int, v value) {
	n := length(v.dims)
	pieces := []piece{{at, n, v, 0}}
	for _, p := range a.pieces {
		if q, ok := p.part(0, at); ok {
			pieces = append(pieces, q)
		}
		if q, ok := p.part(at+n, a.n-at-n); ok {
			pieces = append(pieces, q)
		}
	}
	sort.Slice(pieces, func(i, j int) bool { return pieces[i].at < pieces[j].at })
	a.pieces = pieces
}
