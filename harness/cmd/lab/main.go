// Command lab trains the nets of a question and draws its answer.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"depthlab/experiments"
	"depthlab/experiments/dataset"
	"depthlab/harness"
	"depthlab/harness/data"
	"depthlab/harness/machine"
)

// version is set by run.sh: git's description of the working tree.
var version = "unknown"

// command is one word of the command line.
type command struct {
	name, args, about string
	run               func(ctx context.Context, c *call) error
	saves             bool // after a signal it saves and ends by itself; others end at once
}

var commands []command

func init() { // a variable would refer to itself through help
	commands = []command{
		{"run", "FILE.yaml", "train what is missing, then plot (the word run may be left out)", runQuestion, true},
		{"plan", "FILE.yaml", "what would run here, how long and how large; trains nothing", planQuestion, true},
		{"prepare", "FILE.yaml", "fetch and check all that the question needs; then the folder runs it without a network", prepareQuestion, true},
		{"submit", "FILE.yaml [-- SBATCH OPTIONS]", "train on a cluster: an array of Slurm jobs that share the runs, and one that plots", submitQuestion, false},
		{"plot", "FILE.yaml", "draw figures and tables again, from the records alone", plotQuestion, true},
		{"status", "[DIR]", "where every run stands whose results lie in or under a folder (results/), while others train or not", status, false},
		{"watch", "[DIR]", "the pages of questions in the browser, live while runs train here or elsewhere (results/)", watch, false},
		{"runs", "", "list the runs in the store: what, where used, size, when", listRuns, false},
		{"rm", "RUN", "remove a run from the store, by the name that runs lists", removeRun, false},
		{"gc", "", "remove the runs that no question names; shows them first, and asks", collectRuns, false},
		{"import", "DIR", "copy the runs of a question's folder (results/NAME/PROFILE) into the store, or with --into another", importRuns, false},
		{"pack", "DIR -o FILE.zip", "the results of a question (results/NAME/PROFILE) in one file, to be sent to somebody", packResults, false},
		{"unpack", "FILE.zip", "bring packed results into the store, checked, and draw them", unpackResults, true},
		{"show", "FIGURE", "what a figure (PNG, SVG) or the tables beside it were made from", showOrigin, false},
		{"diff", "A B", "what differs between two runs (results/runs/RUN), or run by run between two questions (results/NAME/PROFILE)", diffRuns, false},
		{"doctor", "", "devices, libraries and data found, and what to do about what is missing", doctor, false},
		{"data", strings.Join(data.Fetchable(), "|"), "download a data set into the project's data folder, resumed and checked", fetchData, true},
		{"explain", "--net NET", "the layers of a net and its training Program; with --for, what a GPU would launch for it", explain, false},
		{"eval", "--net NET --weights FILE", "test weights on a data set", evalWeights, true},
		{"export", "--weights FILE --out FILE", "write weights as PyTorch's load_state_dict takes them", exportWeights, false},
		{"step", "FILE.yaml --net NET --out DIR", "write what the first training steps see and do, tensor by tensor", stepNet, true},
		{"bench", "", "time training steps, beside PyTorch (--against-torch) and JAX (--against-jax)", benchNets, true},
		{"gpu-check", "", "all that a device must show, in 9 minutes: devicetest, real nets against ref, resumed; speed; writes a report", gpuCheck, true},
		{"schema", "", "the JSON Schema of question files", schema, false},
	}
}

// call is a command's command line. Options that several commands read are
// registered by those that do, so that the others refuse them.
type call struct {
	*flag.FlagSet
	help    func()
	dataDir string // --data
	plugin  string // --plugin
	profile string // --profile
	changes experiments.Changes
	json    bool     // --json
	gpus    bool     // there will be GPUs where the question is run
	rest    []string // the command line, to be parsed by files
}

// usageError is bad input of the user's: exit code 2.
type usageError struct{ error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	ctx := interruptible()
	code := exitCode(ctx, dispatch(ctx, os.Args[1:]))
	messages.flush(ctx)
	os.Exit(code)
}

// exitCode says what became of the command, and gives the process's exit code.
func exitCode(ctx context.Context, err error) int {
	var complaints *experiments.Complaints
	var use usageError
	var lacking *machine.NotFoundError
	var up timeUp
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &up):
		say("lab: %v; stopped and saved, the same command goes on from here", up)
		return codeTimeUp
	case errors.Is(err, harness.ErrInterrupted):
		say("lab: stopped and saved; the same command goes on from here")
		return signalCode(ctx)
	case errors.Is(err, context.Canceled):
		say("lab: %v", err)
		return signalCode(ctx)
	case errors.As(err, &complaints), errors.As(err, &use), errors.As(err, &lacking):
		say("lab: %v", err)
		return 2
	}
	say("lab: %v", err)
	return 1
}

func dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		help(os.Stdout)
		return nil
	}
	name := args[0]
	if strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml") {
		name = "run"
	} else {
		args = args[1:]
	}
	if name == "version" {
		fmt.Println(version)
		return nil
	}
	for _, cmd := range commands {
		if cmd.name == name {
			if cmd.saves {
				outliveReaders()
			} else {
				endAtOnce(ctx)
			}
			return cmd.run(ctx, newCall(cmd, args))
		}
	}
	return usage("there is no command %q; lab --help lists them", name)
}

