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
	"depthlab/harness/store"
	"depthlab/harness/sweep"
	"depthlab/plots"
)

// question is a file and the profile of it that runs here.
type question struct {
	*experiments.Question
	plan *experiments.Plan
	view store.View // results/NAME/PROFILE

	folders map[string]store.Folder // of the plan's runs, by ID; nil until place
}

// choose loads a question and its profile; missing says why not the ones
// before it. Only what is plainly absent is a reason for another profile: what
// was named, and is not what it should be, ends the command.
func (c *call) choose(file string) (q question, missing []experiments.Missing, err error) {
	if q.Question, err = c.load(file); err != nil {
		return q, nil, err
	}
	have, why := c.machine().Have()
	have["gpu"] = have["gpu"] || c.gpus
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
		return q, nil, usage("--data %s: profile %s makes its images itself (data: %s) and would not read it%s; leave --data out, or choose another with --profile",
			c.dataDir, q.plan.Profile, set, others)
	}
	q.view, err = c.view(file, q.plan)
	return q, missing, err
}

// view is the folder of a plan's results. A question.yaml that lies in such a folder
// is asked again there, or beside it where the command line changes it. Two files of
// one name cannot share a folder.
func (c *call) view(file string, p *experiments.Plan) (store.View, error) {
	own := store.View(filepath.Dir(file))
	if _, runs, err := own.Read(); filepath.Base(file) == filepath.Base(own.Question()) && err == nil && len(runs) > 0 {
		return own + store.View(strings.TrimPrefix(p.Folder, p.Profile)), nil
	}
	v := c.machine().Store().View(p.Name, p.Folder)
	other, _, err := v.Read()
	if err != nil || other == "" {
		return v, nil // a damaged list is written anew
	}
	theirs, err := os.Stat(other)
	if err != nil {
		return v, nil // it was moved or removed
	}
	if ours, err := os.Stat(file); err == nil && !os.SameFile(ours, theirs) {
		return v, usage("%s: the results of %s lie in %s already; give one of the two files another name (runs that both have are trained once all the same)", file, other, v)
	}
	return v, nil
}

