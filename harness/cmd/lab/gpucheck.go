package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"depthlab/experiments"
	"depthlab/harness"
	"depthlab/harness/data"
	"depthlab/harness/device"
)

// checkQuestion is what gpu-check trains: the paper's recipe.
const checkQuestion = `
question: Does this device compute what it should?
nets: [%s]
data: %s
`

// gpuCheck tries a device on real nets and writes a report.
func gpuCheck(_ context.Context, c *call) (err error) {
	flags := c.deviceFlags()
	net := c.String("net", "resnet-20", "the net to try")
	batch := c.Int("batch", 128, "images a step")
	out := c.String("out", "gpu-check", "folder for the report")
	if _, err := c.files(0, "no file"); err != nil {
		return err
	}
	if _, err := arch(*net); err != nil {
		return err
	}
	if *batch < 1 {
		return usage("--batch %d: expected 1 or more", *batch)
	}
	if *flags.name == "auto" {
		*flags.name = "xla"
	}
	m := c.machine()
	dev, err := flags.open(m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	src, name, err := checkData(m)
	if err != nil {
		return err
	}
	q, err := experiments.Parse("gpu-check", fmt.Appendf(nil, checkQuestion, *net, name))
	if err != nil {
		return err
	}
	run := q.Plans[0].Runs[0]
	run.Batch, run.BatchNorm.Group = *batch, 0
	if err := os.MkdirAll(*out, 0o777); err != nil {
		return err
	}
	report, err := os.Create(filepath.Join(*out, "report.txt"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, report.Close()) }()
	w := io.MultiWriter(os.Stdout, report)
	info := dev.Info()
	fmt.Fprintf(w, "lab %s\n%s, %s\n%s\n%s\n\n", version, info.Hardware, info.Library, src.Title, time.Now().UTC().Format(time.RFC3339))
	failed := 0
	precisions := []device.Precision{device.FP32, device.BF16}
	for i, check := range harness.Checks {
		for _, p := range precisions {
			if i == 0 && p != device.FP32 {
				continue // ref has one precision
			}
			run.Precision = string(p)
			start := time.Now()
			line, err := check.Run(&harness.Checked{Run: run, Data: src, Device: dev})
			if err != nil {
				failed++
				line = "FAILED: " + err.Error()
			}
			fmt.Fprintf(w, "%-26s %-5s %6.1f s  %s\n", check.Name, p, time.Since(start).Seconds(), line)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d checks failed; the report is in %s", failed, *out)
	}
	say("all checks passed; the report is in %s", *out)
	return nil
}

// checkData is CIFAR-10 where it is, else generated images.
func checkData(m harness.Machine) (*data.Source, string, error) {
	if _, err := m.CIFAR10(); err == nil {
		src, err := load(m, "cifar10", 0)
		return src, "cifar10", err
	}
	return data.Preview(1000, 256), "preview", nil
}
