// The commands run, plot and schema, and the options that choose a device.

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
	"strconv"
	"strings"
	"time"

	"depthlab/experiments"
	"depthlab/experiments/dataset"
	"depthlab/harness"
	"depthlab/harness/check"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/disk"
	"depthlab/harness/machine"
	"depthlab/harness/model"
	"depthlab/harness/pages"
	"depthlab/harness/record"
	"depthlab/harness/slurm"
	"depthlab/harness/store"
	"depthlab/harness/sweep"
	"depthlab/harness/train"
	"depthlab/plots"
)

// question is a question and the profile that was chosen.
type question struct {
	*experiments.Question
	plan *experiments.Plan
	view store.View // results/NAME/PROFILE

	folders map[string]store.Folder // folders of the plan's runs, by run ID; nil before place
}

// choose loads a question and chooses its profile: the one that --profile names, else the first
// whose needs this machine meets. missing holds the unmet needs of the profiles before it.
// Something that an option or a variable names and that is not usable is an error, not a
// reason for another profile.
func choose(c *call, file string) (q question, missing []experiments.Missing, err error) {
	if q.Question, err = loadQuestion(c, file); err != nil {
		return q, nil, err
	}
	have, why := c.have()
	q.plan, missing, err = q.Choose(have, c.profile)
	if q.plan != nil && q.plan.Wrong != nil {
		return q, nil, q.plan.Wrong
	}
	for _, x := range missing {
		if machine.Promised(why[x.Need]) {
			return q, nil, why[x.Need]
		}
	}
	if err != nil {
		for _, need := range needs(missing) {
			err = fmt.Errorf("%w\n%w", err, why[need])
		}
		return q, nil, usageError{err}
	}
	set := q.plan.Runs[0].Data
	if c.dataDir != "" && why[set] != nil {
		return q, nil, why[set]
	}
	if c.dataDir != "" && !slices.Contains(q.plan.Needs, set) {
		others := ""
		for _, x := range missing {
			others += "; not " + x.String()
		}
		return q, nil, usage("--data %s: the images of profile %s are generated (data: %s), and it would not read the folder%s; leave --data out, or choose another profile with --profile",
			c.dataDir, q.plan.Profile, set, others)
	}
	q.view, err = viewOf(c, file, q.plan)
	return q, missing, err
}

// have is what the machine has, and why it lacks the rest. With --device of another device than a
// GPU it has no GPU.
func (c *call) have() (have map[string]bool, why map[string]error) {
	have, why = c.machine().Have()
	have["gpu"] = have["gpu"] || c.gpus
	if f := c.Lookup("device"); f != nil && have["gpu"] {
		if k, err := machine.KindOf(f.Value.String()); err == nil && k.Need != "gpu" {
			have["gpu"], why["gpu"] = false, fmt.Errorf("--device %s is not a GPU", k.Name)
		}
	}
	return have, why
}

// viewOf returns the folder of a plan's results. The results of a question.yaml in such a folder
// go to the same folder, or with changes of the command line to one beside it. Two different
// files of the same name cannot share a folder: the second one is a usageError.
func viewOf(c *call, file string, p *experiments.Plan) (store.View, error) {
	dir := filepath.Dir(file)
	if name := filepath.Base(dir); name == "." || name == ".." { // a folder beside it has the name, and more
		var err error
		if dir, err = filepath.Abs(dir); err != nil {
			return "", err
		}
	}
	own := store.View(dir)
	if _, runs, err := own.Read(); filepath.Base(file) == filepath.Base(own.Question()) && err == nil && len(runs) > 0 {
		return own + store.View(strings.TrimPrefix(p.Folder, p.Profile)), nil
	}
	v := c.machine().Store().View(p.Name, p.Folder)
	other, err := v.Asked()
	if err != nil || other == "" {
		return v, nil // a damaged list is overwritten
	}
	theirs, err := os.Stat(other)
	if err != nil {
		return v, nil // it was moved or removed
	}
	if ours, err := os.Stat(file); err == nil && !os.SameFile(ours, theirs) {
		return v, usage("%s: %[3]s has the results of another file, %[2]s; rename one of the two files (runs that both ask for are trained only once all the same)", file, other, v)
	}
	return v, nil
}

