// Photos that are unreadable, or come too slowly.
package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// watchPhotos names the photos that turned out to be unreadable.
func (t *Trainer) watchPhotos() error {
	if t.Feed == nil {
		return nil
	}
	var all []error
	for _, e := range t.Feed.Failures.All {
		if !slices.Contains(t.watch.Unreadable, e.Name) {
			t.watch.Unreadable = append(t.watch.Unreadable, e.Name)
			all = append(all, t.warn("an unreadable photo is left out: %v", e))
		}
	}
	return errors.Join(all...)
}

// waited is the share of the time since the last lap that the device waited
// for photos.
func (t *Trainer) waited() float64 {
	d, w := t.clock.total-t.clock.lapStart, t.waitedSince()
	if t.Feed == nil || d <= 0 {
		return 0
	}
	t.Feed.Waited, t.Feed.Idle = 0, t.Feed.Idle+w
	return math.Round(1000*w.Seconds()/d.Seconds()) / 1000
}

// waitedSince is the time since the last lap in which the device waited for
// photos.
func (t *Trainer) waitedSince() time.Duration {
	if t.Feed == nil {
		return 0
	}
	return t.Feed.Waited
}

// slowData says when the photos came slower than the device could take them;
// "" when they did not. seconds is what training took before this session.
func (t *Trainer) slowData(seconds float64) string {
	if t.Feed == nil {
		return ""
	}
	share := t.Feed.Idle.Seconds() / (t.clock.total.Seconds() - seconds)
	if !(share > 0.1) {
		return ""
	}
	return fmt.Sprintf("%s: the device waited %.0f %% of the time for photos: a faster disk, more CPU cores or libjpeg-turbo (%s decodes) would help", t.Run.ID, 100*share, t.Feed.Photos.Photos.Library)
}
