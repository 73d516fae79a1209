// Tests of the state of Slurm's jobs in status.

package main

import (
	"strings"
	"testing"

	"depthlab/harness/slurm"
	"depthlab/harness/store"
)

func TestAddJobs(t *testing.T) {
	job := func(id, state string) slurm.Job { return slurm.Job{ID: id, State: state, Node: "node3", Restarts: 2} }
	for name, c := range map[string]struct {
		run  store.Status
		jobs []slurm.Job // of the array 17
		job  string      // beside the run
		says string
	}{
		"trained by its job":                 {store.Status{State: store.Training, Job: "17_0"}, []slurm.Job{job("17_0", "RUNNING")}, "17_0 RUNNING node3 2", ""},
		"back in the queue":                  {store.Status{State: store.Interrupted, Job: "17_0"}, []slurm.Job{job("17_0", "PENDING")}, "17_0 PENDING node3 2", ""},
		"waits for the array":                {store.Status{State: store.Waiting}, []slurm.Job{job("17_0", "RUNNING"), job("17_1", "PENDING")}, "17_0 RUNNING node3 2", ""},
		"its job failed, another is there":   {store.Status{State: store.Interrupted, Job: "17_0"}, []slurm.Job{job("17_0", "FAILED"), job("17_1", "RUNNING")}, "17_1 RUNNING node3 2", ""},
		"its node died, another is there":    {store.Status{State: store.Silent, Job: "17_0"}, []slurm.Job{job("17_0", "NODE_FAIL"), job("17_1", "RUNNING")}, "17_1 RUNNING node3 2", "job 17_0 is NODE_FAIL; another task takes the run over"},
		"cancelled":                          {store.Status{State: store.Interrupted, Job: "17_0"}, []slurm.Job{job("17_0", "CANCELLED")}, "17_0 CANCELLED node3 2", "job 17_0 is CANCELLED, and no other job is left"},
		"forgotten":                          {store.Status{State: store.Silent, Job: "17_0"}, nil, "17_0   0", "Slurm does not know job 17_0"},
		"waits, and the array is cancelled":  {store.Status{State: store.Waiting}, []slurm.Job{job("17_9", "CANCELLED"), job("17_10", "CANCELLED")}, "17_10 CANCELLED node3 2", "job 17_10 is CANCELLED"},
		"waits, and the array is forgotten":  {store.Status{State: store.Waiting}, nil, "   0", "Slurm does not know job 17 any more, which was to train it"},
		"unlaunched":                         {store.Status{State: store.Waiting}, []slurm.Job{{ID: "17_0", State: "FAILED", Node: "node3", Reason: "JobLaunchFailure"}}, "17_0 FAILED node3 0", "could not be launched on node3"},
		"finished":                           {store.Status{State: store.Finished, Job: "17_0"}, []slurm.Job{job("17_0", "COMPLETED")}, "17_0   0", ""},
		"trained by hand, after that":        {store.Status{State: store.Training}, []slurm.Job{job("17_0", "CANCELLED")}, "   0", ""},
		"failed for a reason of its own":     {store.Status{State: store.Failed, Job: "17_0", Why: "NaN"}, []slurm.Job{job("17_0", "COMPLETED")}, "17_0   0", "NaN"},
		"of another question's array, known": {store.Status{State: store.Waiting}, []slurm.Job{job("18_0", "RUNNING")}, "   0", "job 17 any more, which was to train it"},
	} {
		jobs := map[string]slurm.Job{}
		for _, j := range c.jobs {
			jobs[j.ID] = j
		}
		runs := []store.Status{c.run}
		addJobs(runs, jobs, []string{"17"})
		got := strings.Join([]string{runs[0].Job, runs[0].JobState, runs[0].Node, string(rune('0' + runs[0].Restarts))}, " ")
		if got != c.job || (runs[0].Why == "") != (c.says == "") || !strings.Contains(runs[0].Why, c.says) {
			t.Errorf("%s: %q, %q; want %q, %q", name, got, runs[0].Why, c.job, c.says)
		}
	}
}

// While a process outside Slurm trains other runs of the question, status does not advise to
// submit again.
func TestAddJobsByHand(t *testing.T) {
	runs := []store.Status{{State: store.Training}, {State: store.Waiting}}
	addJobs(runs, nil, []string{"17"})
	if runs[1].Why != "" {
		t.Error(runs[1].Why)
	}
}

func TestPassedOn(t *testing.T) {
	for line, want := range map[string]string{
		"q.yaml --tasks 3 --device ref":                 "q.yaml --device ref",
		"--dry-run --profile p q.yaml":                  "--profile p q.yaml",
		"-tasks=3 q.yaml -dry-run=true --set a.b=tasks": "q.yaml --set a.b=tasks",
	} {
		if got := strings.Join(passedOn(strings.Fields(line)), " "); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}
