// Sessions of a run: what each process that trained it was, and whether the
// next one computes as it did.
package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"depthlab/harness/device"
)

// Session is the part that one process had in the training of a run.
type Session struct {
	Version string          `json:"version"`           // of the program; "-dirty" behind it: with changes that were not committed
	Go      string          `json:"go,omitempty"`      // version of the Go compiler
	Device  device.Info     `json:"device"`            // as it computed
	Program string          `json:"program,omitempty"` // hash of the training program
	Decoder string          `json:"decoder,omitempty"` // of photos
	Choices []device.Choice `json:"choices,omitempty"` // made by timing when programs were compiled
	First   int             `json:"first_step"`        // finished steps when it began
	Last    int             `json:"last_step"`         // finished steps that it saved, or that the next session went on from
	Started string          `json:"started"`           // UTC
	Ended   string          `json:"ended,omitempty"`   // UTC, of the last time that it saved
	Seconds float64         `json:"seconds"`           // of training, in steps First to Last
	Note    string          `json:"note,omitempty"`
}

// String is the session in a line.
func (s Session) String() string {
	text := fmt.Sprintf("steps %d to %d, %.0f s of training, from %s to %s, version %s, %s", s.First, s.Last, s.Seconds,
		cmp.Or(s.Started, "unknown"), cmp.Or(s.Ended, "unknown"), cmp.Or(s.Version, "unknown"), cmp.Or(s.Device.Summary(), "device unknown"))
	if s.Note != "" {
		text += "; " + s.Note
	}
	return text
}

// unknownHistory is the note of a session that stands for all that a program
// did before Sessions were written down.
const unknownHistory = "history before this version unknown"

// settle makes the sessions agree with the checkpoint that a run goes on from:
// at step, after that many seconds of training. A process that was killed may have
// left a session that ends behind its last checkpoint or before it.
func settle(sessions []Session, step int, seconds float64) []Session {
	sessions = slices.Clone(sessions)
	if step > 0 && !slices.ContainsFunc(sessions, func(s Session) bool { return s.First < step }) {
		sessions = append([]Session{{Note: unknownHistory}}, sessions...) // run.json was lost
	}
	latest := -1 // the session that made the checkpoint
	for i := range sessions {
		s := &sessions[i]
		if s.First >= step {
			s.First = min(s.First, step)
			s.Last, s.Seconds = s.First, 0
			continue
		}
		s.Last, latest = min(s.Last, step), i
	}
	if latest >= 0 {
		sessions[latest].Last = step
		sessions[latest].Seconds += seconds - Trained(sessions)
	}
	return sessions
}

// Trained is the time that sessions trained, in seconds.
func Trained(sessions []Session) (seconds float64) {
	for _, s := range sessions {
		seconds += s.Seconds
	}
	return seconds
}

// counted are the sessions whose steps are part of the run: one that was killed
// before it saved anything is not.
func counted(sessions []Session) []Session {
	return slices.DeleteFunc(slices.Clone(sessions), func(s Session) bool { return s.Last == s.First && s.Note == "" })
}

// short is the beginning of a hash.
func short(hash string) string { return hash[:min(12, len(hash))] }

// arithmetic lists what decides the bits of a session's sums, by name.
func (s Session) arithmetic() [][2]string {
	all := [][2]string{
		{"device", s.Device.Name}, {"hardware", s.Device.Hardware}, {"threads", fmt.Sprint(s.Device.Threads)},
		{"library", s.Device.Library}, {"kernels", s.Device.Kernels}, {"platform", s.Device.Platform}, {"driver", s.Device.Driver},
		{"layout", s.Device.Layout}, {"decoder", s.Decoder}, {"program", short(s.Program)},
	}
	for _, c := range s.Choices {
		all = append(all, [2]string{"compiled " + c.Key, c.Value})
	}
	return all
}

// Changed spells out in what the session computes otherwise than an earlier one;
// "" for nothing. What only one of them knows of is a change, too, but for what was
// compiled: another program may be compiled that has no earlier one.
func (s Session) Changed(before Session) string {
	then := map[string]string{}
	for _, v := range before.arithmetic() {
		then[v[0]] = v[1]
	}
	var words []string
	for _, v := range s.arithmetic() {
		old, known := then[v[0]]
		if v[0] == "program" && old == "" {
			continue // an earlier version of this program did not write it down
		}
		if known && old != v[1] {
			words = append(words, fmt.Sprintf("%s %s -> %s", v[0], cmp.Or(old, "none"), cmp.Or(v[1], "none")))
		}
	}
	return strings.Join(words, ", ")
}
