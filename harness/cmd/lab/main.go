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

// command is a command of lab.
type command struct {
	name, args, about string
	run               func(ctx context.Context, c *call) error
	saves             bool // after a signal it saves, then ends; others end at once
}

var commands []command

func init() { // as a variable's initial value it would be an initialization cycle, through help
	commands = []command{
		{"run", "FILE.yaml", "train what is missing, then plot (the word run may be left out)", runQuestion, true},
		{"plan", "FILE.yaml", "estimate time, memory and disk of each run on this machine; trains nothing", planQuestion, true},
		{"prepare", "FILE.yaml", "fetch and check all that the question needs, so that the folder can run it without a network", prepareQuestion, true},
		{"submit", "FILE.yaml [-- SBATCH OPTIONS]", "train on a cluster: an array of Slurm jobs that share the runs, and one that plots", submitQuestion, false},
		{"plot", "FILE.yaml", "draw figures and tables again, from the records alone", plotQuestion, true},
		{"status", "[DIR]", "how far each run is whose results are in or under a folder (default results/); also while it trains", status, false},
		{"watch", "[DIR]", "serve the pages of questions for the browser, live while runs train here or elsewhere (default results/)", watch, false},
		{"runs", "", "list the runs in the store: state, errors, size, age, and the questions that use them", listRuns, false},
		{"rm", "RUN", "remove a run from the store, by the name that runs lists", removeRun, false},
		{"gc", "", "remove the runs that no question uses; lists them first, and asks", collectRuns, false},
		{"import", "DIR", "copy the runs of a question's folder (results/NAME/PROFILE) into the store, or with --into into another", importRuns, false},
		{"pack", "DIR -o FILE.zip", "pack the results of a question (results/NAME/PROFILE) into one file, to be sent to somebody", packResults, false},
		{"unpack", "FILE.zip", "check packed results, copy them into the store, and draw them", unpackResults, true},
		{"show", "FIGURE", "print what a figure (PNG, SVG) or a table was made from", showOrigin, false},
		{"diff", "A B", "print what differs between two runs (results/runs/RUN), or run by run between two questions (results/NAME/PROFILE)", diffRuns, false},
		{"doctor", "", "list the devices, libraries and data on this machine, and what to do about missing ones", doctor, false},
		{"data", strings.Join(data.Fetchable(), "|"), "download a data set into the project's data folder; resumes, and verifies the files", fetchData, true},
		{"explain", "--net NET", "print the layers of a net and its training Program; with --for, the kernels that a GPU would launch", explain, false},
		{"eval", "--net NET --weights FILE", "test weights on a data set", evalWeights, true},
		{"export", "--weights FILE --out FILE", "convert weights for PyTorch's load_state_dict", exportWeights, false},
		{"step", "FILE.yaml --net NET --out DIR", "write the tensors of the first training steps: images, gradients, weights", stepNet, true},
		{"bench", "", "time training steps, beside PyTorch (--against-torch) and JAX (--against-jax)", benchNets, true},
		{"gpu-check", "", "check a device in 9 minutes: devicetest, real nets against ref, resuming, speed; writes a report", gpuCheck, true},
		{"schema", "", "print the JSON Schema of question files", schema, false},
	}
}

// call is the command line of a command. Options are registered by the commands that read
// them, so that the others reject them.
type call struct {
	*flag.FlagSet
	help    func()
	dataDir string // --data
	plugin  string // --plugin
	profile string // --profile
	changes experiments.Changes
	json    bool     // --json
	gpus    bool     // the question will run on a machine with GPUs
	rest    []string // arguments, which files and operands parse
}

// usageError is an error of the user's input: exit code 2.
type usageError struct{ error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	ctx := interruptible()
	code := exitCode(ctx, dispatch(ctx, os.Args[1:]))
	messages.flush(ctx)
	os.Exit(code)
}

// exitCode prints the command's error, and returns the exit code of the process.
func exitCode(ctx context.Context, err error) int {
	var complaints *experiments.Complaints
	var use usageError
	var lacking *machine.NotFoundError
	var up timeUp
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &up):
		say("lab: %v; stopped and saved, the same command resumes from here", up)
		return codeTimeUp
	case errors.Is(err, harness.ErrInterrupted):
		say("lab: stopped and saved; the same command resumes from here")
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
	return usage("there is no command %q; ./run.sh --help lists them, and a question is a file that ends in .yaml", name)
}

