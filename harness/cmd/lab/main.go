// Command lab trains the nets of a question and draws its answer.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"depthlab/experiments"
	"depthlab/harness"
	"depthlab/harness/data"
)

// version is set by run.sh: git's description of the working tree.
var version = "unknown"

// command is one word of the command line.
type command struct {
	name, args, about string
	run               func(ctx context.Context, c *call) error
}

var commands []command

func init() { // a variable would refer to itself through help
	commands = []command{
		{"run", "FILE.yaml", "train what is missing, then plot (the word run may be left out)", runQuestion},
		{"plan", "FILE.yaml", "what would run here, how long and how large; trains nothing", planQuestion},
		{"plot", "FILE.yaml", "draw figures and tables again, from the records alone", plotQuestion},
		{"status", "[DIR]", "where every run stands whose results lie in or under a folder (results/), while others train or not", status},
		{"show", "FIGURE", "what a figure (PNG, SVG) or the tables beside it were made from", showOrigin},
		{"diff", "RUN RUN", "what differs between two runs (results/NAME/PROFILE/runs/ID.json)", diffRuns},
		{"doctor", "", "devices, libraries and data found, and what to do about what is missing", doctor},
		{"data", "cifar10", "download CIFAR-10 (163 MiB) into the project's data folder", fetchData},
		{"explain", "--net NET", "the layers of a net and its training Program; with --for, what a GPU would launch for it", explain},
		{"eval", "--net NET --weights FILE", "test weights on a data set", evalWeights},
		{"export", "--weights FILE --out FILE", "write weights as PyTorch's load_state_dict takes them", exportWeights},
		{"step", "FILE.yaml --net NET --out DIR", "write what the first training steps see and do, tensor by tensor", stepNet},
		{"bench", "", "time training steps, beside PyTorch (--against-torch) and JAX (--against-jax)", benchNets},
		{"gpu-check", "", "all that a device must show, in 9 minutes: devicetest, real nets against ref, resumed; speed; writes a report", gpuCheck},
		{"schema", "", "the JSON Schema of question files", schema},
	}
}

// call is a command's command line.
type call struct {
	*flag.FlagSet
	machine func() harness.Machine
	profile *string
	json    *bool
	rest    []string // the command line, to be parsed by files
}

// usageError is bad input of the user's: exit code 2.
type usageError struct{ error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	ctx, code := interruptible()
	err := dispatch(ctx, os.Args[1:])
	var complaints *experiments.Complaints
	var use usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, harness.ErrInterrupted):
		fmt.Fprintln(os.Stderr, "lab: stopped and saved; the same command goes on from here")
		os.Exit(code())
	case errors.As(err, &complaints), errors.As(err, &use):
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

// interruptible gives a context that ends with the first SIGINT or SIGTERM,
// so that the step under way is finished and saved; a second signal exits at
// once. The code is 128 and the signal's number.
func interruptible() (ctx context.Context, code func() int) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	first := 0
	go func() {
		for s := range signals {
			if first != 0 {
				os.Exit(first)
			}
			first = 128 + int(s.(syscall.Signal))
			cancel()
		}
	}()
	return ctx, func() int {
		if first == 0 {
			return 130
		}
		return first
	}
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

// newCall has the options that many commands share. The command line is parsed
// by files, so that options may stand before and behind file names.
func newCall(cmd command, args []string) *call {
	c := &call{FlagSet: flag.NewFlagSet(cmd.name, flag.ContinueOnError)}
	c.SetOutput(os.Stderr)
	c.Usage = func() {
		fmt.Fprintf(os.Stdout, "lab %s %s\n%s\n\n", cmd.name, cmd.args, cmd.about)
		c.SetOutput(os.Stdout)
		c.PrintDefaults()
	}
	dataDir := c.String("data", "", "folder of the CIFAR-10 binary files (else $DEPTHLAB_DATA, else .data/cifar10), or of ImageNet's train and val (else $DEPTHLAB_IMAGENET, else .data/imagenet)")
	c.machine = func() harness.Machine {
		m := harness.NewMachine(*dataDir)
		m.Say = say
		return m
	}
	c.profile = c.String("profile", "", "profile of the question; without it the first whose needs are met")
	c.json = c.Bool("json", false, "print JSON on standard output, and nothing else there")
	c.rest = args
	return c
}

// about adds to what --help says.
func (c *call) about(text string) {
	usage := c.Usage
	c.Usage = func() {
		usage()
		fmt.Fprintf(os.Stdout, "\n%s", text)
	}
}

// plugin is the option that names a PJRT plugin.
func (c *call) plugin() *string {
	return c.String("plugin", "", "PJRT plugin of the device xla: a shared library (else $DEPTHLAB_PJRT, else what is found)")
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
		if err := c.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usageError{err}
		}
		if c.NArg() == 0 {
			return files, nil
		}
		files = append(files, c.Arg(0))
		args = c.Args()[1:]
	}
}

// say prints a line to the user, on standard error so that standard output
// holds results only.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// indexed shows how far an index of photos is.
func indexed() func(done, total int) {
	last := time.Now()
	return func(done, total int) {
		if time.Since(last) > time.Second || done == total {
			last = time.Now()
			fmt.Fprintf(os.Stderr, "\rlooked into %d of %d photos", done, total)
		}
		if done == total {
			fmt.Fprintln(os.Stderr)
		}
	}
}

// load reads a data set and passes on what is unusual about it.
func load(ctx context.Context, m harness.Machine, name string, photos data.FolderOptions) (*data.Source, error) {
	photos.Progress = indexed()
	src, err := m.Load(ctx, name, photos)
	if err == nil && src.Warning != "" {
		say("warning: %s", src.Warning)
	}
	return src, err
}
