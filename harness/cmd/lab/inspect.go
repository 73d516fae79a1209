// The commands doctor, data, eval, export and step.

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"depthlab/experiments"
	"depthlab/experiments/dataset"
	"depthlab/harness/check"
	"depthlab/harness/data"
	"depthlab/harness/machine"
	"depthlab/harness/model"
	"depthlab/harness/train"
	"depthlab/harness/weights"
	"depthlab/nets"
)

// doctor prints the devices, libraries and data that were found, and what to do about missing
// ones. It prints all of them before it returns an error for those that an option or an
// environment variable named and that were not found.
func doctor(_ context.Context, c *call) error {
	c.pluginOption()
	c.dataOption()
	if _, err := c.files(0, "no file"); err != nil {
		return err
	}
	m := c.machine()
	if err := divert(m); err != nil {
		return err
	}
	fmt.Printf("lab %s\n", version)
	broken := doctorDevices(m)
	lib, err := m.TurboJPEG()
	if err != nil {
		fmt.Printf("photos         Go's decoder: %v\n", err)
		broken = append(broken, err)
	} else {
		fmt.Printf("photos         %s\n", lib)
	}
	broken = slices.DeleteFunc(append(broken, doctorData(m)...), func(err error) bool { return !machine.Promised(err) })
	if len(broken) > 0 {
		return fmt.Errorf("named by an option or variable, but not usable:\n%w", errors.Join(broken...))
	}
	return nil
}

// doctorDevices prints the devices, and returns the errors of those that are missing.
func doctorDevices(m machine.Machine) (missing []error) {
	for _, k := range machine.Devices {
		name := k.Name
		dev, _, err := m.Open(name)
		if err != nil {
			fmt.Printf("device %-7s missing: %v\n", name, err)
			missing = append(missing, err)
			continue
		}
		if err := check.Try(dev); err != nil {
			fmt.Printf("device %-7s broken: %v\n", name, err)
			continue
		}
		info := dev.Info()
		fmt.Printf("device %-7s %s; %s\n", name, strings.TrimPrefix(info.Summary(), name+", "), list(machine.Precisions(info)))
		if d, ok := dev.(interface{ Remark() string }); ok {
			fmt.Printf("               %s\n", d.Remark())
		}
		dev.Close()
	}
	if _, why := m.Have(); why["gpu"] != nil {
		fmt.Printf("gpu            none: %v\n", why["gpu"])
	}
	return missing
}

// doctorData prints the data sets, and returns the errors of those that are missing.
func doctorData(m machine.Machine) (missing []error) {
	for _, name := range dataset.InFiles() {
		said, err := doctorSet(m, name)
		if err != nil {
			said = fmt.Sprintf("missing: %v", err)
			missing = append(missing, err)
		}
		fmt.Printf("data   %s %s\n", name, said)
	}
	return missing
}

// doctorSet describes a data set on this machine. Photos are not opened.
func doctorSet(m machine.Machine, name string) (string, error) {
	if dataset.Of(name).Photos {
		dir, err := m.Data(name).Find()
		return "in " + dir, err
	}
	dir, err := m.Data(name).Whole()
	if err != nil {
		return "", err
	}
	access, err := data.Of(name)
	if err != nil {
		return "", err
	}
	src, err := access.Read(context.Background(), dir, data.FolderOptions{})
	if err != nil {
		return fmt.Sprintf("unusable: %v", err), nil
	}
	return fmt.Sprintf("%s in %s, %d + %d images", src.Title, dir, src.Train.N, src.Test.N), nil
}

