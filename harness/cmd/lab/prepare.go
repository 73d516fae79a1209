// The command prepare: fetches and checks all that a question needs.

package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"depthlab/experiments/dataset"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/machine"
	"depthlab/harness/model"
)

func prepareQuestion(ctx context.Context, c *call) error {
	flags := addDeviceFlags(c)
	c.dataOption()
	c.profileOption(firstMet + "; the data set of a profile that is named is downloaded if that is possible")
	addChangeOptions(c)
	c.about("run.sh fetches the libraries before. To prepare for machines with NVIDIA GPUs on one without:\nDEPTHLAB_DRIVER=550 ./run.sh prepare FILE.yaml, with the version of their driver (nvidia-smi shows it).\n")
	files, err := c.files(1, "one question file")
	if err != nil {
		return err
	}
	c.gpus = os.Getenv("DEPTHLAB_DRIVER") != ""
	q, _, err := prepare(ctx, c, files[0], flags)
	if err != nil {
		return err
	}
	say("Ready: this folder, and any copy of it, needs no network for ./run.sh %s --profile %s", files[0], q.plan.Profile)
	return nil
}

// prepare checks that this machine has what a question needs, and prints where. It sets the
// folders of the plan's runs in the store.
func prepare(ctx context.Context, c *call, file string, flags deviceFlags) (q question, info device.Info, err error) {
	if names := os.Getenv("DEPTHLAB_NOT_FETCHED"); names != "" { // run.sh says so
		return q, info, fmt.Errorf("could not be fetched, for the reason above: %s; to continue without, add --no-download", names)
	}
	if err := downloadNeeded(ctx, c, file); err != nil {
		return q, info, err
	}
	q, missing, err := choose(c, file)
	if err != nil {
		return q, info, err
	}
	m := c.machine()
	_, why := m.Have()
	for _, x := range missing {
		if x.Profile == q.plan.Profile {
			return q, info, usage("%v: %w", x, why[x.Need])
		}
	}
	for _, line := range notChosen(c, missing) {
		say("  %s", line)
	}
	if info, err = prepared(c, m, flags); err != nil {
		return q, info, err
	}
	set := q.plan.Runs[0].Data
	src, err := load(ctx, m, set, model.Reading(q.plan.Runs[0].Input))
	if err != nil {
		return q, info, err
	}
	if err := q.place(src.Checksum, info, *flags.precision); err != nil {
		return q, info, err
	}
	where := "generated"
	if !dataset.Of(set).Made() {
		if where, err = m.Data(set).Find(); err != nil {
			return q, info, err
		}
	}
	say("  program  version %s, built", version)
	say("  device   %s", info.Summary())
	say("  data     %s, %d + %d images, %s", src.Title, src.Train.N, src.Test.N, where)
	say("  profile  %s, %d runs", q.asked(), len(q.plan.Runs))
	return q, info, nil
}

// prepared returns the device that will run the question. A GPU of another machine is not
// opened.
func prepared(c *call, m machine.Machine, flags deviceFlags) (device.Info, error) {
	if _, here := m.Have(); c.gpus && here["gpu"] != nil && slices.Contains([]string{"auto", "xla"}, *flags.name) {
		if found, _ := fs.Glob(os.DirFS(m.LibDir()), "pjrt/cuda*/nvidia/cudnn"); len(found) == 0 && m.Plugin == "" {
			say("warning: %s has no CUDA plugin with its libraries: the machines with the GPUs need one of their own, such as JAX's", m.LibDir())
		}
		return device.Info{Name: "xla", GPU: true, Bfloat16: true}, nil
	}
	dev, err := flags.open(m, nil)
	if err != nil {
		return device.Info{}, err
	}
	return dev.Info(), dev.Close()
}

// downloadNeeded downloads the data set of the profile that --profile names, if this machine lacks
// it and it can be downloaded.
func downloadNeeded(ctx context.Context, c *call, file string) error {
	loaded, err := loadQuestion(c, file)
	if err != nil || c.profile == "" {
		return err
	}
	plan, _, err := loaded.Choose(nil, c.profile)
	if err != nil {
		return usageError{err}
	}
	set := plan.Runs[0].Data
	if !slices.Contains(data.Fetchable(), set) {
		return nil // choose reports data that is missing
	}
	if _, err := c.machine().Data(set).Whole(); err == nil {
		return nil
	}
	return download(ctx, c, set)
}