// notChosen returns lines that say why the earlier profiles were not chosen, and for data where it
// was looked for and how to get it.
func notChosen(c *call, missing []experiments.Missing) (lines []string) {
	for _, x := range missing {
		lines = append(lines, "not "+x.String())
	}
	_, why := c.have()
	for _, need := range needs(missing) {
		if dataset.Of(need).Name != "" || need == "gpu" && !errors.Is(why[need], machine.ErrNoDriver) {
			lines = append(lines, why[need].Error())
		}
	}
	return lines
}

// firstMet describes the profile that is chosen without --profile.
const firstMet = "the first whose needs are met"

// needs lists the missing needs, each once.
func needs(missing []experiments.Missing) (all []string) {
	for _, x := range missing {
		if !slices.Contains(all, x.Need) {
			all = append(all, x.Need)
		}
	}
	return all
}

// diverted says that the output of C libraries goes to a log already.
var diverted bool

// threadsSet says that the number of threads was set already, and the message about a device's
// old name printed.
var threadsSet bool

// deviceFlags are the options of commands that compute.
type deviceFlags struct {
	name, precision *string
	threads         *int
	devices         *string // nil for a command that uses only the first device
	replicas        *int
}

func addDeviceFlags(c *call) deviceFlags {
	c.pluginOption()
	return deviceFlags{
		name:      c.String("device", "auto", oneOf(machine.DeviceNames())),
		precision: c.String("precision", "", "fp32, tf32 (xla) or bf16, instead of the file's"),
		threads:   c.Int("threads", 0, "threads that compute; 0: $OMP_NUM_THREADS, else all that affinity and CPU quota allow"),
	}
}

// addPlaceFlags are deviceFlags of commands that can use several devices.
func addPlaceFlags(c *call) deviceFlags {
	d := addDeviceFlags(c)
	d.devices = c.String("devices", "", "of xla: the devices to use, by their numbers (0,2) (default: all GPUs that the plugin lists, with a run on each)")
	d.replicas = c.Int("replicas", 1, "devices that share each step of a run (data parallel)")
	return d
}

// places returns the places of the options, on each of which a run is trained at the same time.
func (d deviceFlags) places(m machine.Machine) ([]machine.Place, error) {
	if d.devices == nil {
		return []machine.Place{nil}, nil
	}
	if *d.replicas < 1 {
		return nil, usage("--replicas %d: expected a number of devices", *d.replicas)
	}
	var chosen []int
	if *d.devices != "" {
		for _, word := range strings.Split(*d.devices, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(word))
			if err != nil {
				return nil, usage("--devices %s: expected numbers separated by commas, such as 0,2", *d.devices)
			}
			chosen = append(chosen, n)
		}
	}
	if err := d.check(m); err != nil {
		return nil, err
	}
	if err := d.divert(m); err != nil {
		return nil, err
	}
	places, err := m.Places(*d.name, chosen, *d.replicas)
	if err != nil && (chosen != nil || *d.replicas > 1) {
		err = usageError{err}
	}
	return places, err
}

// share returns a usageError if the replicas cannot share the batch of one of the plan's runs.
func (d deviceFlags) share(p *experiments.Plan) error {
	for _, run := range p.Runs {
		if err := model.Share(run, *d.replicas); err != nil {
			return usageError{err}
		}
	}
	return nil
}

