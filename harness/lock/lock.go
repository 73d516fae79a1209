// Package lock keeps two processes from doing the same work, on one machine or on several
// that share a folder. A lock is a file that names its holder. The file's modification
// time is the holder's heartbeat. This needs only one thing of the file system: exclusive
// creation of a file. It does not need flock, which some network file systems do not
// support, nor synchronised clocks.
package lock

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"depthlab/harness/disk"
)

// Holder is the process that holds a lock.
type Holder struct {
	Host    string    `json:"host"`
	Space   string    `json:"space"` // where the PID is valid: this boot of the machine, this PID namespace (container)
	PID     int       `json:"pid"`
	Began   string    `json:"began,omitempty"` // start time of the process, as the kernel counts it, because PIDs are reused
	Taken   time.Time `json:"taken"`
	Job     string    `json:"job,omitempty"` // Slurm's job that the process is part of
	Token   string    `json:"token"`         // unique to this lock
	Beating time.Time `json:"-"`             // latest heartbeat, by the file system's clock
	// Ahead is by how much the holder's clock was ahead of the file system's when it last
	// gave a heartbeat; negative if it was behind, 0 for less than a minute.
	Ahead time.Duration `json:"-"`
}

func (h Holder) String() string {
	s := fmt.Sprintf("process %d on %s", h.PID, h.Host)
	if h.Job != "" {
		s += ", Slurm job " + h.Job
	}
	switch {
	case h.Ahead > 0:
		s += fmt.Sprintf(" (the clock there is %v ahead)", h.Ahead.Round(time.Second))
	case h.Ahead < 0:
		s += fmt.Sprintf(" (the clock there is %v behind)", (-h.Ahead).Round(time.Second))
	}
	return s
}

// HeldError says that another process holds a lock.
type HeldError struct {
	Path   string
	Holder Holder
	Alive  bool // the holder is known to live: it is on this machine, or gave a heartbeat since the lock was first seen
}

func (e *HeldError) Error() string {
	s := fmt.Sprintf("%s is held by %v", e.Path, e.Holder)
	if !e.Holder.Taken.IsZero() { // zero if the lock file cannot be read
		s += " since " + e.Holder.Taken.UTC().Format(time.DateTime+" MST")
	}
	return s
}

// ErrLost says that another process took the lock over, because the holder gave no
// heartbeat for so long that it was considered dead.
var ErrLost = errors.New("another process took the work over, as this one gave no sign of life for long")

// Set takes locks and remembers the heartbeats of other holders. Its zero value is ready
// for use. It is not safe for concurrent use.
type Set struct {
	Beat  time.Duration // time between two heartbeats; 0 means 15 s
	Stale time.Duration // time without a heartbeat after which a holder on another machine is considered dead; 0 means 3 min, longer than network file systems cache a file's attributes

	seen map[string]sighting
}

// sighting is when (by our clock) a lock was first seen in its present state.
type sighting struct {
	holder Holder
	at     time.Time
	alive  bool // the holder gave a heartbeat since, or took the lock since
}

// Lock is a lock that this process holds.
type Lock struct {
	path  string
	token string
	stop  chan struct{}
	done  sync.WaitGroup
}

