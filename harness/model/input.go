// The images that a run trains and tests on, and their normalisation.

package model

import (
	"fmt"
	"slices"

	"depthlab/experiments"
	"depthlab/experiments/dataset"
	"depthlab/harness/data"
)

// Images are indices into the training set, followed by the test set.
type Images struct {
	Train, Test []int32
	TestSet     string // "test" or "validation"
}

// imagesOf selects the images of a run.
func imagesOf(run experiments.Run, src *data.Source) (all Images, err error) {
	if known := dataset.Of(run.Data); known.Photos {
		switch n := src.Train.N; {
		case run.Train == 0 && n != known.Train && src.Train.Photos != nil:
			return all, fmt.Errorf("%s has %d training photos, %s has %d, which the question uses to count epochs: write train: %d into the question, or add --set train=%[5]d", src.Train.Photos.Dir, n, known.Title, known.Train, n-run.Validation)
		case src.Train.Size != run.Input.Side(), (src.Train.Photos == nil) != (run.Input.Size > 0):
			return all, fmt.Errorf("run %s: its images have %d pixels on a side, expected %d as in the question's other runs", run.ID, run.Input.Side(), src.Train.Size)
		}
	}
	train, heldOut, err := data.Split(src.Train.N, run.Train, run.Validation)
	if err != nil {
		return all, err
	}
	if run.Validation > 0 {
		return Images{src.Train.Sound(train), src.Train.Sound(heldOut), "validation"}, nil
	}
	test := src.Test.Sound(data.Indices(src.Test.N))
	for i := range test {
		test[i] += int32(src.Train.N)
	}
	return Images{src.Train.Sound(train), test, "test"}, nil
}

// Reading returns the options for reading photos and own images for nets with this input.
func Reading(in experiments.Input) data.FolderOptions {
	return data.FolderOptions{Size: in.Side(), Whole: in.Size > 0}
}

// resident returns images and labels in the order of the device's buffers: the training set,
// followed by the test set.
func resident(src *data.Source) (images []uint8, labels []int32) {
	return slices.Concat(src.Train.Images, src.Test.Images), slices.Concat(src.Train.Labels, src.Test.Labels)
}

// statistics returns mean and standard deviation of the training images. For photos it also
// returns the augmentation, whose colour part depends on them.
func statistics(run experiments.Run, src *data.Source, train []int32) (data.Statistics, data.Look, error) {
	if src.Train.Photos == nil {
		return src.Train.Statistics(train), data.Look{}, nil
	}
	in := run.Input
	stats, err := src.Train.PhotoStatistics(train, in.Scale[0])
	look := data.Look{Size: in.Crop, Scale: [2]int(in.Scale), Axes: stats.Axes}
	for i, v := range stats.Spread {
		// Krizhevsky et al. 2012, section 4.1, with pixels in [0, 1].
		look.Shift[i] = in.Colour * v / 255
	}
	return stats.Statistics, look, err
}

// Normalisation converts pixels to the net's input: (pixel - Mean) * Scale inside the image,
// Fill in the padding.
type Normalisation struct {
	Mean  []float32 // (C, H, W)
	Scale []float32 // (C)
	Fill  []float32 // (C)
}

// Normalise returns the normalisation of a recipe.
func Normalise(in experiments.Input, set *data.Set, stats data.Statistics) Normalisation {
	area := set.Area()
	n := Normalisation{make([]float32, set.Channels*area), make([]float32, set.Channels), make([]float32, set.Channels)}
	for c := range set.Channels {
		var outside float32
		for i := c * area; i < (c+1)*area; i++ {
			switch in.Mean {
			case "pixel":
				n.Mean[i], outside = stats.Pixel[i], stats.Mean[c]
			case "channel":
				n.Mean[i], outside = stats.Mean[c], stats.Mean[c]
			}
		}
		n.Scale[c] = 1
		if in.Std == "channel" && stats.Std[c] > 0 {
			n.Scale[c] = 1 / stats.Std[c]
		}
		if in.PadWith == "black" {
			n.Fill[c] = -outside * n.Scale[c]
		}
	}
	return n
}

// Decoder names the library that decodes photos, because others round differently; "" without
// photos.
func (m *Model) Decoder() string {
	if m.Feed == nil {
		return ""
	}
	return m.Feed.Photos.Photos.Library.String()
}
