package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"depthlab/experiments"
	"depthlab/harness"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/disk"
	"depthlab/harness/record"
	"depthlab/plots"
)

// question is a file and the profile of it that runs here.
type question struct {
	*experiments.Question
	plan *experiments.Plan
	dir  string // results/NAME/PROFILE
}

// choose loads a question and its profile; reasons says why not the ones
// before it.
func (c *call) choose(file string) (q question, reasons []string, err error) {
	if q.Question, err = experiments.Load(file); err != nil {
		return q, nil, err
	}
	have, _ := c.machine().Have()
	if q.plan, reasons, err = q.Choose(have, *c.profile); err != nil {
		return q, nil, usageError{err}
	}
	q.dir = filepath.Join(c.machine().Root, "results", q.plan.Name, q.plan.Profile)
	return q, reasons, nil
}

// diverted says that what C libraries print goes to a log already.
var diverted bool

// deviceFlags are the options of commands that compute.
type deviceFlags struct{ name, precision, plugin *string }

func (c *call) deviceFlags() deviceFlags {
	return deviceFlags{
		c.String("device", "auto", "auto, ref, onednn or xla"),
		c.String("precision", "", "fp32, tf32 (xla) or bf16, in place of the file's"),
		c.plugin(),
	}
}

func (d deviceFlags) check() error {
	if !slices.Contains([]string{"auto", "ref", "onednn", "xla"}, *d.name) {
		return usage("--device %q: expected auto, ref, onednn or xla", *d.name)
	}
	if !slices.Contains([]string{"", "auto", "fp32", "tf32", "bf16"}, *d.precision) {
		return usage("--precision %q: expected auto, fp32, tf32 or bf16", *d.precision)
	}
	return nil
}

func (d deviceFlags) open(m harness.Machine) (device.Device, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	m.Plugin = *d.plugin
	if m.Device(*d.name) == "xla" {
		if err := divert(m); err != nil {
			return nil, err
		}
	}
	dev, warning, err := m.Open(*d.name)
	if warning != "" {
		say("warning: %s", warning)
	}
	return dev, err
}

// openAll opens a device n times over, for as many runs at a time.
func (d deviceFlags) openAll(m harness.Machine, n int) (all []device.Device, err error) {
	if err := d.several(m, n); err != nil {
		return nil, err
	}
	for range n {
		dev, err := d.open(m)
		if err != nil {
			return nil, errors.Join(err, closeAll(all))
		}
		all = append(all, dev)
	}
	return all, nil
}

// several refuses more than one run at a time where they would be in each
// other's way.
func (d deviceFlags) several(m harness.Machine, n int) error {
	m.Plugin = *d.plugin
	if n > 1 && m.Device(*d.name) != "xla" {
		return usage("--jobs %d: only the device xla trains several nets at a time; on the others a single one uses all CPUs", n)
	}
	return nil
}

func closeAll(devices []device.Device) error {
	var all []error
	for _, dev := range devices {
		all = append(all, dev.Close())
	}
	return errors.Join(all...)
}

// open gives the device and the data that the plan's runs need, and settles
// their precision.
func (q question) open(ctx context.Context, m harness.Machine, flags deviceFlags) (device.Device, *data.Source, error) {
	dev, err := flags.open(m)
	if err != nil {
		return nil, nil, err
	}
	q.resolve(dev.Info(), *flags.precision)
	src, err := load(ctx, m, q.plan.Runs[0].Data, data.FolderOptions{Size: q.plan.Runs[0].Input.Crop})
	if err != nil {
		return nil, nil, errors.Join(err, dev.Close())
	}
	return dev, src, nil
}

// resolve settles the precision of the plan's runs.
func (q question) resolve(info device.Info, precision string) {
	for i := range q.plan.Runs {
		harness.Resolve(&q.plan.Runs[i], info, precision)
	}
}

