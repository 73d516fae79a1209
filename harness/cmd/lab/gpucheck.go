// The command gpu-check: correctness and speed of a device, with a report.

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"depthlab/experiments"
	"depthlab/harness/bench"
	"depthlab/harness/check"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/disk"
	"depthlab/harness/machine"
	"depthlab/harness/model"
)

const gpuCheckHelp = `Every part runs in a process of its own, so that a crash or a hang does not
affect the others. Each has a share of the time; time that it does not use goes
to the later parts. The folder gets report.md, results.jsonl with a line for
each part, and log/ with the output of each part.
`

// checkFlags are the options of gpu-check.
type checkFlags struct {
	deviceFlags
	net, nets, torch, jax, out *string
	batch, jobs                *int
}

// gpuCheck runs all parts and writes a report, or with --part runs one part.
func gpuCheck(ctx context.Context, c *call) error {
	c.pluginOption()
	c.dataOption()
	one := 1
	f := checkFlags{
		deviceFlags: deviceFlags{
			name: c.String("device", machine.Devices[0].Name, oneOf(machine.DeviceNames())), precision: new(string), threads: new(int), // all precisions
			devices: c.String("devices", "", "of xla: the devices to check, by their numbers (0,2) (default: all GPUs that the plugin lists)"), replicas: &one,
		},
		net:   c.String("net", "resnet-20", "the net to check with"),
		nets:  c.String("bench-net", "resnet-20,resnet-56", "the nets to time"),
		batch: c.Int("batch", 128, "images a step"),
		jobs:  c.Int("jobs", 4, "nets to train at a time, for the benchmark's last number"),
		torch: c.String("against-torch", "", "a Python with PyTorch, to be timed in turn with us"),
		jax:   c.String("against-jax", "", "a Python with JAX, to be timed in turn with us"),
		out:   c.String("out", "gpu-check", "folder for the report"),
	}
	minutes := c.Float64("minutes", 9, "time of all parts together")
	part := c.String("part", "", "run only this part, and print its result as JSON")
	seconds := c.Float64("seconds", 60, "with --part: its time")
	c.about(gpuCheckHelp)
	if _, err := c.files(0, "no file"); err != nil {
		return err
	}
	for _, net := range strings.Split(*f.net+","+*f.nets, ",") {
		if _, err := arch(net); err != nil {
			return err
		}
	}
	if *f.batch < 1 || *f.jobs < 1 || !(*minutes > 0) {
		return usage("--batch %d --jobs %d --minutes %g: expected more than 0", *f.batch, *f.jobs, *minutes)
	}
	m := c.machine()
	if err := f.deviceFlags.check(m); err != nil {
		return err
	}
	if _, err := m.Data("cifar10").Whole(); err != nil && (c.dataDir != "" || machine.Promised(err)) {
		return err
	}
	if err := errors.Join(executable("against-torch", *f.torch), executable("against-jax", *f.jax)); err != nil {
		return err
	}
	parts := f.parts()
	if *part == "" {
		return f.all(ctx, c, parts, time.Duration(*minutes*float64(time.Minute)))
	}
	i := slices.IndexFunc(parts, func(p checkPart) bool { return p.Name == *part })
	if i < 0 {
		var names []string
		for _, p := range parts {
			names = append(names, p.Name)
		}
		return usage("--part %q: expected one of %s", *part, strings.Join(names, ", "))
	}
	endAtOnce(ctx) // it saves nothing
	ctx, cancel := context.WithTimeout(ctx, time.Duration(*seconds*float64(time.Second)))
	defer cancel()
	return f.one(ctx, m, parts[i])
}

// outcome is the result of a part.
type outcome struct {
	Part    string        `json:"part"`
	Status  string        `json:"status"` // "passed", "failed", "skipped"
	Seconds float64       `json:"seconds"`
	Text    string        `json:"text"`            // what the part found, or why it failed or was skipped
	Bench   *bench.Result `json:"bench,omitempty"` // only of benchmarks
}

// set sets Status and Text from what a part returned: an UnsupportedError means "skipped".
func (o *outcome) set(text string, err error) {
	var no *device.UnsupportedError
	switch {
	case err == nil:
		o.Status, o.Text = "passed", text
	case errors.As(err, &no):
		o.Status, o.Text = "skipped", err.Error()
	default:
		o.Status, o.Text = "failed", err.Error()
	}
}

