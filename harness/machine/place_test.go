// Tests of dividing devices among runs.

package machine

import (
	"fmt"
	"strings"
	"testing"
)

func TestDivide(t *testing.T) {
	for _, c := range []struct {
		chosen          []int
		shown, replicas int
		want            string // places, or a part of the error, if the devices were named
	}{
		{[]int{0}, 1, 1, "[[0]]"},
		{[]int{0, 1, 2, 3}, 4, 1, "[[0] [1] [2] [3]]"},
		{[]int{2, 0}, 4, 1, "[[2] [0]]"},
		{[]int{0, 1, 2, 3}, 4, 2, "[[0 1] [2 3]]"},
		{[]int{3, 1, 0, 2}, 4, 2, "[[3 1] [0 2]]"},
		{[]int{3, 1, 0}, 4, 2, "--replicas 2: the 3 devices of --devices do not divide into groups of 2; name a multiple of 2"},
		{[]int{0, 4}, 4, 1, "there is no device 4; the plugin shows 4, numbered from 0"},
		{[]int{-1}, 4, 1, "there is no device -1"},
		{[]int{1, 2, 1}, 4, 1, "device 1 is named twice"},
		{[]int{0, 1}, 4, 3, "--replicas 3: expected at most 2"},
		{nil, 0, 1, "--replicas 1: expected at most 0"},
	} {
		places, err := divide(c.chosen, c.shown, c.replicas, true)
		if got := fmt.Sprint(places); err == nil && got != c.want || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v of %d, %d replicas: %s, %v; want %s", c.chosen, c.shown, c.replicas, got, err, c.want)
		}
	}
}

// Of devices that were not named, some may be left over.
func TestDivideUnnamed(t *testing.T) {
	if places, err := divide([]int{0, 1, 2}, 3, 2, false); err != nil || fmt.Sprint(places) != "[[0 1]]" {
		t.Errorf("%v, %v", places, err)
	}
}

// A CPU is one device. ref computes any number of replicas on it, cpu only one.
func TestPlacesOfCPU(t *testing.T) {
	m := Machine{Root: t.TempDir()}
	for _, c := range []struct {
		device   string
		chosen   []int
		replicas int
		want     string
	}{
		{"ref", nil, 1, "[[]]"},
		{"ref", nil, 3, "[[0 1 2]]"},
		{"ref", []int{0}, 1, "the device ref is the CPU, a single device without a number"},
		{"onednn", nil, 1, "[[]]"},
		{"onednn", nil, 2, "--replicas 2: the device cpu is the CPU, a single device"},
		{"gpu", nil, 1, "expected one of"},
	} {
		places, err := m.Places(c.device, c.chosen, c.replicas)
		if got := fmt.Sprint(places); err == nil && got != c.want || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %s, %v", c, got, err)
		}
	}
	dev, _, err := m.OpenAt("ref", Place{0, 1, 2})
	if err != nil || dev.Info().Replicas != 3 {
		t.Errorf("%+v, %v; want three replicas", dev, err)
	}
}