func runQuestion(ctx context.Context, c *call) (err error) {
	flags := c.deviceFlags()
	board := c.Bool("tensorboard", false, "write event files for TensorBoard, too, in tensorboard/ beside the results")
	every := c.Int("validate", 0, "compare every N-th step with the plain Go device; slow, 0 for never")
	jobs := c.Int("jobs", 0, "runs to train at a time (xla); 0 measures on a GPU whether 2 or 4 are worth it, and is 1 elsewhere")
	files, err := c.files(1, "one question file")
	if err != nil {
		return err
	}
	if *jobs < 0 {
		return usage("--jobs %d: expected a number of runs", *jobs)
	}
	if err := flags.several(c.machine(), *jobs); err != nil {
		return err
	}
	if *every < 0 {
		return usage("--validate %d: expected a number of steps", *every)
	}
	q, reasons, err := c.choose(files[0])
	if err != nil {
		return err
	}
	say("%s", q.plan.Question)
	for _, r := range reasons {
		say("  not %s", r)
	}
	say("  profile %s, results in %s", q.plan.Profile, q.dir)
	if q.plan.Says != "" {
		say("  %s", q.plan.Says)
	}
	m := c.machine()
	if have, _ := m.Have(); q.plan.Runs[0].Data == "preview" && !have["cifar10"] {
		say("  CIFAR-10 was not found: ./run.sh data cifar10 downloads it; --data DIR or $DEPTHLAB_DATA name a folder that has it.")
	}
	dev, src, err := q.open(ctx, m, flags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	validated := func(dev device.Device, err error) (device.Device, error) {
		if *every > 0 && err == nil {
			dev = harness.Validating{Device: dev, Every: *every}
		}
		return dev, err
	}
	dev, _ = validated(dev, nil)
	if err := q.writeResolved(ctx); err != nil {
		return err
	}
	log, err := disk.Append(filepath.Join(q.dir, "log.txt"))
	if err != nil {
		return err
	}
	defer log.Close()
	s := &harness.Sweep{
		Plan: q.plan, Dir: q.dir, Data: src, Device: dev, Version: version,
		Open: func() (device.Device, error) { return validated(flags.open(m)) }, Jobs: *jobs,
		Progress: record.NewProgress(os.Stderr, log),
		Say:      say, TensorBoard: *board,
	}
	s.Progress.Every = 10 * time.Second
	trained := s.Run(ctx)
	s.Progress.Close()
	if errors.Is(trained, harness.ErrInterrupted) {
		return trained
	}
	return errors.Join(trained, q.draw(ctx))
}

// writeResolved keeps the question as it was asked, with every default.
func (q question) writeResolved(ctx context.Context) error {
	text, err := q.Resolved(q.plan.Profile)
	if err != nil {
		return err
	}
	return harness.Alone(ctx, q.dir, func() error { return disk.Write(filepath.Join(q.dir, "question.yaml"), text) })
}

// draw makes figures and tables of what the plan's runs recorded.
func (q question) draw(ctx context.Context) error {
	all, strays, err := record.ReadDir(filepath.Join(q.dir, "runs"))
	for _, path := range strays {
		say("%s is left out: a run's record has the run's name, and this looks like a copy", path)
	}
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, r := range q.plan.Runs {
		wanted[r.ID] = true
	}
	var records []*record.RunRecord
	for _, r := range all {
		if wanted[r.Start.ID] {
			records = append(records, r)
		}
	}
	if len(records) == 0 {
		return fmt.Errorf("%s holds no records to draw; ./run.sh %s trains the nets", q.dir, q.File)
	}
	origin, err := q.origin(records)
	if err != nil {
		return err
	}
	err = harness.Alone(ctx, q.dir, func() error {
		return plots.Draw(q.dir, plots.Question{Name: q.plan.Name, Title: q.plan.Question, Figures: q.plan.Figures, Origin: origin, Say: say}, records)
	})
	if err != nil {
		return err
	}
	table, err := os.ReadFile(filepath.Join(q.dir, "table.md"))
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\n", table)
	for _, f := range q.plan.Figures {
		fmt.Println(filepath.Join(q.dir, f+".png"))
	}
	return nil
}

// origin says what figures and tables are made from.
func (q question) origin(records []*record.RunRecord) ([]byte, error) {
	resolved, err := q.Resolved(q.plan.Profile)
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(harness.Origin{
		Question: q.plan.Question, Profile: q.plan.Profile, Resolved: fmt.Sprintf("%x", sha256.Sum256(resolved)),
		Drawn: version, Runs: harness.OriginOf(q.dir, records),
	}, "", "  ")
	return append(text, '\n'), err
}

func plotQuestion(ctx context.Context, c *call) error {
	files, err := c.files(1, "one question file")
	if err != nil {
		return err
	}
	if *c.profile != "" {
		q, _, err := c.choose(files[0])
		if err != nil {
			return err
		}
		return q.draw(ctx)
	}
	// Without a profile: all that have records, on whatever machine they were made.
	loaded, err := experiments.Load(files[0])
	if err != nil {
		return err
	}
	drawn := 0
	for _, p := range loaded.Plans {
		dir := filepath.Join(c.machine().Root, "results", p.Name, p.Profile)
		if _, err := os.Stat(filepath.Join(dir, "runs")); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := (question{loaded, p, dir}).draw(ctx); err != nil {
			return err
		}
		drawn++
	}
	if drawn == 0 {
		return fmt.Errorf("%s has no records yet; ./run.sh %s trains the nets", loaded.Name, files[0])
	}
	return nil
}

func schema(_ context.Context, c *call) error {
	if _, err := c.files(0, "no file"); err != nil {
		return err
	}
	_, err := os.Stdout.Write(experiments.Schema())
	return err
}
