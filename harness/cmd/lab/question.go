package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

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

// choose loads a question and its profile; missing says why not the ones
// before it. Only what is plainly absent is a reason for another profile: what
// was named, and is not what it should be, ends the command.
func (c *call) choose(file string) (q question, missing []experiments.Missing, err error) {
	if q.Question, err = experiments.Load(file); err != nil {
		return q, nil, err
	}
	have, why := c.machine().Have()
	q.plan, missing, err = q.Choose(have, c.profile)
	for _, x := range missing {
		if harness.Promised(why[x.Need]) {
			return q, nil, why[x.Need]
		}
	}
	if err != nil {
		for _, need := range needs(missing) {
			err = fmt.Errorf("%w\n%w", err, why[need])
		}
		return q, nil, usageError{err}
	}
	if set := q.plan.Runs[0].Data; c.dataDir != "" && !slices.Contains(q.plan.Needs, set) {
		others := ""
		for _, x := range missing {
			others += "; not " + x.String()
		}
		return q, nil, usage("--data %s: profile %s makes its images itself (data: %s) and would not read it%s; leave --data out, or choose another with --profile",
			c.dataDir, q.plan.Profile, set, others)
	}
	q.dir = filepath.Join(c.machine().Root, "results", q.plan.Name, q.plan.Profile)
	return q, missing, nil
}

// reasons tells why not other profiles, and of data where they were looked for
// and how to get them.
func (c *call) reasons(missing []experiments.Missing) (lines []string) {
	for _, x := range missing {
		lines = append(lines, "not "+x.String())
	}
	_, why := c.machine().Have()
	for _, need := range needs(missing) {
		if need == "cifar10" || need == "imagenet" {
			lines = append(lines, why[need].Error())
		}
	}
	return lines
}

// firstMet is which profile is taken where none is named.
const firstMet = "the first whose needs are met"

// needs are what is missing, each once.
func needs(missing []experiments.Missing) (all []string) {
	for _, x := range missing {
		if !slices.Contains(all, x.Need) {
			all = append(all, x.Need)
		}
	}
	return all
}

// diverted says that what C libraries print goes to a log already.
var diverted bool

// deviceFlags are the options of commands that compute.
type deviceFlags struct{ name, precision *string }

func (c *call) deviceFlags() deviceFlags {
	c.pluginOption()
	return deviceFlags{
		c.String("device", "auto", "auto, ref, onednn or xla"),
		c.String("precision", "", "fp32, tf32 (xla) or bf16, in place of the file's"),
	}
}

// check refuses what no device can meet, before anything is done.
func (d deviceFlags) check(m harness.Machine) error {
	if !slices.Contains(harness.Devices, *d.name) {
		return usage("--device %q: expected one of %s", *d.name, strings.Join(harness.Devices, ", "))
	}
	if !slices.Contains([]string{"", "auto", "fp32", "tf32", "bf16"}, *d.precision) {
		return usage("--precision %q: expected one of auto, fp32, tf32, bf16", *d.precision)
	}
	name, err := m.Device(*d.name)
	if err != nil {
		return err
	}
	if m.Plugin != "" && name != "xla" {
		return usage("--plugin %s: only the device xla reads it, and --device is %s; add --device xla, or leave --plugin out", m.Plugin, *d.name)
	}
	if _, err := m.XLA(); name == "xla" && harness.Promised(err) {
		return err
	}
	return nil
}

// open opens the device. One that was asked for by name, and cannot be had, is
// an error of the command line.
func (d deviceFlags) open(m harness.Machine) (device.Device, error) {
	if err := d.check(m); err != nil {
		return nil, err
	}
	if name, _ := m.Device(*d.name); name == "xla" {
		if err := divert(m); err != nil {
			return nil, err
		}
	}
	dev, warning, err := m.Open(*d.name)
	if warning != "" {
		say("warning: %s", warning)
	}
	if err != nil {
		if *d.name != "auto" {
			err = usageError{err}
		}
		return nil, err
	}
	if p := *d.precision; p != "" && p != "auto" {
		if err := computes(dev.Info(), p); err != nil {
			return nil, errors.Join(err, dev.Close())
		}
	}
	return dev, nil
}

// settle is the precision that was asked for on the command line, and fp32
// where none was.
func (d deviceFlags) settle(info device.Info) device.Precision {
	var run experiments.Run
	run.Precision = string(device.FP32)
	harness.Resolve(&run, "", info, *d.precision)
	return device.Precision(run.Precision)
}

