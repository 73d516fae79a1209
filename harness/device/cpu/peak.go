// Measures the machine's peak: multiply-adds and memory bandwidth.

package cpu

import "time"

// peakTask is the task of peak (kernels/flat.c has the same struct).
type peakTask struct {
	shared
	to uintptr
}

const (
	peakProducts = 1200000   // multiply-adds of vectors in a piece
	peakRow      = 128 << 20 // bytes: larger than any cache
)

// Peak measures the peak of all threads together: flops of multiply-adds on registers, in
// floating-point operations per second, and the memory bandwidth of adding two arrays, in
// bytes read and written per second.
func (d *Device) Peak() (flops, bytes float64, err error) {
	own := vectors(d, f32)
	err = d.try(func() error {
		m, err := allocate(3 * peakRow)
		if err != nil {
			return err
		}
		defer m.free()
		at := func(row int64) uintptr { return uintptr(m.at(row * peakRow)) }
		pieces := int64(16 * d.threads)
		products := bestOf(d, func(task region) func() {
			t := (*peakTask)(task.at(0))
			run := d.onTeam(own.peak, task)
			return func() {
				*t = peakTask{shared: shared{count: pieces}, to: at(0)}
				run()
			}
		})
		flops = 2 * float64(pieces*peakProducts*int64(own.lanes)) / products
		sum := bestOf(d, func(task region) func() {
			t := (*flatTask)(task.at(0))
			run := d.onTeam(own.sumRows, task)
			return func() {
				*t = flatTask{shared: shared{count: flatPieces(peakRow)}, to: at(0), from: at(1), bytes: peakRow, rows: 2, row: peakRow}
				run()
			}
		})
		bytes = 3 * peakRow / sum
		return nil
	})
	return flops, bytes, err
}

// bestOf is the shortest time of six runs, in seconds.
func bestOf(d *Device, prepare func(task region) func()) float64 {
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