// Take takes the lock at path and makes its folder if necessary. It takes over from a
// dead process: at once if the process was on this machine, because that can be checked;
// else after repeated calls of Take saw no heartbeat for the time Stale. If another
// process holds the lock, the error is a *HeldError.
func (s *Set) Take(path string) (*Lock, error) {
	me := self()
	text, err := json.Marshal(me)
	if err != nil {
		return nil, err
	}
	for range 100 { // retry, because other processes may take and release it meanwhile
		err := disk.Create(path, append(text, '\n'))
		if err == nil {
			delete(s.seen, path)
			return s.hold(path, me.Token), nil
		}
		if !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			if h, unread := Read(path); unread == nil && h.Token == me.Token {
				os.Remove(path) // the file was made, but may not last, because the disk failed afterwards
			}
			return nil, err
		}
		holder, err := Read(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if holder.Token == me.Token { // the first answer of a network file system was lost; the answer to its retry is that the file exists: ours
			return s.hold(path, me.Token), nil
		}
		abandoned, alive := s.watch(path, holder)
		if !abandoned {
			return nil, &HeldError{path, holder, alive}
		}
		if err := takeAway(path, holder.Token); err != nil {
			return nil, err
		}
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil { // a dangling link
		return nil, &disk.Error{Path: path, Err: err}
	}
	return nil, fmt.Errorf("%s: the lock comes and goes; is something else writing into that folder?", path)
}

// Read returns the holder of the lock at path, alive or dead. The error is fs.ErrNotExist
// if there is no lock. A file system without hard links may leave an incomplete file;
// then only Beating is known.
func Read(path string) (Holder, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Holder{}, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Holder{}, err
	}
	h := Holder{Host: "an unknown machine"}
	if json.Unmarshal(text, &h) != nil {
		h = Holder{Host: "an unknown machine"}
	}
	h.Beating = changed(info)
	if ahead := info.ModTime().Sub(h.Beating); ahead.Abs() > time.Minute {
		h.Ahead = ahead
	}
	return h, nil
}

// Dead reports whether the holder is known to be dead: its process was on this machine
// and does not exist any more.
func (h Holder) Dead() bool {
	me := self()
	return h.Host == me.Host && h.Space == me.Space && h.PID > 0 && !alive(h.PID, h.Began)
}

// watch reports whether the holder of the lock at path is dead, or is known to be alive,
// by what this call sees and what earlier ones saw.
func (s *Set) watch(path string, h Holder) (abandoned, alive bool) {
	if h.Dead() {
		return true, false
	}
	if me := self(); h.Host == me.Host && h.Space == me.Space && h.PID > 0 {
		return false, true // even if it sleeps
	}
	before, known := s.seen[path]
	if !known || before.holder.Token != h.Token || !before.holder.Beating.Equal(h.Beating) {
		if s.seen == nil {
			s.seen = map[string]sighting{}
		}
		s.seen[path] = sighting{h, time.Now(), known}
		return false, known
	}
	return time.Since(before.at) > or(s.Stale, 3*time.Minute), before.alive
}

func or(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// takeAway removes the lock of a dead holder. Two processes may try this at once. So it
// first moves the file aside, and moves it back if it turns out to be a new lock.
func takeAway(path, token string) error {
	aside := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.tmp%d%d", filepath.Base(path), os.Getpid(), time.Now().UnixNano()))
	if err := os.Rename(path, aside); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if h, err := Read(aside); err == nil && h.Token != token {
		os.Link(aside, path) // if a third process was faster, Check tells the owner that its lock is lost
	}
	if err := os.Remove(aside); err != nil && !errors.Is(err, fs.ErrNotExist) { // the new holder may have tidied up already
		return err
	}
	return nil
}

func (s *Set) hold(path, token string) *Lock {
	l := &Lock{path: path, token: token, stop: make(chan struct{})}
	tick := time.NewTicker(or(s.Beat, 15*time.Second))
	l.done.Go(func() {
		defer tick.Stop()
		for {
			select {
			case <-l.stop:
				return
			case now := <-tick.C:
				if l.Check() == nil {
					os.Chtimes(path, now, now) // if this fails, others see a dead process, and Check tells us
				}
			}
		}
	})
	return l
}

// Check returns nil while this process holds the lock, and ErrLost if another process
// does. If there is no lock at all, the error is a *disk.Error: the folder is gone. Call
// it before writing what must not be written twice.
func (l *Lock) Check() error {
	h, err := Read(l.path)
	if err != nil {
		return &disk.Error{Path: l.path, Err: err}
	}
	if h.Token != l.token {
		return ErrLost
	}
	return nil
}

// Release releases the lock.
func (l *Lock) Release() error {
	close(l.stop)
	l.done.Wait()
	if err := l.Check(); errors.Is(err, ErrLost) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return os.Remove(l.path)
}

func token() string { return rand.Text() }
