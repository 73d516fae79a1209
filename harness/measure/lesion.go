// Lesions: the error of a trained net without some of its blocks.

package measure

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"depthlab/experiments"
	"depthlab/experiments/dataset"
	"depthlab/harness/model"
	"depthlab/harness/record"
	"depthlab/nets"
)

// lesions are the sets of blocks to delete: the empty set, each block alone, and for each number of
// blocks some random draws without the first blocks of stages.
type lesions struct {
	blocks []nets.Block
	single []int   // indices of the blocks that can be deleted
	drawn  [][]int // indices of the blocks of each draw, sorted
}

// lesionsOf returns the sets for a net with the blocks. They depend on the seed of o only.
func lesionsOf(blocks []nets.Block, o experiments.Lesion) lesions {
	l := lesions{blocks: blocks}
	var inner []int
	for i, b := range blocks {
		if b.Without == nil {
			continue
		}
		l.single = append(l.single, i)
		if !b.First {
			inner = append(inner, i)
		}
	}
	random := rand.New(rand.NewPCG(uint64(o.Seed), 0))
	for k := 1; k <= min(o.Most, len(inner)); k++ {
		for range o.Draws {
			random.Shuffle(len(inner), func(i, j int) { inner[i], inner[j] = inner[j], inner[i] })
			l.drawn = append(l.drawn, slices.Sorted(slices.Values(inner[:k])))
		}
	}
	return l
}

func (l lesions) points() int { return 1 + len(l.single) + len(l.drawn) }

// blocksOf returns the i-th set.
func (l lesions) blocksOf(i int) []int {
	switch {
	case i == 0:
		return nil
	case i <= len(l.single):
		return l.single[i-1 : i]
	}
	return l.drawn[i-1-len(l.single)]
}

// without returns the values of parameters that delete the i-th set.
func (l lesions) without(i int) map[string][]float32 {
	all := map[string][]float32{}
	for _, b := range l.blocksOf(i) {
		maps.Copy(all, l.blocks[b].Without)
	}
	return all
}

func lesionCost(run experiments.Run, m experiments.Measurements) string {
	images := m.Lesion.Images
	if images == 0 {
		images = dataset.Of(run.Data).Test
		if run.Validation > 0 {
			images = run.Validation
		}
	}
	arch, _ := nets.ParseArch(run.Net)
	blocks, err := arch.BlockList(nets.Config{Channels: 3, Size: dataset.Of(run.Data).Size, Classes: 2})
	if err != nil {
		return err.Error()
	}
	points := lesionsOf(blocks, m.Lesion).points()
	if images == 0 { // own images, which are not counted here
		return fmt.Sprintf("%d tests of all test images", points)
	}
	return tests(points, images)
}

// lesion tests the net without some of its blocks. Its values:
//
//	"whole"                   the error with all blocks, percent
//	"first"                   the first blocks of the stages, counted from 1
//	"block", "error"          a block, counted from 1, and the error without it
//	"deleted", "drawn_error"  of each draw: the number of deleted blocks, and the error
func lesion(n *net, m experiments.Measurements) (*work, error) {
	net, err := n.trained()
	if err != nil {
		return nil, err
	}
	c := model.Geometry(n.Data)
	c.Eps = float32(n.eps)
	blocks, err := n.arch.BlockList(c)
	if err != nil {
		return nil, err
	}
	l := lesionsOf(blocks, m.Lesion)
	images := some(net.Images.Test, m.Lesion.Images)
	return &work{
		points: l.points(),
		point: func(ctx context.Context, i int) ([]float64, error) {
			if err := n.change(l.without(i)); err != nil {
				return nil, err
			}
			_, percent, err := n.test(ctx, images)
			return []float64{percent}, err
		},
		event: func(points [][]float64) (record.Event, error) { return values(l.values(points)) },
	}, nil
}

func (l lesions) values(points [][]float64) map[string][]float64 {
	v := map[string][]float64{"whole": points[0]}
	for i, b := range l.blocks {
		if b.First {
			v["first"] = append(v["first"], float64(i+1))
		}
	}
	for i, p := range points[1:] {
		blocks := l.blocksOf(i + 1)
		if i < len(l.single) {
			v["block"], v["error"] = append(v["block"], float64(blocks[0]+1)), append(v["error"], p[0])
		} else {
			v["deleted"], v["drawn_error"] = append(v["deleted"], float64(len(blocks))), append(v["drawn_error"], p[0])
		}
	}
	return v
}
