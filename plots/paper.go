// The paper's errors, curves and responses.

package plots

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"depthlab/experiments/dataset"
	"depthlab/harness/record"
)

// paperErrors are the paper's errors by data set and net, in percent.
//
// CIFAR-10. Training: the mean of about the last ten points of Figure 6, because single
// points vary by 0.2 to 0.4. Test: Table 6 for residual nets (for 110 layers the best of
// five runs; their mean is 6.61 +- 0.16), and the last points of Figure 6 for plain nets,
// which are in no table. All these residual nets have shortcut A. plain-110 is "> 60 %,
// not displayed".
//
// ImageNet, top-1. Training: the mean of the last ten points of Figure 4; NaN for nets
// that are not in it. Test: Tables 2 and 3, on the validation set, with ten crops of each
// photo.
var paperErrors = map[string]map[string]struct{ train, test float64 }{
	"cifar10": {
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
	},
	"imagenet": {
		"plain-18":    {31.57, 27.94},
		"plain-34":    {32.62, 28.54},
		"resnet-18":   {30.06, 27.88},
		"resnet-34":   {25.07, 25.03},
		"resnet-34/B": {math.NaN(), 24.52},
		"resnet-34/C": {math.NaN(), 24.19},
		"resnet-50":   {math.NaN(), 22.85},
		"resnet-101":  {math.NaN(), 21.75},
		"resnet-152":  {math.NaN(), 21.43},
	},
}

// identityErrors are test errors of He et al. 2016, "Identity Mappings in Deep Residual
// Networks", Tables 1 to 4, by data set and net, in percent: medians of five runs. It has
// no training errors. Its gated nets fail with every bias from 0 to -5.
var identityErrors = map[string]map[string]float64{
	"cifar10": {
		"plain-110":                              failed,
		"resnet-110":                             6.61,
		"resnet-110/scale=0.5":                   failed,
		"resnet-110/scale=0.5/branch-scale=0.5":  12.35,
		"resnet-110/gate=exclusive":              failed,
		"resnet-110/gate=exclusive/gate-bias=-1": failed,
		"resnet-110/gate=exclusive/gate-bias=-2": failed,
		"resnet-110/gate=exclusive/gate-bias=-3": failed,
		"resnet-110/gate=exclusive/gate-bias=-4": failed,
		"resnet-110/gate=exclusive/gate-bias=-5": failed,
		"resnet-110/gate=exclusive/gate-bias=-6": 8.70,
		"resnet-110/gate=exclusive/gate-bias=-7": 9.81,
		"resnet-110/gate=shortcut":               12.86,
		"resnet-110/gate=shortcut/gate-bias=-6":  6.91,
		"resnet-110/C":                           12.22,
		"resnet-110/shortcut-dropout=0.5":        failed,
		"resnet-110/bn-after-add":                8.17,
		"resnet-110/relu-before-add":             7.84,
		"resnet-110/relu-preact":                 6.71,
		"resnet-110/preact":                      6.37,
		"resnet-164/bottleneck":                  5.93,
		"resnet-164/bottleneck/bn-after-add":     6.50,
		"resnet-164/bottleneck/relu-before-add":  6.14,
		"resnet-164/bottleneck/relu-preact":      5.91,
		"resnet-164/bottleneck/preact":           5.46,
		"resnet-1001/bottleneck":                 7.61,
		"resnet-1001/bottleneck/preact":          4.92,
	},
	"cifar100": {
		"resnet-164/bottleneck":         25.16,
		"resnet-164/bottleneck/preact":  24.33,
		"resnet-1001/bottleneck":        27.82,
		"resnet-1001/bottleneck/preact": 22.71,
	},
}

// failed stands for the paper's "fail", an error of over 20 %.
var failed = math.Inf(1)

// citeIdentity takes the errors of all nets of a question from the paper of 2016 if it
// has a residual net that the paper of 2015 does not have: that one's error of resnet-110 is the
// best of five runs, and no number to compare medians with.
func citeIdentity(nets []*net) {
	only := func(n *net) bool {
		_, first := paperErrors[n.paperData()][n.Label()]
		_, second := identityErrors[n.paperData()][n.Label()]
		return n.Residual && second && !first
	}
	if slices.ContainsFunc(nets, only) {
		for _, n := range nets {
			_, n.identity = identityErrors[n.paperData()][n.Label()]
		}
	}
}

