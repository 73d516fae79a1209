// Changes of a question on the command line: --set, --only, --name.

package main

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"depthlab/experiments"
	"depthlab/harness/store"
	"depthlab/harness/weights"
)

// texts are the values of an option that may be given several times.
type texts struct {
	all   *[]string
	comma string // separator of several values in one text; "" for none
}

func (t texts) Set(s string) error {
	if t.comma == "" {
		*t.all = append(*t.all, s)
	} else {
		*t.all = append(*t.all, strings.Split(s, t.comma)...)
	}
	return nil
}

func (t texts) String() string {
	if t.all == nil { // package flag calls String of the zero value
		return ""
	}
	return strings.Join(*t.all, " ")
}

// addChangeOptions registers the options that change the question.
func addChangeOptions(c *call) {
	c.Var(texts{&c.changes.Set, ""}, "set", "`KEY=VALUE`: a key of the file, such as --set optimizer.rate=0.05, --set seeds=0..4 or --set \"schedule.stop=2000 steps\"; wins over file and profile, and may be given several times")
	c.Var(texts{&c.changes.Only, ","}, "only", "train only these `NETS` of the question, separated by commas")
	c.StringVar(&c.changes.Name, "name", "", "name of the results' folder, after the profile and a +, instead of one made from --set and --only")
}

// questionReader returns a reader of questions that may name runs of the store and files of weights.
func questionReader(c *call) experiments.Reader {
	st := c.machine().Store()
	type asked struct{ file, net, data string }
	sums := map[asked]string{} // SHA-256 of files whose tensors fit the net
	type count struct {
		train, test int
		known       bool
		err         error
	}
	counts := map[string]count{}
	return experiments.Reader{
		Trained: func(name string) (experiments.Trained, error) {
			run, err := st.Trained(name)
			if err != nil {
				return run, err
			}
			return run, weights.Check(st.Parent(experiments.Run{Continue: name}).Weights(), run.Run)
		},
		Weights: func(file string, run experiments.Run) (string, error) {
			key := asked{file, run.Net, run.Data}
			if sum, known := sums[key]; known {
				return sum, nil
			}
			if err := weights.Check(file, run); err != nil {
				return "", err
			}
			sum, err := store.Sum(file)
			sums[key] = sum
			return sum, err
		},
		Count: func(set string) (train, test int, known bool, err error) {
			n, done := counts[set]
			if !done {
				n.train, n.test, n.known, n.err = c.machine().Data(set).Count(context.Background())
				counts[set] = n
			}
			return n.train, n.test, n.known, n.err
		},
	}
}

// recordReader is questionReader for plot, which needs no weights. The sum of those that are gone
// is "".
func recordReader(c *call) experiments.Reader {
	r := questionReader(c)
	trained, sum := r.Trained, r.Weights
	r.Trained = func(name string) (experiments.Trained, error) {
		run, err := trained(name)
		if errors.Is(err, fs.ErrNotExist) {
			return c.machine().Store().Recorded(name)
		}
		return run, err
	}
	r.Weights = func(file string, run experiments.Run) (string, error) {
		known, err := sum(file, run)
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		return known, err
	}
	return r
}

// loadQuestion reads a question that is to be trained, and applies the changes of the command line.
func loadQuestion(c *call, file string) (*experiments.Question, error) {
	return readQuestion(c, questionReader(c), file)
}

func readQuestion(c *call, r experiments.Reader, file string) (*experiments.Question, error) {
	q, err := r.Load(file)
	if err != nil {
		return nil, err
	}
	for _, hint := range q.Old {
		say("%s", hint)
	}
	return q.Change(c.changes)
}

// fitting returns the plans of a question to which the changes can be applied. If there is
// none, the error says why.
func fitting(q *experiments.Question) (plans []*experiments.Plan, err error) {
	for _, p := range q.Plans {
		if p.Wrong == nil {
			plans = append(plans, p)
		}
	}
	if len(plans) == 0 {
		err = q.Plans[0].Wrong
	}
	return plans, err
}

// asked returns the profile's name and the changes of the command line, as text.
func (q question) asked() string {
	return strings.Join(append([]string{q.plan.Profile}, q.plan.Changes...), " ")
}

// changeWords returns the command line options that make the changes.
func changeWords(c experiments.Changes) (words []string) {
	for _, s := range c.Set {
		words = append(words, "--set", s)
	}
	if len(c.Only) > 0 {
		words = append(words, "--only", strings.Join(c.Only, ","))
	}
	if c.Name != "" {
		words = append(words, "--name", c.Name)
	}
	return words
}