// checkPart is a part of gpu-check.
type checkPart struct {
	Name  string
	Share float64 // of the time, relative to the other parts
	run   func(ctx context.Context, f checkFlags, m machine.Machine, dev device.Device) (string, *bench.Result, error)
	read  func(printed string) (string, error) // reads the part's output; nil if that is JSON
}

// parts lists the parts in the order in which they run.
func (f checkFlags) parts() []checkPart {
	all := []checkPart{{Name: "device", Share: 0.5, run: describe}}
	add := func(name string, once bool, run func(f checkFlags, m machine.Machine, c *check.Checked) (string, error)) {
		all = append(all, checkPart{Name: name, Share: 2, run: func(_ context.Context, f checkFlags, m machine.Machine, dev device.Device) (string, *bench.Result, error) {
			text, err := f.check(m, dev, func(c *check.Checked) (string, error) { return run(f, m, c) }, once)
			return text, nil, err
		}})
	}
	for _, x := range check.Checks {
		add(x.Name, x.Once, func(_ checkFlags, _ machine.Machine, c *check.Checked) (string, error) { return x.Run(c) })
	}
	add("every device", true, checkFlags.every)
	add("devices together", true, checkFlags.together)
	all = append(all,
		checkPart{Name: "devicetest", Share: 2, run: conformance("-test.skip=TestDevice/.*/kernels"), read: summarise},
		checkPart{Name: "devicetest kernels", Share: 1, run: conformance("-test.run=TestDevice/.*/kernels"), read: summarise})
	for _, p := range []device.Precision{device.BF16, device.TF32} {
		for _, net := range strings.Split(*f.nets, ",") {
			name := fmt.Sprintf("bench %s %s", net, p)
			all = append(all, checkPart{Name: name, Share: 2, run: func(ctx context.Context, f checkFlags, m machine.Machine, dev device.Device) (string, *bench.Result, error) {
				return f.time(ctx, m, dev, net, p)
			}})
		}
	}
	return all
}

// one runs a part in this process.
func (f checkFlags) one(ctx context.Context, m machine.Machine, p checkPart) (err error) {
	o := outcome{Part: p.Name}
	diverted = true // standard error is the part's log already
	places, err := f.places(m)
	var dev device.Device
	if err == nil {
		dev, err = f.open(m, places[0])
	}
	if err == nil {
		defer func() { err = errors.Join(err, dev.Close()) }()
		var text string
		text, o.Bench, err = p.run(ctx, f, m, dev)
		o.set(text, err)
	} else {
		o.Status, o.Text = "failed", err.Error()
	}
	return json.NewEncoder(os.Stdout).Encode(o)
}

// all runs every part in a process of its own.
func (f checkFlags) all(ctx context.Context, c *call, parts []checkPart, limit time.Duration) error {
	if err := disk.MakeDir(filepath.Join(*f.out, "log")); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	end := time.Now().Add(limit)
	var done []outcome
	dead := ""
	for i, p := range parts {
		shares := 0.0
		for _, q := range parts[i:] {
			shares += q.Share
		}
		o := outcome{Part: p.Name, Status: "skipped"}
		share := time.Duration(float64(time.Until(end)) * p.Share / shares)
		switch {
		case ctx.Err() != nil:
			o.Text = "interrupted"
		case dead != "":
			o.Text = "no device"
		case i > 0 && share < time.Second:
			o.Text = "out of time"
		default:
			say("%s ...", p.Name)
			// A part whose programs take long to compile may use time of the later parts.
			most := min(3*share, time.Until(end))
			o = child(ctx, self, append(slices.Clone(c.rest), "--part", p.Name, "--seconds", fmt.Sprint(0.9*share.Seconds())), p, *f.out, most)
			say("  %s after %.1f s: %s", o.Status, o.Seconds, o.Text)
		}
		if i == 0 && o.Status == "failed" {
			dead = o.Text
		}
		done = append(done, o)
		if err := writeReport(*f.out, done); err != nil {
			return err
		}
	}
	failed := 0
	for _, o := range done {
		if o.Status == "failed" {
			failed++
		}
	}
	say("the report is in %s", filepath.Join(*f.out, "report.md"))
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted: the remaining parts were skipped (%w)", ctx.Err())
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d parts failed", failed, len(done))
	}
	return nil
}

