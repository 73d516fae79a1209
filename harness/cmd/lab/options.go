// The options of run, which submit passes on.

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

func (c *call) runOptions() runOptions {
	o := runOptions{device: c.placeFlags()}
	c.dataOption()
	c.profileOption(firstMet)
	c.changeOptions()
	o.board = c.Bool("tensorboard", false, "write event files for TensorBoard, too, in tensorboard/ beside the results")
	o.every = c.Int("validate", 0, "compare every N-th step with the plain Go device; slow, 0 for never")
	o.jobs = c.Int("jobs", 0, "runs to train at a time on each device (xla); 0 measures on a GPU whether 2 or 4 are worth it, and is 1 elsewhere")
	o.limit = c.Duration("time", 0, "save and end after so long, such as 55m, with exit code 75; in a Slurm job that is done a minute before its time limit, too")
	return o
}

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
