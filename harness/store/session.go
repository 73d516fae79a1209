// Sessions: which process trained which steps of a run, and whether the next one computes
// the same bits.

package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"depthlab/harness/device"
)

// Session is the part of a run's training that one process did.
type Session struct {
	Version string          `json:"version"`            // of the program; "-dirty" at its end: with uncommitted changes
	Go      string          `json:"go,omitempty"`       // version of the Go compiler
	Device  device.Info     `json:"device"`             // as used for this run
	Program string          `json:"program,omitempty"`  // hash of the training program
	Decoder string          `json:"decoder,omitempty"`  // of photos
	Choices []device.Choice `json:"choices,omitempty"`  // algorithms chosen by timing when programs were compiled
	First   int             `json:"first_step"`         // number of finished steps when it began
	Last    int             `json:"last_step"`          // number of finished steps when it saved last, or at which the next session resumed
	Started string          `json:"started"`            // UTC
	Ended   string          `json:"ended,omitempty"`    // UTC, when it saved last
	Seconds float64         `json:"seconds"`            // training time of steps First to Last
	Job     string          `json:"job,omitempty"`      // Slurm's job that the process was part of, as "17" or "17_2"
	Restart int             `json:"restarts,omitempty"` // how often Slurm had put it back into its queue
	Note    string          `json:"note,omitempty"`
}

// String describes the session in one line.
func (s Session) String() string {
	text := fmt.Sprintf("steps %d to %d, %.0f s of training, from %s to %s, version %s, %s", s.First, s.Last, s.Seconds,
		cmp.Or(s.Started, "unknown"), cmp.Or(s.Ended, "unknown"), cmp.Or(s.Version, "unknown"), cmp.Or(s.Device.Summary(), "device unknown"))
	if s.Job != "" {
		text += fmt.Sprintf(", Slurm job %s, restarts %d", s.Job, s.Restart)
	}
	if s.Note != "" {
		text += "; " + s.Note
	}
	return text
}

// unknownHistory is the note of a session that stands for everything done before Sessions
// were recorded.
const unknownHistory = "history before this version unknown"

// settle adjusts the sessions to the checkpoint that a run, whose first step is from,
// resumes from: at step, after so many seconds of training. The last session of a killed process may end after its
// last checkpoint, or before it.
func settle(sessions []Session, from, step int, seconds float64) []Session {
	sessions = slices.Clone(sessions)
	if step > from && !slices.ContainsFunc(sessions, func(s Session) bool { return s.First < step }) {
		sessions = append([]Session{{First: from, Note: unknownHistory}}, sessions...) // run.json was lost
	}
	latest := -1 // index of the session that made the checkpoint
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

// Trained is the training time of sessions, in seconds.
func Trained(sessions []Session) (seconds float64) {
	for _, s := range sessions {
		seconds += s.Seconds
	}
	return seconds
}

// counted lists the sessions whose steps are part of the run. A session that was killed
// before it saved anything is not.
func counted(sessions []Session) []Session {
	return slices.DeleteFunc(slices.Clone(sessions), func(s Session) bool { return s.Last == s.First && s.Note == "" })
}

// short is the first 12 digits of a hash.
func short(hash string) string { return hash[:min(12, len(hash))] }

// arithmetic lists by name everything that determines the bits of a session's sums.
func (s Session) arithmetic() [][2]string {
	all := [][2]string{
		{"device", s.Device.Name}, {"hardware", s.Device.Hardware}, {"threads", fmt.Sprint(s.Device.Threads)},
		{"replicas", fmt.Sprint(max(1, s.Device.Replicas))},
		{"library", s.Device.Library}, {"kernels", s.Device.Kernels}, {"platform", s.Device.Platform}, {"driver", s.Device.Driver},
		{"layout", s.Device.Layout}, {"decoder", s.Decoder}, {"program", short(s.Program)},
	}
	for _, c := range s.Choices {
		all = append(all, [2]string{"compiled " + c.Key, c.Value})
	}
	return all
}

// Changed says in what the session's arithmetic differs from an earlier one's; "" if in
// nothing. A value that only one of them has is a change, too, except for compiled
// programs: a session may compile a program that the earlier one did not have.
func (s Session) Changed(before Session) string {
	then := map[string]string{}
	for _, v := range before.arithmetic() {
		then[v[0]] = v[1]
	}
	var words []string
	for _, v := range s.arithmetic() {
		old, known := then[v[0]]
		if v[0] == "program" && old == "" {
			continue // earlier versions did not record it
		}
		if known && old != v[1] {
			word := fmt.Sprintf("%s %s -> %s", v[0], cmp.Or(old, "none"), cmp.Or(v[1], "none"))
			if v[0] == "replicas" {
				word += ", which adds in another order"
			}
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}
