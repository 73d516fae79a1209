package plots

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"sync"

	"depthlab/harness/record"
)

// paperErrors are the paper's CIFAR-10 errors, percent. Training: the mean of
// the last ten or so points of Figure 6, since single points scatter by 0.2 to
// 0.4. Test: Table 6 for residual nets (for 110 layers the best of five runs,
// 6.61 +- 0.16), and the last points of Figure 6 for plain nets, which are in
// no table. All residual nets of these have shortcuts A. plain-110 is "> 60 %,
// not displayed".
var paperErrors = map[string]struct{ train, test float64 }{
	"plain-20":    {1.32, 9.69},
	"plain-32":    {1.41, 10.08},
	"plain-44":    {2.76, 11.42},
	"plain-56":    {5.77, 13.23},
	"resnet-20":   {0.68, 8.75},
	"resnet-32":   {0.27, 7.51},
	"resnet-44":   {0.18, 7.17},
	"resnet-56":   {0.10, 6.97},
	"resnet-110":  {0.06, 6.43},
	"resnet-1202": {0.08, 7.93},
}

// paper gives the paper's final training and test error for a net, percent,
// with its own recipe. ok is false for nets it has no numbers for.
func (n *net) paper() (train, test float64, ok bool) {
	e, ok := paperErrors[n.Label()]
	return e.train, e.test, ok
}

//go:embed paper/fig7_responses.csv
var fig7 []byte

// paperResponses is net -> layer, counted from 1, -> standard deviation of its
// response in Figure 7.
var paperResponses = sync.OnceValue(func() map[string][]record.Point {
	all := map[string][]record.Point{}
	for _, row := range table(fig7)[1:] {
		layer, err1 := strconv.Atoi(row[1])
		std, err2 := strconv.ParseFloat(row[2], 64)
		if err1 != nil || err2 != nil {
			panic(fmt.Sprintf("paper/fig7_responses.csv: %q", row))
		}
		all[row[0]] = append(all[row[0]], record.Point{Step: layer, Error: std})
	}
	return all
})

// table reads rows of a file that is part of the program.
func table(text []byte) [][]string {
	in := csv.NewReader(bytes.NewReader(text))
	in.Comment = '#'
	rows, err := in.ReadAll()
	if err != nil {
		panic(err)
	}
	return rows
}

//go:embed paper/fig6_cifar10.csv
var fig6 []byte

// paperCurve gives a net's curves of Figure 6; none for nets not in it.
func paperCurve(n *net) (train, test []record.Point) {
	c := paperCurves()[n.Label()]
	return c["train"], c["test"]
}

// paperCurves is net -> "train" or "test" -> points.
var paperCurves = sync.OnceValue(func() map[string]map[string][]record.Point {
	curves := map[string]map[string][]record.Point{}
	panel := map[string]string{}
	for _, row := range table(fig6)[1:] {
		net, split := row[1], row[2]
		if panel[net] == "" {
			panel[net] = row[0]
			curves[net] = map[string][]record.Point{}
		}
		if panel[net] != row[0] {
			continue // resnet-110 is in two panels
		}
		step, err1 := strconv.Atoi(row[3])
		e, err2 := strconv.ParseFloat(row[4], 64)
		if err1 != nil || err2 != nil {
			panic(fmt.Sprintf("paper/fig6_cifar10.csv: %q", row))
		}
		curves[net][split] = append(curves[net][split], record.Point{Step: step, Error: e})
	}
	return curves
})