// reasons tells why not other profiles, and of data where they were looked for
// and how to get them.
func (c *call) reasons(missing []experiments.Missing) (lines []string) {
	for _, x := range missing {
		lines = append(lines, "not "+x.String())
	}
	_, why := c.machine().Have()
	for _, need := range needs(missing) {
		if dataset.Of(need).Name != "" {
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

// settled says that the number of threads is, and that the new name of a device was told.
var settled bool

// deviceFlags are the options of commands that compute.
type deviceFlags struct {
	name, precision *string
	threads         *int
	devices         *string // nil where a command uses the first device alone
	replicas        *int
}

func (c *call) deviceFlags() deviceFlags {
	c.pluginOption()
	return deviceFlags{
		name:      c.String("device", "auto", oneOf(machine.DeviceNames())),
		precision: c.String("precision", "", "fp32, tf32 (xla) or bf16, in place of the file's"),
		threads:   c.Int("threads", 0, "threads that compute; 0 for all that affinity and CPU quota allow, or $OMP_NUM_THREADS"),
	}
}

// placeFlags are deviceFlags of commands that can use several devices.
func (c *call) placeFlags() deviceFlags {
	d := c.deviceFlags()
	d.devices = c.String("devices", "", "of xla: the devices to use, by their numbers (0,2); without it all GPUs that the plugin shows, a run on each")
	d.replicas = c.Int("replicas", 1, "devices that share each step of a run (data parallel)")
	return d
}

// places gives the places where runs are trained at the same time, after the options.
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
				return nil, usage("--devices %s: expected numbers with commas between them, such as 0,2", *d.devices)
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

// share refuses replicas that cannot share a batch of one of the plan's runs.
func (d deviceFlags) share(p *experiments.Plan) error {
	for _, run := range p.Runs {
		if err := model.Share(run, *d.replicas); err != nil {
			return usageError{err}
		}
	}
	return nil
}

// oneOf lists words as a sentence does: "a, b or c".
func oneOf(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// devicesThat names the devices of which something is true.
func devicesThat(is func(k machine.Kind) bool) string {
	var names []string
	for _, k := range machine.Devices {
		if is(k) {
			names = append(names, k.Name)
		}
	}
	return strings.Join(names, ", ")
}

// check refuses what no device can meet, before anything is done.
func (d deviceFlags) check(m machine.Machine) error {
	k, err := m.Kind(*d.name)
	switch {
	case machine.Promised(err):
		return err
	case err != nil:
		return usage("--%w", err)
	}
	if !settled {
		if slices.Contains(k.Old, *d.name) {
			say("the device %s is called %s now", *d.name, k.Name)
		}
		if err := m.UseThreads(*d.threads); err != nil {
			return err
		}
		settled = true
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
			return usage("--plugin %s: only the device %s reads it, and --device is %s; add --device %[2]s, or leave --plugin out", m.Plugin, only, *d.name)
		}
		return nil
	}
	if _, err := k.Find(m); machine.Promised(err) {
		return err
	}
	return nil
}

// open opens the device. One that was asked for by name, and cannot be had, is
// an error of the command line.
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

// divert keeps what the device's libraries print from the terminal.
func (d deviceFlags) divert(m machine.Machine) error {
	if k, _ := m.Kind(*d.name); !k.Prints {
		return nil
	}
	return divert(m)
}

// settle is the precision that was asked for on the command line, and fp32
// where none was.
func (d deviceFlags) settle(info device.Info) device.Precision {
	var run experiments.Run
	run.Precision = string(device.FP32)
	model.Resolve(&run, info, *d.precision)
	return device.Precision(run.Precision)
}

// computes refuses a precision that a device does not compute in here.
func computes(info device.Info, precision string) error {
	can := machine.Precisions(info)
	if slices.Contains(can, device.Precision(precision)) {
		return nil
	}
	return usage("precision %s: the device %s on %s computes in %s; leave it out, or say auto", precision, info.Name, info.Hardware, strings.Trim(fmt.Sprint(can), "[]"))
}

// openAll opens a device n times over, for as many runs at a time.
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

// several refuses more than one run at a time where they would be in each
// other's way.
func (d deviceFlags) several(m machine.Machine, n int) error {
	if err := d.check(m); err != nil {
		return err
	}
	if k, _ := m.Kind(*d.name); n > 1 && !k.Several {
		only := devicesThat(func(k machine.Kind) bool { return k.Several })
		return usage("--jobs %d: only the device %s trains several nets at a time; on the others a single one uses all CPUs", n, only)
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

// place settles the precision of the plan's runs and where each lies in the store.
// That the device does not compute in it is no matter for runs that are finished.
func (q *question) place(checksum string, info device.Info, precision string) error {
	if precision != "" && precision != "auto" {
		if err := computes(info, precision); err != nil {
			return err
		}
	}
	q.folders = sweep.Place(q.plan, q.view.Store(), checksum, info, precision)
	return nil
}

// computable refuses runs that are not finished in a precision that the device does
// not compute in.
func (q question) computable(info device.Info) error {
	for _, run := range q.plan.Runs {
		if found, err := q.folders[run.ID].Find(); err == nil && found != store.Nothing {
			continue // or begun elsewhere, to be left alone here
		}
		if err := computes(info, run.Precision); err != nil {
			return err
		}
	}
	return nil
}

func runQuestion(ctx context.Context, c *call) (err error) {
	o := c.runOptions()
	task := c.Bool("task", false, "be a task of a batch job, as submit starts them: leave runs that other processes train to them, and draw nothing")
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
	q, missing, err := c.choose(files[0])
	if err != nil {
		return err
	}
	reasons := c.reasons(missing)
	if err := c.unasked(q, reasons); err != nil {
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
		Progress: record.NewProgress(messages, log), TensorBoard: *o.board,
		Say: func(format string, args ...any) {
			say(format, args...)
			fmt.Fprintf(log, format+"\n", args...)
		},
	}
	s.Progress.Every = 10 * time.Second
	trained := s.Run(ctx)
	s.Progress.Close()
	if *task || errors.Is(trained, harness.ErrInterrupted) {
		return trained
	}
	return errors.Join(trained, q.draw(ctx))
}

// takeOver brings runs of the layout before the store into it, once.
func takeOver(v store.View) error {
	if !store.Former(v) {
		return nil
	}
	n, err := store.Import(string(v), v.Store(), false, say)
	if n > 0 {
		say("%d runs in %s were copied into the store, %s; its runs/, weights/ and checkpoints/ are not read any more", n, v, v.Store().Runs())
	}
	return err
}

// write keeps the question as it was asked, with every default.
func (q question) write(ctx context.Context) error {
	text, err := q.Resolved(q.plan.Profile)
	if err != nil {
		return err
	}
	return q.view.Alone(ctx, func() error { return disk.Write(q.view.Question(), text) })
}

// recorded reads what the plan's runs recorded, each as this question sees it. A run
// whose files are damaged is said, and left out.
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
			say("%s is left out: %v", run.ID, err)
			continue
		}
		made, _ := store.ReadProvenance(f) // a damaged one is the origin's to tell
		if rec.Start, err = seen(q.plan, run, made, rec.Start); err != nil {
			say("%s is left out: %v", run.ID, err)
			continue
		}
		records, origins = append(records, rec), append(origins, store.OriginOf(f, rec))
	}
	return records, origins, nil
}

// draw makes figures and tables of what the plan's runs recorded.
func (q question) draw(ctx context.Context) error {
	records, origins, err := q.recorded()
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return fmt.Errorf("%s holds no records to draw; ./run.sh %s trains the nets", q.view, q.File)
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
	c.changeOptions()
	c.dataOption()
	files, err := c.files(1, "one question file")
	if err != nil {
		return err
	}
	loaded, err := c.load(files[0])
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
	for _, p := range plans { // on whatever machine they were made
		v, err := c.view(files[0], p)
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

func schema(_ context.Context, c *call) error {
	if _, err := c.files(0, "no file"); err != nil {
		return err
	}
	_, err := os.Stdout.Write(experiments.Schema())
	return err
}