func fetchData(ctx context.Context, c *call) error {
	sets := data.Fetchable()
	c.StringVar(&c.dataDir, "data", "", "folder to download into (default: "+dataHomes(sets)+")")
	files, err := c.files(1, strings.Join(sets, " or "))
	if err != nil {
		return err
	}
	name := files[0]
	if s := dataset.Of(name); s.Files != "" && !slices.Contains(sets, name) {
		return usage("data %s: it is not downloaded; --data DIR or $%s names a folder that has %s", name, s.Env, s.Files)
	}
	if !slices.Contains(sets, name) {
		return usage("data %q: only %s can be downloaded", name, strings.Join(sets, " and "))
	}
	set := c.machine().Data(name)
	if src, err := set.Load(ctx, data.FolderOptions{}); err == nil && src.Canonical {
		dir, _ := set.Find()
		say("%s is there already, in %s", src.Title, dir)
		return nil
	}
	if err := download(ctx, c, name); err != nil {
		return err
	}
	option := ""
	if c.dataDir != "" {
		option = " with --data " + c.dataDir
	}
	say("done; ./run.sh%s finds it for every question whose data is %s", option, name)
	return nil
}

// download downloads a data set into the folder in which commands look for it.
func download(ctx context.Context, c *call, name string) error {
	access, err := data.Of(name)
	if err != nil {
		return err
	}
	dir, _ := c.machine().Data(name).Home()
	say("%s (%d MiB) into %s", dataset.Of(name).Title, access.MiB, dir)
	last := int64(-1)
	err = access.Fetch(ctx, dir, func(done, total int64) {
		if mib := done >> 20; mib != last {
			last = mib
			fmt.Fprintf(messages, "\r%d of %d MiB", mib, total>>20)
		}
	})
	fmt.Fprintln(messages)
	return err
}

// arch parses --net.
func arch(name string) (nets.Arch, error) {
	if name == "" {
		return nets.Arch{}, usage("--net is missing, such as --net resnet-20")
	}
	a, err := nets.ParseArch(name)
	if err != nil {
		return a, usageError{err}
	}
	return a, nil
}

// evalOutput is what eval prints as JSON.
type evalOutput struct {
	weights.EvalResult
	Classes []classResult `json:"by_class,omitempty"`
}

