// Package lock keeps two processes from doing the same work, on one machine or
// on several that share a folder. A lock is a file that says who holds it, and
// whose time of change is the holder's latest sign of life. That needs nothing
// of the file system but names that are made exclusively: no flock, which
// network file systems may not pass on, and no clocks that agree.
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

// Holder is who holds a lock.
type Holder struct {
	Host    string    `json:"host"`
	Space   string    `json:"space"` // where its PID means something: this start of this machine, this container
	PID     int       `json:"pid"`
	Began   string    `json:"began,omitempty"` // when the process began, in the kernel's count; a PID is used again
	Taken   time.Time `json:"taken"`
	Token   string    `json:"token"` // of this lock alone
	Beating time.Time `json:"-"`     // its latest sign of life, by the file system's clock
}

func (h Holder) String() string { return fmt.Sprintf("process %d on %s", h.PID, h.Host) }

// HeldError says that another process holds a lock.
type HeldError struct {
	Path   string
	Holder Holder
}

func (e *HeldError) Error() string {
	s := fmt.Sprintf("%s is held by %v", e.Path, e.Holder)
	if !e.Holder.Taken.IsZero() { // else its file cannot be read
		s += " since " + e.Holder.Taken.UTC().Format(time.DateTime+" MST")
	}
	return s
}

// ErrLost says that a lock was taken over: its holder gave no sign of life for
// so long that it was taken for dead.
var ErrLost = errors.New("another process took the work over, as this one gave no sign of life for long")

// Set takes locks and remembers what it has seen of others'. Its zero value is
// ready. It is for one goroutine.
type Set struct {
	Beat  time.Duration // between two signs of life; 0: 15 s
	Stale time.Duration // without one, the holder on another machine is taken for dead; 0: 3 min, above the time that network file systems remember a file's state

	seen map[string]sighting
}

// sighting is when a lock was first seen in its present state, by our clock.
type sighting struct {
	holder Holder
	at     time.Time
}

// Lock is a lock that this process holds.
type Lock struct {
	path  string
	token string
	stop  chan struct{}
	done  sync.WaitGroup
}

// Take takes the lock at path, whose folder is made if need be. It takes over
// from a process that is dead: at once where that can be seen, on this
// machine; else when Take was called again and again for the time Stale
// without any sign of life. If another holds it the error is a *HeldError.
func (s *Set) Take(path string) (*Lock, error) {
	me := self()
	text, err := json.Marshal(me)
	if err != nil {
		return nil, err
	}
	for range 100 { // others may come and go meanwhile
		err := disk.Create(path, append(text, '\n'))
		if err == nil {
			delete(s.seen, path)
			return s.hold(path, me.Token), nil
		}
		if !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			if h, unread := Read(path); unread == nil && h.Token == me.Token {
				os.Remove(path) // it was made, but perhaps not for long: the disk failed after it
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
		if holder.Token == me.Token { // the answer of a network file system was lost, and its second is that the name is taken: by us
			return s.hold(path, me.Token), nil
		}
		if !s.abandoned(path, holder) {
			return nil, &HeldError{path, holder}
		}
		if err := takeAway(path, holder.Token); err != nil {
			return nil, err
		}
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil { // a link to nothing
		return nil, &disk.Error{Path: path, Err: err}
	}
	return nil, fmt.Errorf("%s: the lock comes and goes; is something else writing into that folder?", path)
}

// Read says who holds the lock at path, living or not. The error is
// fs.ErrNotExist where nobody does. Of a file that is not whole, as a file
// system without hard links may leave one, only Beating is known.
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
	h.Beating = info.ModTime()
	return h, nil
}

// Dead says whether the holder can be seen to be dead: it was a process of
// this machine, and is none any more.
func (h Holder) Dead() bool {
	me := self()
	return h.Host == me.Host && h.Space == me.Space && h.PID > 0 && !alive(h.PID, h.Began)
}

func (s *Set) abandoned(path string, h Holder) bool {
	if h.Dead() {
		return true
	}
	if me := self(); h.Host == me.Host && h.Space == me.Space && h.PID > 0 {
		return false // alive, if it sleeps
	}
	before, known := s.seen[path]
	if !known || before.holder.Token != h.Token || !before.holder.Beating.Equal(h.Beating) {
		if s.seen == nil {
			s.seen = map[string]sighting{}
		}
		s.seen[path] = sighting{h, time.Now()}
		return false
	}
	return time.Since(before.at) > or(s.Stale, 3*time.Minute)
}

func or(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// takeAway removes the lock of a dead holder. Two may try it at once, so the
// file is first moved, and goes back if it turns out to be a new lock.
func takeAway(path, token string) error {
	aside := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.tmp%d%d", filepath.Base(path), os.Getpid(), time.Now().UnixNano()))
	if err := os.Rename(path, aside); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if h, err := Read(aside); err == nil && h.Token != token {
		os.Link(aside, path) // where a third was faster, the owner finds its lock lost
	}
	return os.Remove(aside)
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
					os.Chtimes(path, now, now) // failing that, others see a dead process; Check tells us
				}
			}
		}
	})
	return l
}

// Check returns nil while this process holds the lock, and ErrLost when
// another does. Without any lock there, the error is a *disk.Error: the folder
// is gone. Ask before writing what must not be written twice.
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

// Release gives the lock back.
func (l *Lock) Release() error {
	close(l.stop)
	l.done.Wait()
	if err := l.Check(); errors.Is(err, ErrLost) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return os.Remove(l.path)
}

func token() string { return rand.Text() }
