// Memory planning: places buffers in an arena by liveness.

package program

import "sort"

// Align is the alignment of buffers in an arena, in bytes. It is the size of a cache line
// and of the widest vector register.
const Align = 64

// Place packs blocks into one arena by liveness. Block i has sizes[i] bytes and is live
// from step first[i] to last[i], both included. Offsets are multiples of align. Two
// blocks share bytes only if they are never live at the same time. It places the largest
// block first, each into the smallest gap that holds it (best fit). Devices whose buffers
// have other sizes (another layout, bfloat16) call it, too.
func Place(sizes []int64, first, last []int, align int64) (offsets []int64, total int64) {
	offsets = make([]int64, len(sizes))
	order := make([]int, len(sizes))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return sizes[order[a]] > sizes[order[b]] })
	byOffset := make([]int, 0, len(sizes)) // placed blocks, in order of their offsets
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