func evalWeights(ctx context.Context, c *call) (err error) {
	flags := addDeviceFlags(c)
	c.dataOption()
	c.jsonOption()
	o := weights.EvalOptions{}
	c.StringVar(&o.Net, "net", "", "the net, such as resnet-20")
	c.StringVar(&o.Weights, "weights", "", "safetensors file with PyTorch's names of tensors")
	c.StringVar(&o.Set, "set", "test", "test or train")
	c.IntVar(&o.Batch, "batch", 128, "images at a time")
	pad := c.String("shortcut-pad", "", "where shortcut A has its zero channels: trailing or split")
	mean := c.String("mean", "", "mean of each channel, of pixels scaled to [0, 1]: 0.485,0.456,0.406")
	std := c.String("std", "", "standard deviation of each channel, likewise")
	name := c.String("set-name", "", "data set: "+strings.Join(dataset.Names(), ", ")+" (default: the weights' own, else the one in --data, else cifar10)")
	c.StringVar(&o.Crops, "crops", "1", "crops of a photo: 1, 10 or multi (the whole photo, scores averaged over five scales)")
	c.StringVar(&o.Scores, "scores", "", "safetensors file to write the scores of photos to")
	more := addDetailOptions(c)
	files, err := c.operands()
	if err != nil {
		return err
	}
	if *more.images == "" && len(files) > 0 {
		return usage("eval: expected no file, got %q; pictures come after --images", strings.Join(files, " "))
	}
	a, err := arch(o.Net)
	if err != nil {
		return err
	}
	switch *pad {
	case "", "trailing":
	case "split":
		if !strings.HasSuffix(o.Net, "/split") {
			o.Net = a.String() + "/split"
		}
		if _, err := arch(o.Net); err != nil {
			return err
		}
	default:
		return usage("--shortcut-pad %q: expected trailing or split", *pad)
	}
	if err := weightsFile(o.Weights); err != nil {
		return err
	}
	if o.Set != "test" && o.Set != "train" {
		return usage("--set %q: expected test or train", o.Set)
	}
	if o.Batch < 1 || o.Batch > 1<<16 {
		return usage("--batch %d: expected 1 to 65536", o.Batch)
	}
	if o.Mean, err = channels("mean", *mean); err != nil {
		return err
	}
	if o.Std, err = channels("std", *std); err != nil {
		return err
	}
	if (o.Mean == nil) != (o.Std == nil) {
		return usage("--mean and --std: give both or neither")
	}
	for _, v := range o.Std {
		if v <= 0 {
			return usage("--std %s: expected numbers above 0", *std)
		}
	}
	if !slices.Contains(weights.Crops, o.Crops) {
		return usage("--crops %q: expected %s", o.Crops, strings.Join(weights.Crops, ", "))
	}
	about := weights.ReadAbout(o.Weights)
	if *more.images != "" {
		return evalPictures(c, o, flags, append([]string{*more.images}, files...), cmp.Or(*name, about.Data), about.Names)
	}
	m := c.machine()
	size := about.Size
	if !dataset.Of(about.Data).Photos {
		size = 224
	}
	if *name == "" {
		*name = about.Data
	}
	if found := data.In(m.DataDir); *name == "" && m.DataDir != "" && len(found) > 0 {
		*name = found[0].Name
	}
	if *name == "" {
		*name = "cifar10"
	}
	if c.dataDir != "" && dataset.Of(*name).Made() {
		return usage("--data %s: the weights are tested on %s, which is generated; choose other data with --set-name, or leave --data out", c.dataDir, *name)
	}
	if o.Mean == nil && !about.Normalised {
		say("warning: %s has no normalisation, so the paper's is used: the mean image of the training set is subtracted from pixels of 0 to 255; --mean and --std give another", o.Weights)
	}
	if about.ChosenBy == o.Set {
		say("warning: these weights were chosen as the best on the %s set, so their error on it is biased downwards", o.Set)
	}
	dev, err := flags.open(m, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	src, err := load(ctx, m, *name, data.FolderOptions{Size: size, TestOnly: o.Set == "test"})
	if err != nil {
		return err
	}
	endAtOnce(ctx) // the index of photos is saved; what follows saves nothing
	if o.Set == "test" && src.Test.N == 0 {
		return usage("--set test: %s has no test set; --set train tests on all its images, including those of training", src.Title)
	}
	if src.Test.Photos == nil && (o.Crops != "1" || o.Scores != "") {
		return usage("--crops and --scores: only for photos, and %s has none; leave them out", src.Title)
	}
	o.Precision = flags.settle(dev.Info())
	if *more.byClass != "" || *more.predictions != "" {
		o.Predictions = new(weights.Predictions)
	}
	r, err := weights.Eval(o, src, dev)
	if err != nil {
		return err
	}
	var classes []classResult
	if p := o.Predictions; p != nil {
		names := classNames(src.Name, src.Classes, p.Classes)
		if err := more.write(r, p, names); err != nil {
			return err
		}
		if *more.byClass != "" {
			classes = byClass(p, names)
		}
	}
	if c.json {
		return json.NewEncoder(os.Stdout).Encode(evalOutput{r, classes})
	}
	fmt.Printf("%s on the %s set of %s: %.2f %% of %d images wrong, loss %.4f (%s, %s)\n", r.Net, r.Set, r.Data, r.Top1Error, r.Images, r.Loss, r.Device, r.Precision)
	if r.Top5Error != nil {
		fmt.Printf("crops %s; %.2f %% wrong in the first five\n", r.Crops, *r.Top5Error)
	}
	if *more.byClass != "" {
		fmt.Println()
		printClasses(classes)
		fmt.Println(filepath.Join(*more.byClass, "confusion.png"))
	}
	return nil
}

// weightsFile refuses a value of --weights that is no file.
func weightsFile(path string) error {
	const expected = "expected a safetensors file, such as results/runs/RUN/weights.safetensors"
	if path == "" {
		return usage("--weights is missing: %s", expected)
	}
	if _, err := os.Stat(path); err != nil {
		return usage("--weights %s: %v; %s", path, errors.Unwrap(err), expected)
	}
	return nil
}

func exportWeights(_ context.Context, c *call) error {
	from := c.String("weights", "", "a file of weights that training wrote: results/runs/RUN/weights.safetensors")
	to := c.String("out", "", "the safetensors file to write")
	if _, err := c.files(0, "no file"); err != nil {
		return err
	}
	if err := weightsFile(*from); err != nil {
		return err
	}
	if *to == "" {
		return usage("--out is missing: the file to write")
	}
	net, class, err := weights.Export(*from, *to)
	if err != nil {
		return err
	}
	if class != "" {
		say("%s: the state_dict of %s; %s is the class that loads it: load(%q)", *to, net, class, *to)
		return nil
	}
	say("%s: the state_dict of %s; its images enter as (pixel - input.mean) * input.scale, which %s holds", *to, net, *from)
	return nil
}

// channels parses three numbers, one for each channel; "" returns nil.
func channels(flag, text string) ([]float32, error) {
	if text == "" {
		return nil, nil
	}
	parts := strings.Split(text, ",")
	if len(parts) != 3 {
		return nil, usage("--%s %q: expected three numbers, separated by commas", flag, text)
	}
	var out []float32
	for _, p := range parts {
		v, err := strconv.ParseFloat(strings.TrimSpace(p), 32)
		if err != nil || v != v || v > 1e6 || v < -1e6 {
			return nil, usage("--%s %q: expected a number of at most 1e6, got %q", flag, text, p)
		}
		out = append(out, float32(v))
	}
	return out, nil
}

func stepNet(ctx context.Context, c *call) (err error) {
	flags := addDeviceFlags(c)
	c.dataOption()
	c.profileOption(firstMet)
	addChangeOptions(c)
	net := c.String("net", "", "any net by name, also one that is not in the file")
	seed := c.Uint64("seed", 0, "seed of the initial weights and of the order of the images")
	steps := c.Int("steps", 3, "number of steps")
	out := c.String("out", "", "folder to write step-000001.safetensors and so on to")
	files, err := c.files(1, "one question file")
	if err != nil {
		return err
	}
	a, err := arch(*net)
	if err != nil {
		return err
	}
	if *out == "" {
		return usage("--out is missing: the folder to write to")
	}
	if *steps < 1 {
		return usage("--steps %d: expected 1 or more", *steps)
	}
	m := c.machine()
	if err := flags.check(m); err != nil {
		return err
	}
	q, _, err := choose(c, files[0])
	if err != nil {
		return err
	}
	if from := q.plan.Runs[0].Continue; from != "" {
		return usage("step %s: the question continues %s, and step writes the first steps of a run; expected a question without continue, such as one with init: FILE and the weights of that run",
			files[0], from)
	}
	dev, err := flags.open(m, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	run, err := q.plan.Run(a.String(), *seed)
	if err != nil {
		return err
	}
	if experiments.IsFile(run.Init) { // the file was compared with the question's nets only
		if run.Weights, err = questionReader(c).Weights(run.Init, run); err != nil {
			return usage("init: %s: %w", run.Init, err)
		}
	}
	model.Resolve(&run, dev.Info(), *flags.precision)
	if err := computes(dev.Info(), run.Precision); err != nil {
		return err
	}
	src, err := load(ctx, m, run.Data, model.Reading(run.Input))
	if err != nil {
		return err
	}
	endAtOnce(ctx)
	if err := train.Steps(run, src, dev, *steps, *out); err != nil {
		return err
	}
	begins := ""
	if experiments.IsFile(run.Init) {
		begins = ", which begins with the weights in " + run.Init + ","
	}
	say("%d steps of %s%s written to %s", *steps, run.Net, begins, *out)
	return nil
}
