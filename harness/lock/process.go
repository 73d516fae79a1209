package lock

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// self is this process as a holder, with a token of its own each time.
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
		Host: host, Space: strings.TrimSpace(fmt.Sprintf("%s %s", strings.TrimSpace(string(boot)), container)),
		PID: os.Getpid(), Began: began,
	}
})

// alive says whether the process is there, and is the one that began then.
func alive(pid int, began string) bool {
	if state, since := stat(pid); since != "" {
		return since == began && state != "Z" && state != "X"
	}
	p, err := os.FindProcess(pid)
	return err == nil && !errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// stat reads a process's state, a letter, and the time it began at from Linux's
// /proc; both are empty where there is none.
func stat(pid int) (state, began string) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", ""
	}
	// PID (NAME) STATE and 18 numbers stand before it; a name may hold anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 20 {
		return "", ""
	}
	return fields[0], fields[19]
}