func help(w io.Writer) {
	fmt.Fprint(w, "lab trains plain and residual nets of growing depth, and draws figures and tables of the results.\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-38s %s\n", c.name+" "+c.args, c.about)
	}
	fmt.Fprintf(w, "  %-38s %s\n", "test [--all]", "run the short tests, or all (./run.sh only)")
	fmt.Fprint(w, "\n./run.sh COMMAND --help lists the options of a command. With --no-download, anywhere, ./run.sh fetches no libraries.\n")
}

// newCall returns a call without options. The arguments are parsed by files or operands, which
// accept options before and after file names.
func newCall(cmd command, args []string) *call {
	c := &call{FlagSet: flag.NewFlagSet(cmd.name, flag.ContinueOnError), rest: args}
	c.SetOutput(io.Discard) // main prints the error
	c.Usage = func() {}
	c.help = func() {
		fmt.Fprintf(os.Stdout, "lab %s %s\n%s\n\n", cmd.name, cmd.args, cmd.about)
		c.SetOutput(os.Stdout)
		c.PrintDefaults()
	}
	return c
}

// about adds a text to --help.
func (c *call) about(text string) {
	help := c.help
	c.help = func() {
		help()
		fmt.Fprintf(os.Stdout, "\n%s", text)
	}
}

// dataOption registers --data, the folder of a data set.
func (c *call) dataOption() {
	c.StringVar(&c.dataDir, "data", "", "folder of the data set: CIFAR's files or archive, ImageNet's train and val, or your own images (default: "+dataHomes(dataset.InFiles())+")")
}

// dataHomes describes where data sets are looked for, and downloaded to, without --data.
func dataHomes(names []string) string {
	var all []string
	for _, name := range names {
		all = append(all, fmt.Sprintf("%s: $%s, else .data/%s", name, dataset.Of(name).Env, name))
	}
	return strings.Join(all, "; ")
}

// pluginOption registers --plugin, the path of a PJRT plugin.
func (c *call) pluginOption() {
	c.StringVar(&c.plugin, "plugin", "", "PJRT plugin of the device xla: a shared library (default: $DEPTHLAB_PJRT, else the one that is found)")
}

func (c *call) profileOption(byDefault string) {
	c.StringVar(&c.profile, "profile", "", "profile of the question (default: "+byDefault+")")
}

func (c *call) jsonOption() {
	c.BoolVar(&c.json, "json", false, "print JSON on standard output, and nothing else there")
}

// machine returns this machine with the data folder and the plugin of the options.
func (c *call) machine() machine.Machine {
	m := machine.New(c.dataDir)
	m.Plugin, m.Say = c.plugin, say
	return m
}

// files parses the arguments and returns those that are not options. There must be n; what
// describes them for the error.
func (c *call) files(n int, what string) ([]string, error) {
	files, err := c.operands()
	if err == nil && len(files) != n {
		err = usage("%s: expected %s, got %q; lab %s --help", c.Name(), what, strings.Join(files, " "), c.Name())
	}
	return files, err
}

// operands parses the arguments and returns those that are not options.
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

// wrongOption adds the command's options to an error of package flag.
func (c *call) wrongOption(err error) error {
	problem := err.Error()
	if name, unknown := strings.CutPrefix(problem, "flag provided but not defined: -"); unknown {
		problem = "there is no option --" + strings.TrimPrefix(name, "-")
	}
	names := []string{"--help"}
	c.VisitAll(func(f *flag.Flag) { names = append(names, "--"+f.Name) })
	return usage("%s: %s; expected some of %s", c.Name(), problem, strings.Join(names, ", "))
}

// refuse returns a usageError with the reason if one of the options was given.
func (c *call) refuse(reason string, options ...string) (err error) {
	c.Visit(func(f *flag.Flag) {
		if slices.Contains(options, f.Name) {
			err = usage("--%s: %s", f.Name, reason)
		}
	})
	return err
}

// indexed returns a function that prints how many photos have been indexed.
func indexed() func(done, total int) {
	last := time.Now()
	return func(done, total int) {
		if time.Since(last) > time.Second || done == total {
			last = time.Now()
			fmt.Fprintf(messages, "\rindexed %d of %d photos", done, total)
		}
		if done == total {
			fmt.Fprintln(messages)
		}
	}
}

// load reads a data set and prints the warning that it may have.
func load(ctx context.Context, m machine.Machine, name string, photos data.FolderOptions) (*data.Source, error) {
	photos.Progress = indexed()
	src, err := m.Data(name).Load(ctx, photos)
	if err == nil && src.Warning != "" {
		say("warning: %s", src.Warning)
	}
	return src, err
}
