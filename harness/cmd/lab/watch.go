// The command watch: the pages of questions, served for the browser.

package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"depthlab/experiments"
	"depthlab/harness/pages"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/harness/sweep"
)

// seen returns the start event of a run's record with names and caveats of the question. made is
// the run's provenance, or nil. The error says why the question no longer asks for this run.
func seen(p *experiments.Plan, run experiments.Run, made *store.Provenance, st record.Start) (record.Start, error) {
	if made != nil {
		if err := sweep.Asks(run, made); err != nil {
			return st, err
		}
	}
	return sweep.Seen(p, run, st), nil
}

// watch serves the pages of questions, while their runs train on this or another machine.
func watch(_ context.Context, c *call) error {
	listen := c.String("listen", "127.0.0.1:6107", "address and port, or only a port; with another address than 127.0.0.1 everyone who can reach it can read the results")
	c.about("To watch from another machine: run ssh -L 6107:127.0.0.1:6107 THIS-MACHINE there, and open http://127.0.0.1:6107.\n")
	files, err := c.operands()
	if err != nil {
		return err
	}
	dir := string(c.machine().Store())
	switch len(files) {
	case 0:
	case 1:
		dir = files[0]
	default:
		return usage("watch: expected one folder, such as results, got %q", strings.Join(files, " "))
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = errors.New("it is a file")
	}
	if err != nil {
		return usage("watch %s: expected a folder of results, such as results or results/NAME/PROFILE (%v)", dir, err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	at := *listen
	if !strings.Contains(at, ":") {
		at = "127.0.0.1:" + at
	}
	host, _, err := net.SplitHostPort(at)
	if err != nil {
		return usage("--listen %s: expected an address and a port, such as 127.0.0.1:6107 (%v)", *listen, err)
	}
	open, err := net.Listen("tcp", at)
	if err != nil {
		return usage("--listen %s: %v; choose another port, or 0 for one that is free", *listen, err)
	}
	ip := net.ParseIP(host)
	own := host == "localhost" || ip != nil && ip.IsLoopback()
	s := &pages.Server{Dir: dir, Find: store.Under, See: seen, Anyone: !own}
	began := time.Now()
	runs, unread := s.Refresh()
	if unread != nil {
		say("warning: %v", unread)
	}
	say("%d runs in %s, read in %.1f s", runs, dir, time.Since(began).Seconds())
	if !own {
		say("warning: everyone who can reach %s can read these results", open.Addr())
	}
	say("watch at http://%s; Ctrl-C ends it", open.Addr())
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: time.Minute, MaxHeaderBytes: 64 << 10}
	if err := server.Serve(open); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
