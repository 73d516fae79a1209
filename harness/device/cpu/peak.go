// What the machine can do at most: kernels/flat.c.

package cpu

import "time"

// peakTask is what peak works on; kernels/flat.c knows the offsets.
type peakTask struct {
	next, count int64
	to          uintptr
}

const (
	peakProducts = 1200000   // vectors of a piece
	peakRow      = 128 << 20 // bytes that no cache holds
)

// Peak measures what all threads together reach here: multiply-adds from registers, in
// floating-point operations a second, and the sum of two rows that no cache holds, in
// bytes read and written a second. With AVX-512 it is that of vectors of 256 bits.
func (d *Device) Peak() (flops, bytes float64, err error) {
	err = d.try(func() error {
		m, err := allocate(3 * peakRow)
		if err != nil {
			return err
		}
		defer m.free()
		at := func(row int64) uintptr { return uintptr(m.at(row * peakRow)) }
		pieces := int64(16 * d.threads)
		products := d.best(func(task region) func() {
			t := (*peakTask)(task.at(0))
			run := d.onTeam(vectors.peak, task)
			return func() {
				*t = peakTask{count: pieces, to: at(0)}
				run()
			}
		})
		flops = 2 * float64(pieces*peakProducts*int64(lanes)) / products
		sum := d.best(func(task region) func() {
			t := (*flatTask)(task.at(0))
			run := d.onTeam(vectors.sumRows, task)
			return func() {
				*t = flatTask{count: flatPieces(peakRow), to: at(0), from: at(1), bytes: peakRow, rows: 2, row: peakRow}
				run()
			}
		})
		bytes = 3 * peakRow / sum
		return nil
	})
	return flops, bytes, err
}

// best is the shortest time of a few runs, in seconds.
func (d *Device) best(prepare func(task region) func()) float64 {
	task, err := allocate(4096)
	if err != nil {
		return 0
	}
	defer task.free()
	run, best := prepare(task), time.Hour
	for range 6 {
		start := time.Now()
		run()
		best = min(best, time.Since(start))
	}
	return best.Seconds()
}