// computes refuses a precision that a device does not compute in here.
func computes(info device.Info, precision string) error {
	can := harness.Precisions(info)
	if slices.Contains(can, device.Precision(precision)) {
		return nil
	}
	return usage("precision %s: the device %s on %s computes in %s; leave it out, or say auto", precision, info.Name, info.Hardware, strings.Trim(fmt.Sprint(can), "[]"))
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
	if err := d.check(m); err != nil {
		return err
	}
	if name, _ := m.Device(*d.name); n > 1 && name != "xla" {
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

// resolve settles the precision of the plan's runs. That the device does not
// compute in it is no matter for runs that are finished.
func (q question) resolve(info device.Info, precision string) {
	for i := range q.plan.Runs {
		harness.Resolve(&q.plan.Runs[i], q.dir, info, precision)
	}
}

// computable refuses runs in a precision that the device does not compute in.
func (q question) computable(info device.Info) error {
	for _, run := range q.plan.Runs {
		if err := computes(info, run.Precision); err != nil {
			return err
		}
	}
	return nil
}

func runQuestion(ctx context.Context, c *call) (err error) {
	flags := c.deviceFlags()
	c.dataOption()
	c.profileOption(firstMet)
	board := c.Bool("tensorboard", false, "write event files for TensorBoard, too, in tensorboard/ beside the results")
	every := c.Int("validate", 0, "compare every N-th step with the plain Go device; slow, 0 for never")
	replace := c.Bool("replace", false, "move runs that were made with another recipe, precision or data to superseded/, and train them anew")
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
	q, missing, err := c.choose(files[0])
	if err != nil {
		return err
	}
	say("%s", q.plan.Question)
	for _, line := range c.reasons(missing) {
		say("  %s", line)
	}
	say("  profile %s, results in %s", q.plan.Profile, q.dir)
	if q.plan.Says != "" {
		say("  %s", q.plan.Says)
	}
	m := c.machine()
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
	s := &harness.Sweep{
		Plan: q.plan, Dir: q.dir, Data: src, Device: dev, Version: version,
		Open: func() (device.Device, error) { return validated(flags.open(m)) }, Jobs: *jobs,
		Say: say, TensorBoard: *board, Replace: *replace,
	}
	if err := agree(s); err != nil {
		return err
	}
	if err := q.writeResolved(ctx); err != nil {
		return err
	}
	log, err := disk.Append(filepath.Join(q.dir, "log.txt"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.Progress = record.NewProgress(messages, log)
	s.Say = func(format string, args ...any) {
		say(format, args...)
		fmt.Fprintf(log, format+"\n", args...)
	}
	s.Progress.Every = 10 * time.Second
	trained := s.Run(ctx)
	s.Progress.Close()
	if errors.Is(trained, harness.ErrInterrupted) {
		return trained
	}
	return errors.Join(trained, q.draw(ctx))
}

// agree asks before finished or begun runs are set aside for others. Where nobody
// can be asked, --replace must have said so.
func agree(s *harness.Sweep) error {
	lines, err := s.Superseded()
	if err != nil || len(lines) == 0 || s.Replace {
		return err
	}
	say("%d of %d runs in %s were made otherwise, and would be moved to superseded/ and trained anew:\n  %s", len(lines), len(s.Plan.Runs), s.Dir, strings.Join(lines, "\n  "))
	if !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stderr.Fd())) {
		return usage("nothing was changed; --replace sets these runs aside, and a copy of the file under another name has results of its own")
	}
	fmt.Fprint(os.Stderr, "Set them aside? [y/N] ")
	answer, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	if s.Replace = strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "y"); !s.Replace {
		return usage("nothing was changed")
	}
	return nil
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
	text, err := json.MarshalIndent(origin, "", "  ")
	if err != nil {
		return err
	}
	err = harness.Alone(ctx, q.dir, func() error {
		return plots.Draw(q.dir, plots.Question{
			Name: q.plan.Name, Title: q.plan.Question, Figures: q.plan.Figures, Origin: append(text, '\n'), Made: origin.Made(), Say: say,
		}, records)
	})
	if err != nil {
		return err
	}
	table, err := os.ReadFile(filepath.Join(q.dir, "table.md"))
	if err != nil {
		return err
	}
	defer endAtOnce(ctx)() // the reader may be a pager
	fmt.Printf("\n%s\n", table)
	for _, f := range q.plan.Figures {
		fmt.Println(filepath.Join(q.dir, f+".png"))
	}
	return nil
}

// origin says what figures and tables are made from.
func (q question) origin(records []*record.RunRecord) (harness.Origin, error) {
	resolved, err := q.Resolved(q.plan.Profile)
	return harness.Origin{
		Question: q.plan.Question, Profile: q.plan.Profile, Resolved: fmt.Sprintf("%x", sha256.Sum256(resolved)),
		Drawn: version, Runs: harness.OriginOf(q.dir, records),
	}, err
}

func plotQuestion(ctx context.Context, c *call) error {
	c.profileOption("all that have records")
	files, err := c.files(1, "one question file")
	if err != nil {
		return err
	}
	loaded, err := experiments.Load(files[0])
	if err != nil {
		return err
	}
	results := func(p *experiments.Plan) question {
		return question{loaded, p, filepath.Join(c.machine().Root, "results", p.Name, p.Profile)}
	}
	if c.profile != "" {
		plan, _, err := loaded.Choose(nil, c.profile)
		if err != nil {
			return usageError{err}
		}
		return results(plan).draw(ctx)
	}
	drawn := 0
	for _, p := range loaded.Plans { // on whatever machine they were made
		q := results(p)
		if _, err := os.Stat(filepath.Join(q.dir, "runs")); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := q.draw(ctx); err != nil {
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
