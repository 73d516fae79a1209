// The command watch.

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

// seen describes a run's record as a question sees it; the error says why the run is not
// the question's any more.
func seen(p *experiments.Plan, run experiments.Run, made *store.Provenance, st record.Start) (record.Start, error) {
	if made != nil {
		if err := sweep.Asks(run, made); err != nil {
			return st, err
		}
	}
	return sweep.Seen(p, run, st), nil
}

// watch serves the pages of questions while their runs train, here or elsewhere.
func watch(_ context.Context, c *call) error {
	listen := c.String("listen", "127.0.0.1:6107", "address and port, or a port alone; another address than 127.0.0.1 opens the results to whoever reaches it")
	c.about("From another machine: ssh -L 6107:127.0.0.1:6107 THIS-MACHINE, and open http://127.0.0.1:6107 there.\n")
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
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
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
		say("warning: whoever reaches %s can read these results", open.Addr())
	}
	say("watch at http://%s; Ctrl-C ends it", open.Addr())
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: time.Minute, MaxHeaderBytes: 64 << 10}
	if err := server.Serve(open); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
