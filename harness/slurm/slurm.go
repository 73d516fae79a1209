// Package slurm submits work to the batch system Slurm: it writes batch scripts, runs Slurm's
// commands, and parses their output. It knows nothing about nets.
package slurm

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Warning is the time before its time limit at which a task gets a signal, to save and to be
// requeued.
const Warning = 2 * time.Minute

// Here is the job of this process.
type Here struct {
	ID       string // "17", or "17_2" for task 2 of the array 17; "" outside Slurm
	Restarts int    // number of times it was requeued
	Tasks    int    // of the array that it is part of; 0 if it is part of none
}

// This returns the job of this process, from Slurm's environment variables.
func This() Here { return here(os.Getenv) }

func here(getenv func(string) string) Here {
	h := Here{ID: getenv("SLURM_JOB_ID")}
	if array := getenv("SLURM_ARRAY_JOB_ID"); array != "" {
		h.ID = array + "_" + getenv("SLURM_ARRAY_TASK_ID")
	}
	h.Tasks, _ = strconv.Atoi(getenv("SLURM_ARRAY_TASK_COUNT"))
	h.Restarts, _ = strconv.Atoi(getenv("SLURM_RESTART_COUNT"))
	return h
}

// ParseTime parses a time in Slurm's formats: minutes, minutes:seconds, hours:minutes:seconds,
// days-hours, days-hours:minutes, days-hours:minutes:seconds. limited is false for UNLIMITED.
func ParseTime(text string) (d time.Duration, limited bool, err error) {
	wrong := fmt.Errorf("time %q: expected one such as 90 (minutes), 1:30:00 or 2-12", text)
	switch strings.ToUpper(text) {
	case "UNLIMITED", "INFINITE":
		return 0, false, nil
	}
	days, rest, withDays := strings.Cut(text, "-")
	if !withDays {
		days, rest = "0", text
	}
	parts := strings.Split(rest, ":")
	if len(parts) > 3 {
		return 0, false, wrong
	}
	units := []time.Duration{time.Hour, time.Minute, time.Second}
	if !withDays && len(parts) < 3 {
		units = units[1:] // without days the first number is minutes, unless there are three
	}
	for i, part := range append([]string{days}, parts...) {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return 0, false, wrong
		}
		unit := 24 * time.Hour
		if i > 0 {
			unit = units[i-1]
		}
		d += time.Duration(n) * unit
	}
	return d, true, nil
}