func help(w io.Writer) {
	fmt.Fprint(w, "lab trains plain and residual nets of growing depth and draws what came out.\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-38s %s\n", c.name+" "+c.args, c.about)
	}
	fmt.Fprint(w, "\nlab COMMAND --help lists the options of a command.\n")
}

// newCall has no options yet. The command line is parsed by files, so that
// options may stand before and behind file names.
func newCall(cmd command, args []string) *call {
	c := &call{FlagSet: flag.NewFlagSet(cmd.name, flag.ContinueOnError), rest: args}
	c.SetOutput(io.Discard) // errors are told once, by main
	c.Usage = func() {}
	c.help = func() {
		fmt.Fprintf(os.Stdout, "lab %s %s\n%s\n\n", cmd.name, cmd.args, cmd.about)
		c.SetOutput(os.Stdout)
		c.PrintDefaults()
	}
	return c
}

// about adds to what --help says.
func (c *call) about(text string) {
	help := c.help
	c.help = func() {
		help()
		fmt.Fprintf(os.Stdout, "\n%s", text)
	}
}

// dataOption names the folder of a data set.
func (c *call) dataOption() {
	c.StringVar(&c.dataDir, "data", "", "folder of the data set: CIFAR's files or archive, ImageNet's train and val, or your own images (else "+dataHomes(dataset.InFiles())+")")
}

// dataHomes says where data sets are looked for, and put, that --data does not name.
func dataHomes(names []string) string {
	var all []string
	for _, name := range names {
		all = append(all, fmt.Sprintf("%s: $%s, else .data/%s", name, dataset.Of(name).Env, name))
	}
	return strings.Join(all, "; ")
}

// pluginOption names a PJRT plugin.
func (c *call) pluginOption() {
	c.StringVar(&c.plugin, "plugin", "", "PJRT plugin of the device xla: a shared library (else $DEPTHLAB_PJRT, else what is found)")
}

func (c *call) profileOption(without string) {
	c.StringVar(&c.profile, "profile", "", "profile of the question; without it "+without)
}

func (c *call) jsonOption() {
	c.BoolVar(&c.json, "json", false, "print JSON on standard output, and nothing else there")
}

// machine is where things lie, as the options say.
func (c *call) machine() machine.Machine {
	m := machine.New(c.dataDir)
	m.Plugin, m.Say = c.plugin, say
	return m
}

// files parses the command line and gives what is no option, of which there
// must be n.
func (c *call) files(n int, what string) ([]string, error) {
	files, err := c.operands()
	if err == nil && len(files) != n {
		err = usage("%s: expected %s, got %q; lab %s --help", c.Name(), what, strings.Join(files, " "), c.Name())
	}
	return files, err
}

// operands parses the command line and gives what is no option.
func (c *call) operands() (files []string, err error) {
	args := c.rest
	for {
		if err := c.Parse(args); errors.Is(err, flag.ErrHelp) {
			c.help()
			return nil, err
		} else if err != nil {
			return nil, c.wrongOption(err)
		}
		if c.NArg() == 0 {
			break
		}
		files = append(files, c.Arg(0))
		args = c.Args()[1:]
	}
	c.Visit(func(f *flag.Flag) {
		if f.Value.String() == "" {
			err = usage("--%s: expected a value, not an empty text; is a variable of the shell not set?", f.Name)
		}
	})
	return files, err
}

// wrongOption adds to what package flag says which options there are.
func (c *call) wrongOption(err error) error {
	problem := err.Error()
	if name, unknown := strings.CutPrefix(problem, "flag provided but not defined: -"); unknown {
		problem = "there is no option --" + strings.TrimPrefix(name, "-")
	}
	names := []string{"--help"}
	c.VisitAll(func(f *flag.Flag) { names = append(names, "--"+f.Name) })
	return usage("%s: %s; expected some of %s", c.Name(), problem, strings.Join(names, ", "))
}

// refuse refuses those of the options that were given, for a reason.
func (c *call) refuse(reason string, options ...string) (err error) {
	c.Visit(func(f *flag.Flag) {
		if slices.Contains(options, f.Name) {
			err = usage("--%s: %s", f.Name, reason)
		}
	})
	return err
}

// indexed shows how far an index of photos is.
func indexed() func(done, total int) {
	last := time.Now()
	return func(done, total int) {
		if time.Since(last) > time.Second || done == total {
			last = time.Now()
			fmt.Fprintf(messages, "\rlooked into %d of %d photos", done, total)
		}
		if done == total {
			fmt.Fprintln(messages)
		}
	}
}

// load reads a data set and passes on what is unusual about it.
func load(ctx context.Context, m machine.Machine, name string, photos data.FolderOptions) (*data.Source, error) {
	photos.Progress = indexed()
	src, err := m.Data(name).Load(ctx, photos)
	if err == nil && src.Warning != "" {
		say("warning: %s", src.Warning)
	}
	return src, err
}
