// What tests in package store_test need of the package's inside.

package store

import "time"

// SetNow sets the clock, until the function that it returns is called.
func SetNow(clock func() time.Time) (restore func()) {
	now = clock
	return func() { now = time.Now }
}
