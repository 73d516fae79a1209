package program

import "sort"

// Align is the alignment of buffers in an arena, in bytes: a cache line, and
// the widest vector.
const Align = 64

// Place packs blocks that are alive from step first[i] to step last[i], both
// included, into one arena: offsets are multiples of align, and two blocks
// share bytes only if they are never alive together. Largest first, each into
// the smallest gap that holds it. Devices with sizes of their own (other
// layouts, bfloat16) call it too.
func Place(sizes []int64, first, last []int, align int64) (offsets []int64, total int64) {
	offsets = make([]int64, len(sizes))
	order := make([]int, len(sizes))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return sizes[order[a]] > sizes[order[b]] })
	byOffset := make([]int, 0, len(sizes)) // placed blocks, by offset
	for _, i := range order {
		var best, bestGap, end int64 = -1, 0, 0
		for _, j := range byOffset {
			if last[j] < first[i] || last[i] < first[j] {
				continue
			}
			if gap := offsets[j] - end; gap >= sizes[i] && (best < 0 || gap < bestGap) {
				best, bestGap = end, gap
			}
			end = max(end, (offsets[j]+sizes[j]+align-1)/align*align)
		}
		if best < 0 {
			best = end
		}
		offsets[i] = best
		total = max(total, best+sizes[i])
		at := sort.Search(len(byOffset), func(k int) bool { return offsets[byOffset[k]] > best })
		byOffset = append(byOffset, 0)
		copy(byOffset[at+1:], byOffset[at:])
		byOffset[at] = i
	}
	return offsets, (total + align - 1) / align * align
}
