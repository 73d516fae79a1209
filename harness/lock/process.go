// Processes: identifies this one, and tells whether another one is alive.

package lock

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"depthlab/harness/slurm"
)

// self is this process as a holder, with a new token each time.
func self() Holder {
	me := process()
	me.Taken, me.Token = time.Now().UTC().Truncate(time.Second), token()
	return me
}

var process = sync.OnceValue(func() Holder {
	host, err := os.Hostname()
	if err != nil {
		host = "a machine without a name"
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	container, _ := os.Readlink("/proc/self/ns/pid")
	_, began := stat(os.Getpid())
	return Holder{
		Job:  slurm.This().ID,
		Host: host, Space: strings.TrimSpace(fmt.Sprintf("%s %s", strings.TrimSpace(string(boot)), container)),
		PID: os.Getpid(), Began: began,
	}
})

// alive reports whether process pid exists and is the one that began then, not a later
// one with the same PID.
func alive(pid int, began string) bool {
	if state, since := stat(pid); since != "" {
		return since == began && state != "Z" && state != "X"
	}
	p, err := os.FindProcess(pid)
	return err == nil && !errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// stat reads the state (a letter) and start time of a process from Linux's /proc. Both
// are empty if there is no such file.
func stat(pid int) (state, began string) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", ""
	}
	// Before it are PID, (NAME), STATE and 18 numbers. A name may contain anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 20 {
		return "", ""
	}
	return fields[0], fields[19]
}
