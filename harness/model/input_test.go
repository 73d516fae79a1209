// Tests of which images a run uses.

package model

import (
	"fmt"
	"strings"
	"testing"

	"depthlab/experiments"
	"depthlab/harness/data"
)

// Images in memory that could not be read are in no part of a run's images.
func TestUnreadImages(t *testing.T) {
	set := func(n int, unread ...int32) data.Set {
		s := data.Set{N: n, Channels: 3, Size: 8, Classes: 2, Unread: map[int32]string{}}
		for _, i := range unread {
			s.Unread[i] = "cut short"
		}
		return s
	}
	src := &data.Source{Train: set(10, 2, 7), Test: set(4, 1)}
	run := experiments.Run{Recipe: experiments.Recipe{Data: "folder", Train: 10, Input: experiments.Input{Size: 8}}}
	all, err := imagesOf(run, src)
	if got := fmt.Sprint(all.Train, all.Test); err != nil || got != "[0 1 3 4 5 6 8 9] [10 12 13]" {
		t.Errorf("images %s, %v", got, err)
	}
	run.Train, run.Validation = 4, 6
	if all, err = imagesOf(run, src); err != nil || len(all.Train)+len(all.Test) != 8 || all.TestSet != "validation" {
		t.Errorf("held out: %+v, %v", all, err)
	}
	run.Input.Size = 16
	if _, err := imagesOf(run, src); err == nil || !strings.Contains(err.Error(), "images have 16 pixels on a side, expected 8") {
		t.Errorf("two sizes: %v", err)
	}
	run.Input = experiments.Input{Crop: 8}
	if _, err := imagesOf(run, src); err == nil {
		t.Error("photos are taken for images in memory")
	}
}