// oneOf joins words as "a, b or c".
func oneOf(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// devicesThat lists the names of the devices for which is returns true.
func devicesThat(is func(k machine.Kind) bool) string {
	var names []string
	for _, k := range machine.Devices {
		if is(k) {
			names = append(names, k.Name)
		}
	}
	return strings.Join(names, ", ")
}

// check returns a usageError for options that the device does not support, and sets the number
// of threads. It does not open the device.
func (d deviceFlags) check(m machine.Machine) error {
	k, err := m.Kind(*d.name)
	switch {
	case machine.Promised(err):
		return err
	case err != nil:
		return usage("--%w", err)
	}
	if !threadsSet {
		if slices.Contains(k.Old, *d.name) {
			say("the device %s is now called %s", *d.name, k.Name)
		}
		if err := m.UseThreads(*d.threads); err != nil {
			return err
		}
		threadsSet = true
	}
	if *d.threads > 0 && k.Plugin {
		return usage("--threads %d: the device %s chooses its threads itself; leave it out", *d.threads, k.Name)
	}
	if !slices.Contains([]string{"", "auto", "fp32", "tf32", "bf16"}, *d.precision) {
		return usage("--precision %q: expected one of auto, fp32, tf32, bf16", *d.precision)
	}
	if !k.Plugin {
		if m.Plugin != "" {
			only := devicesThat(func(k machine.Kind) bool { return k.Plugin })
			return usage("--plugin %s: only the device %s uses it, and --device is %s; add --device %[2]s, or leave --plugin out", m.Plugin, only, *d.name)
		}
		return nil
	}
	if _, err := k.Find(m); machine.Promised(err) {
		return err
	}
	return nil
}

// open opens the device at a place. If --device names it and it cannot be opened, the error is
// a usageError.
func (d deviceFlags) open(m machine.Machine, p machine.Place) (device.Device, error) {
	if err := d.check(m); err != nil {
		return nil, err
	}
	if err := d.divert(m); err != nil {
		return nil, err
	}
	dev, warning, err := m.OpenAt(*d.name, p)
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

// divert redirects the output of the device's libraries to a log, if they print.
func (d deviceFlags) divert(m machine.Machine) error {
	if k, _ := m.Kind(*d.name); !k.Prints {
		return nil
	}
	return divert(m)
}

// settle returns the precision of --precision, fp32 by default, resolved for the device.
func (d deviceFlags) settle(info device.Info) device.Precision {
	var run experiments.Run
	run.Precision = string(device.FP32)
	model.Resolve(&run, info, *d.precision)
	return device.Precision(run.Precision)
}

// computes returns a usageError if a device of this machine does not support a precision.
func computes(info device.Info, precision string) error {
	can := machine.Precisions(info)
	if slices.Contains(can, device.Precision(precision)) {
		return nil
	}
	return usage("precision %s: the device %s on %s computes in %s; choose one of these or auto, or leave it out", precision, info.Name, info.Hardware, list(can))
}

// list joins precisions: "fp32, bf16".
func list(all []device.Precision) string {
	var names []string
	for _, p := range all {
		names = append(names, string(p))
	}
	return strings.Join(names, ", ")
}

// openAll opens the device n times, for n runs at a time.
func (d deviceFlags) openAll(m machine.Machine, n int) (all []device.Device, err error) {
	if err := d.several(m, n); err != nil {
		return nil, err
	}
	for range n {
		dev, err := d.open(m, nil)
		if err != nil {
			return nil, errors.Join(err, closeAll(all))
		}
		all = append(all, dev)
	}
	return all, nil
}

// several returns a usageError if n runs at a time are not possible on the device.
func (d deviceFlags) several(m machine.Machine, n int) error {
	if err := d.check(m); err != nil {
		return err
	}
	if k, _ := m.Kind(*d.name); n > 1 && !k.Several {
		only := devicesThat(func(k machine.Kind) bool { return k.Several })
		return usage("--jobs %d: the device %s trains one net at a time; these train several: %s", n, k.Name, only)
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

// open opens the device and loads the data of the plan's runs, and places the runs.
func (q *question) open(ctx context.Context, m machine.Machine, flags deviceFlags, p machine.Place) (device.Device, *data.Source, error) {
	dev, err := flags.open(m, p)
	if err != nil {
		return nil, nil, err
	}
	src, err := load(ctx, m, q.plan.Runs[0].Data, model.Reading(q.plan.Runs[0].Input))
	if err != nil {
		return nil, nil, errors.Join(err, dev.Close())
	}
	if err := q.place(src.Checksum, dev.Info(), *flags.precision); err != nil {
		return nil, nil, errors.Join(err, dev.Close())
	}
	return dev, src, nil
}

// place sets the precision of the plan's runs and their folders in the store. The device need
// not support the precision of runs that are finished; computable checks the others.
func (q *question) place(checksum string, info device.Info, precision string) error {
	if precision != "" && precision != "auto" {
		if err := computes(info, precision); err != nil {
			return err
		}
	}
	q.folders = sweep.Place(q.plan, q.view.Store(), checksum, info, precision)
	return nil
}

// computable returns a usageError if the device does not support the precision of a run that the
// store does not have.
func (q question) computable(info device.Info) error {
	for _, run := range q.plan.Runs {
		if found, err := q.folders[run.ID].Find(); err == nil && found != store.Nothing {
			continue // finished, or begun on another machine: the sweep decides about it
		}
		if err := computes(info, run.Precision); err != nil {
			return err
		}
	}
	return nil
}

func runQuestion(ctx context.Context, c *call) (err error) {
	o := addRunOptions(c)
	task := c.Bool("task", false, "run as a task of a batch job, which submit starts: skip runs that other processes train, and draw nothing")
	files, err := c.files(1, "one question file")
	if err != nil {
		return err
	}
	if err := o.check(c.machine()); err != nil {
		return err
	}
	ctx, stop, err := inTime(ctx, *o.limit, *task)
	if err != nil {
		return err
	}
	defer stop()
	defer func() { err = inTimeError(ctx, err) }()
	q, missing, err := choose(c, files[0])
	if err != nil {
		return err
	}
	reasons := notChosen(c, missing)
	if err := checkFallback(c, q, reasons); err != nil {
		return err
	}
	if err := o.device.share(q.plan); err != nil {
		return err
	}
	m := c.machine()
	places, err := o.device.places(m)
	if err != nil {
		return err
	}
	say("%s", q.plan.Question)
	for _, line := range reasons {
		say("  %s", line)
	}
	say("  profile %s, results in %s", q.asked(), q.view)
	if text := q.Overridden(q.plan); text != "" {
		say("  %s", text)
	}
	if q.plan.Says != "" {
		say("  %s", q.plan.Says)
	}
	dev, src, err := q.open(ctx, m, o.device, places[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	validated := func(dev device.Device, err error) (device.Device, error) {
		if *o.every > 0 && err == nil {
			dev = check.Validating{Device: dev, Every: *o.every}
		}
		return dev, err
	}
	dev, _ = validated(dev, nil)
	if err := takeOver(q.view); err != nil {
		return err
	}
	if err := q.write(ctx); err != nil {
		return err
	}
	log, err := disk.Append(q.view.Log())
	if err != nil {
		return err
	}
	defer log.Close()
	s := &sweep.Sweep{
		Plan: q.plan, File: q.File, Folders: q.folders, View: q.view, Data: src, Device: dev, Version: version,
		Open:   func(place int) (device.Device, error) { return validated(o.device.open(m, places[place])) },
		Places: len(places), Jobs: *o.jobs, Leave: *task,
		Progress: record.NewProgress(messages, log, train.Now), TensorBoard: *o.board,
		Say: func(format string, args ...any) {
			say(format, args...)
			fmt.Fprintf(log, format+"\n", args...)
		},
	}
	if *task {
		s.Tasks = slurm.This().Tasks
	}
	s.Progress.Every = 10 * time.Second
	trained := s.Run(ctx)
	s.Progress.Close()
	if *task || errors.Is(trained, harness.ErrInterrupted) {
		return trained
	}
	return errors.Join(trained, q.draw(ctx))
}

// takeOver copies runs of a folder from before there was a store into the store, once.
func takeOver(v store.View) error {
	if !store.Former(v) {
		return nil
	}
	n, err := store.Import(string(v), v.Store(), false, say)
	if n > 0 {
		say("%d runs in %s were copied into the store, %s; the folder's runs/, weights/ and checkpoints/ are not read any more", n, v, v.Store().Runs())
	}
	return err
}

// write writes question.yaml: the question with its changes and all defaults.
func (q question) write(ctx context.Context) error {
	text, err := q.Resolved(q.plan.Profile)
	if err != nil {
		return err
	}
	return q.view.Alone(ctx, func() error { return disk.Write(q.view.Question(), text) })
}

// recorded reads the records of the plan's runs, with names and caveats of this question. A run
// whose files are damaged is skipped with a message.
func (q question) recorded() (records []*record.RunRecord, origins []store.OriginRun, err error) {
	_, entries, err := q.view.Read()
	if err != nil {
		return nil, nil, err
	}
	at := map[string]store.Folder{}
	for _, e := range entries {
		at[e.ID] = q.view.Folder(e)
	}
	for _, run := range q.plan.Runs {
		f, listed := at[run.ID]
		if !listed {
			continue
		}
		rec, err := record.Read(f.Record())
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, record.ErrEmpty) {
			continue
		}
		if err != nil {
			say("%s is not drawn: %v", run.ID, err)
			continue
		}
		made, _ := store.ReadProvenance(f) // store.OriginOf reports a damaged one
		if rec.Start, err = seen(q.plan, run, made, rec.Start); err != nil {
			say("%s is not drawn: %v", run.ID, err)
			continue
		}
		records, origins = append(records, rec), append(origins, store.OriginOf(f, rec))
	}
	return records, origins, nil
}

// draw draws figures and tables from the records of the plan's runs.
func (q question) draw(ctx context.Context) error {
	records, origins, err := q.recorded()
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return fmt.Errorf("%s has no records to draw; ./run.sh %s trains the nets", q.view, q.File)
	}
	resolved, err := q.Resolved(q.plan.Profile)
	if err != nil {
		return err
	}
	origin := store.Origin{
		Question: q.plan.Question, Profile: q.plan.Profile, Changes: q.plan.Changes, Resolved: fmt.Sprintf("%x", sha256.Sum256(resolved)),
		Drawn: version, Runs: origins,
	}
	text, err := json.MarshalIndent(origin, "", "  ")
	if err != nil {
		return err
	}
	err = q.view.Alone(ctx, func() error {
		err := plots.Draw(string(q.view), plots.Question{
			Name: q.plan.Name, Title: q.plan.Question, Figures: q.plan.Figures, Options: q.plan.Measurements.Options(), Origin: append(text, '\n'), Made: origin.Made(), Say: say,
		}, records)
		return errors.Join(err, q.report(records, origins))
	})
	if err != nil {
		return err
	}
	table, err := os.ReadFile(q.view.Table())
	if err != nil {
		return err
	}
	defer endAtOnce(ctx)() // the reader may be a pager
	fmt.Printf("\n%s\n", table)
	for _, f := range q.plan.Figures {
		fmt.Println(q.view.Figure(f))
	}
	fmt.Println(q.view.Report())
	return nil
}

// report writes the page for the browser.
func (q question) report(records []*record.RunRecord, origins []store.OriginRun) error {
	var runs []pages.Run
	for i, r := range records {
		runs = append(runs, pages.Run{Record: r, Origin: origins[i]})
	}
	return pages.Write(pages.Question{Question: q.Question, Plan: q.plan, View: q.view}, runs)
}

func plotQuestion(ctx context.Context, c *call) error {
	c.profileOption("all that have records")
	addChangeOptions(c)
	c.dataOption()
	files, err := c.files(1, "one question file")
	if err != nil {
		return err
	}
	loaded, err := readQuestion(c, recordReader(c), files[0])
	if err != nil {
		return err
	}
	plans, err := fitting(loaded)
	if c.profile != "" {
		var plan *experiments.Plan
		plan, _, err = loaded.Choose(nil, c.profile)
		plans = []*experiments.Plan{plan}
	}
	if err != nil {
		return usageError{err}
	}
	own := func(p *experiments.Plan) bool { return dataset.Of(p.Runs[0].Data).Own() }
	if c.dataDir != "" && !slices.ContainsFunc(plans, own) {
		return usage("--data %s: plot draws from records, and looks for data only to count your own images; leave it out", c.dataDir)
	}
	drawn := 0
	for _, p := range plans { // also those whose needs this machine does not meet
		v, err := viewOf(c, files[0], p)
		if err != nil {
			return err
		}
		if err := takeOver(v); err != nil {
			return err
		}
		if _, entries, err := v.Read(); err == nil && len(entries) == 0 {
			continue
		}
		if own(p) && p.Runs[0].Train == 0 {
			return usage("%s: your own images are not here, so how many the nets were trained on is not known; --data DIR names them, or ./run.sh plot %s draws without them", files[0], v.Question())
		}
		knowWeights(p, v)
		if err := (question{loaded, p, v, nil}).draw(ctx); err != nil {
			return err
		}
		drawn++
	}
	if drawn == 0 {
		return fmt.Errorf("%s has no records yet; ./run.sh %s trains the nets", loaded.Name, files[0])
	}
	return nil
}

// knowWeights sets the sums of weights that are gone: those with which the view's runs began, if the
// plan's runs begin with the same file or run.
func knowWeights(p *experiments.Plan, v store.View) {
	asked, err := store.Load(v)
	if err != nil {
		return // draw says which runs are not drawn, and that their weights differ
	}
	for i := range p.Runs {
		run := &p.Runs[i]
		for _, began := range asked.Plans[0].Runs {
			if run.Weights == "" && began.ID == run.ID && began.Init == run.Init && began.Continue == run.Continue {
				run.Weights = began.Weights
			}
		}
	}
}

func schema(_ context.Context, c *call) error {
	if _, err := c.files(0, "no file"); err != nil {
		return err
	}
	_, err := os.Stdout.Write(experiments.Schema())
	return err
}