// paperData is the paper's data set that the net was trained and tested on, or that its
// data are a copy of; "" for any other data, such as the user's own photos.
func (n *net) paperData() string {
	set := dataset.Of(n.DataSet)
	whole := fmt.Sprintf("%s, %d classes", set.Title, set.Classes) // a few photos may be unreadable
	if set.Caveat != "" && identityErrors[set.Name] == nil || set.Photos && n.Data != set.Title && !strings.HasPrefix(n.Data, whole) {
		return ""
	}
	return set.Name
}

// paper returns the paper's final training and test error, in percent, of a net on its
// data with the paper's recipe; NaN if the paper has none, and +Inf if the net failed.
func (n *net) paper() (train, test float64) {
	if n.identity {
		return math.NaN(), identityErrors[n.paperData()][n.Label()]
	}
	e, ok := paperErrors[n.paperData()][n.Label()]
	if !ok {
		return math.NaN(), math.NaN()
	}
	return e.train, e.test
}

// inPaper reports whether the paper of 2015 is shown to have the net's errors on this
// data set.
func (n *net) inPaper(data string) bool {
	_, test := n.paper()
	return n.paperData() == data && !n.identity && !math.IsNaN(test)
}

// paperSource says where the paper's numbers come from.
func paperSource(nets []*net) string {
	var from []string
	for _, source := range []struct {
		says  string
		shown func(*net) bool
	}{
		{"He et al. 2015, Table 6 and Figure 6, CIFAR-10, 64,000 steps", func(n *net) bool { return n.inPaper("cifar10") }},
		{"He et al. 2015, Tables 2 and 3, ImageNet, ten crops of each photo of the validation set; training errors of Figure 4, some 550,000 steps", func(n *net) bool { return n.inPaper("imagenet") }},
		{"He et al. 2016, \"Identity Mappings in Deep Residual Networks\", Tables 1 to 4, 64,000 steps, medians of five runs", func(n *net) bool { return n.identity }},
	} {
		if slices.ContainsFunc(nets, source.shown) {
			from = append(from, source.says)
		}
	}
	if len(from) == 0 {
		return "no errors of these nets on these data in He et al. 2015."
	}
	text := strings.Join(from, "; and ") + "."
	if slices.ContainsFunc(nets, func(n *net) bool { return n.Label() == "resnet-110" && n.inPaper("cifar10") }) {
		text += " Its test error of resnet-110 is the best of five runs, whose mean is 6.61 ± 0.16."
	}
	return text
}

// paperPercent formats an error of the paper.
func paperPercent(x float64, unknown string) string {
	if x == failed {
		return "> 20"
	}
	return percent(x, unknown)
}

//go:embed paper/fig7_responses.csv
var fig7 []byte

// paperResponses maps net -> layer (counted from 1) -> standard deviation of its response
// in Figure 7.
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

// table parses the rows of a file that is embedded in the program.
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

//go:embed paper/fig4_imagenet.csv
var fig4 []byte

// paperCurve returns a net's curves in Figure 6 or 4; nil for other nets or other data.
func paperCurve(n *net) (train, test []record.Point) {
	if !n.inPaper(n.paperData()) {
		return nil, nil
	}
	c := paperCurves()[n.Label()]
	return c["train"], c["test"]
}

// paperCurves maps net -> "train" or "test" -> points. Test errors of Figure 4 are those
// on the validation set.
var paperCurves = sync.OnceValue(func() map[string]map[string][]record.Point {
	curves := map[string]map[string][]record.Point{}
	add := func(net, split, iteration, err string) {
		step, err1 := strconv.Atoi(iteration)
		e, err2 := strconv.ParseFloat(err, 64)
		if err1 != nil || err2 != nil {
			panic(fmt.Sprintf("paper: %s, %s: %q, %q", net, split, iteration, err))
		}
		if curves[net] == nil {
			curves[net] = map[string][]record.Point{}
		}
		c := curves[net][split]
		if n := len(c); n > 0 && c[n-1].Step == step { // digitised points may share an iteration
			c = c[:n-1]
		}
		curves[net][split] = append(c, record.Point{Step: step, Error: e})
	}
	panel := map[string]string{}
	for _, row := range table(fig6)[1:] {
		net := row[1]
		if panel[net] == "" {
			panel[net] = row[0]
		}
		if panel[net] == row[0] { // resnet-110 is in two panels
			add(net, row[2], row[3], row[4])
		}
	}
	for _, row := range table(fig4)[1:] {
		add(row[0], row[1], row[2], row[3])
	}
	return curves
})