// child runs a part as a process of its own, for at most the given time. If ctx ends first, the
// part is skipped.
func child(ctx context.Context, self string, args []string, p checkPart, out string, most time.Duration) outcome {
	o := outcome{Part: p.Name, Status: "failed"}
	log, err := os.Create(filepath.Join(out, "log", strings.NewReplacer(" ", "_", "/", "_").Replace(p.Name)+".txt"))
	if err != nil {
		o.Text = err.Error()
		return o
	}
	defer log.Close()
	limited, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	var said bytes.Buffer
	cmd := exec.CommandContext(limited, self, append([]string{"gpu-check"}, args...)...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = io.MultiWriter(&said, log), log, time.Second
	start := time.Now()
	err = cmd.Run()
	o.Seconds = time.Since(start).Seconds()
	seconds := o.Seconds
	text := bytes.TrimSpace(said.Bytes())
	late := err != nil && limited.Err() != nil
	if late {
		err = fmt.Errorf("not finished after %.0f s", most.Seconds())
	}
	switch { // the result is the last line of the output
	case ctx.Err() != nil:
		o.Status, o.Text = "skipped", "interrupted"
		return o
	case p.read != nil && len(text) > 0:
		o.set(p.read(string(text)))
	case json.Unmarshal(text[bytes.LastIndexByte(text, '\n')+1:], &o) == nil:
		o.Seconds = seconds
	case late:
		o.Text = err.Error()
	default:
		o.Text = fmt.Sprintf("ended without a result (%v); its output is in %s", cmp.Or(err, errors.New("exit status 0")), log.Name())
	}
	if err != nil && o.Status != "failed" { // such as an abort when the device is closed
		o.Status, o.Text = "failed", fmt.Sprintf("%s; but then its process: %v; its output is in %s", o.Text, err, log.Name())
	}
	return o
}

// writeReport writes results.jsonl and report.md into dir.
func writeReport(dir string, all []outcome) error {
	var lines, md bytes.Buffer
	fmt.Fprintf(&md, "# gpu-check\n\nlab %s, %s\n\n| part | | seconds | |\n|---|---|---:|---|\n", version, time.Now().UTC().Format(time.RFC3339))
	var table bytes.Buffer
	for _, o := range all {
		text, err := json.Marshal(o)
		if err != nil {
			return err
		}
		lines.Write(append(text, '\n'))
		cell := strings.NewReplacer("\n", "<br>", "|", "\\|").Replace(strings.TrimSpace(o.Text))
		fmt.Fprintf(&md, "| %s | %s | %.1f | %s |\n", o.Part, o.Status, o.Seconds, cell)
		if o.Bench != nil {
			printResult(&table, *o.Bench)
		}
	}
	if table.Len() > 0 {
		fmt.Fprintf(&md, "\n    %s\n    %s\n%s", benchHeader, strings.ReplaceAll(strings.TrimRight(table.String(), "\n"), "\n", "\n    "), "\n"+benchHelp)
	}
	return errors.Join(disk.Write(filepath.Join(dir, "results.jsonl"), lines.Bytes()), disk.Write(filepath.Join(dir, "report.md"), md.Bytes()))
}

// describe lists the device, its library and driver, memory in use, and the data.
func describe(_ context.Context, f checkFlags, m machine.Machine, dev device.Device) (string, *bench.Result, error) {
	info := dev.Info()
	lines := []string{info.Name + " " + info.Library, info.Hardware}
	if k, err := machine.KindOf(info.Name); err == nil && k.Find != nil {
		path, err := k.Find(m)
		if err != nil {
			return "", nil, err
		}
		lines = append(lines, "library "+path)
	}
	lines = append(lines, "driver "+cmp.Or(info.Driver, "none"))
	if limit, used := model.Memory(dev); limit > 0 {
		lines = append(lines, fmt.Sprintf("%d of %d MiB in use", used>>20, limit>>20))
	}
	src, _, err := checkData(m)
	if err != nil {
		return "", nil, err
	}
	return strings.Join(append(lines, src.Title), "\n"), nil, nil
}

// checkQuestion is the question of the nets that are trained, with the paper's recipe.
const checkQuestion = `
question: Does this device compute what it should?
nets: [%s]
data: %s
`

// check runs a check on the device with a real net, in every precision that the device has,
// or if once is set in fp32 only. It returns a line for each precision.
func (f checkFlags) check(m machine.Machine, dev device.Device, run func(*check.Checked) (string, error), once bool) (string, error) {
	src, name, err := checkData(m)
	if err != nil {
		return "", err
	}
	q, err := experiments.Parse("gpu-check", fmt.Appendf(nil, checkQuestion, *f.net, name))
	if err != nil {
		return "", err
	}
	checked := check.Checked{Run: q.Plans[0].Runs[0], Data: src, Device: dev}
	checked.Run.Batch, checked.Run.BatchNorm.Group = *f.batch, 0
	var lines []string
	for _, p := range machine.Precisions(dev.Info()) {
		if once && p != device.FP32 {
			continue
		}
		checked.Run.Precision = string(p)
		line, err := run(&checked)
		if err != nil && once {
			return "", err
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", p, err)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n"), nil
}

// every trains a net on each device.
func (f checkFlags) every(m machine.Machine, c *check.Checked) (_ string, err error) {
	places, err := f.places(m)
	if err != nil {
		return "", err
	}
	all := []device.Device{c.Device}
	defer func() { err = errors.Join(err, closeAll(all[1:])) }()
	for _, p := range places[1:] {
		dev, err := f.open(m, p)
		if err != nil {
			return "", err
		}
		all = append(all, dev)
	}
	return c.Each(all)
}

// together trains a net on all devices as replicas (data parallel).
func (f checkFlags) together(m machine.Machine, c *check.Checked) (_ string, err error) {
	places, err := f.places(m)
	if err != nil {
		return "", err
	}
	var all machine.Place
	for _, p := range places {
		all = append(all, p...)
	}
	dev, err := f.open(m, all)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	return c.Together(dev)
}

// time runs the benchmark of a net.
func (f checkFlags) time(ctx context.Context, m machine.Machine, dev device.Device, net string, p device.Precision) (text string, _ *bench.Result, err error) {
	info := dev.Info()
	if !slices.Contains(machine.Precisions(info), p) {
		return "", nil, &device.UnsupportedError{Device: info.Name, What: fmt.Sprintf("timing in %s on %s", p, info.Hardware)}
	}
	places, err := f.places(m)
	if err != nil {
		return "", nil, err
	}
	devices := []device.Device{dev}
	defer func() { err = errors.Join(err, closeAll(devices[1:])) }()
	for k, _ := machine.KindOf(info.Name); k.Several && len(devices) < *f.jobs; {
		other, err := f.open(m, places[0]) // all on the device that was opened first
		if err != nil {
			return "", nil, err
		}
		devices = append(devices, other)
	}
	r, err := bench.Step(ctx, dev, bench.Options{
		Net: net, Precision: p, Batch: *f.batch, Rounds: 5, Round: time.Second,
		Torch: *f.torch, Compiled: info.GPU, JAX: *f.jax, Threads: runtime.GOMAXPROCS(0), More: devices[1:],
	})
	if err != nil {
		return "", nil, err
	}
	r.Parts = nil // kinds of instructions, only of a CPU
	text = fmt.Sprintf("%.0f images/s, %.1f us per step and convolutional layer", r.ImagesPerS, r.UsPerLayer)
	if r.Jobs > 1 {
		text += fmt.Sprintf("; %.0f images/s with %d at a time", r.JobsImages, r.Jobs)
	}
	if r.Ratio > 0 {
		text += fmt.Sprintf("; %.2f of eager PyTorch", r.Ratio)
	}
	return text, &r, nil
}

// checkData returns CIFAR-10 if this machine has it, else generated images, and the name of
// the data set.
func checkData(m machine.Machine) (*data.Source, string, error) {
	if _, err := m.Data("cifar10").Whole(); err == nil {
		src, err := load(context.Background(), m, "cifar10", data.FolderOptions{})
		return src, "cifar10", err
	}
	return data.Preview(1000, 256), "preview", nil
}
