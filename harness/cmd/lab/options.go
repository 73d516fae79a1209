// The options that run and submit share.

package main

import (
	"time"

	"depthlab/harness/machine"
)

type runOptions struct {
	device deviceFlags
	board  *bool
	every  *int
	jobs   *int
	limit  *time.Duration
}

func addRunOptions(c *call) runOptions {
	o := runOptions{device: addPlaceFlags(c)}
	c.dataOption()
	c.profileOption(firstMet)
	addChangeOptions(c)
	o.board = c.Bool("tensorboard", false, "also write event files for TensorBoard, in tensorboard/ beside the results")
	o.every = c.Int("validate", 0, "compare every N-th step with the device ref, which is slow; 0: never")
	o.jobs = c.Int("jobs", 0, "runs to train at a time on each device (cpu, xla); 0: on a GPU 1, 2 or 4, whichever is measured to be fastest; on cpu one for each thread, at most 4, that share the CPUs")
	o.limit = c.Duration("time", 0, "save and end after this time, such as 55m, with exit code 75; in a Slurm job also a minute before the job's time limit")
	return o
}

// check returns a usageError for values that no device of this machine supports.
func (o runOptions) check(m machine.Machine) error {
	if *o.jobs < 0 {
		return usage("--jobs %d: expected a number of runs", *o.jobs)
	}
	if *o.every < 0 {
		return usage("--validate %d: expected a number of steps", *o.every)
	}
	if *o.limit < 0 {
		return usage("--time %v: expected a time such as 55m", *o.limit)
	}
	return o.device.several(m, *o.jobs)
}
