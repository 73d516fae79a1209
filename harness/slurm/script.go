// The batch script.

package slurm

import (
	"fmt"
	"strings"
)

// Script is a batch script: an array of tasks that share work, and with the argument
// "plot" the job that follows them.
type Script struct {
	About   string   // what it does, in a line
	Name    string   // of the job
	Path    string   // where the script itself lies, in the folder that gets the logs
	Dir     string   // the folder that the commands are run in
	Tasks   int      // of the array
	Options []string // of sbatch; they override those that the script has itself
	Train   []string // the command of a task
	Plot    []string // the command of the job that follows
}

// Log is the log of a job, in the script's folder, in Slurm's spelling: %A is the array's
// number, %a the task's.
const Log = "%A_%a.log"

// Text is the script. A task that is told to end in time, by USR1 or by its own clock,
// has saved its state and ends with exit code 138 or 75; it goes back into the queue.
// One that ends by TERM does so only if Slurm still counts it as running: it was preempted
// with time to end, not cancelled.
func (s Script) Text() string {
	dir := s.Path[:strings.LastIndexByte(s.Path, '/')]
	header := [][]string{
		{"--job-name=" + s.Name},
		{fmt.Sprintf("--array=0-%d", s.Tasks-1)},
		{"--chdir=" + dir},
		{"--output=" + Log, "--open-mode=append"},
		{"--requeue", fmt.Sprintf("--signal=B:USR1@%.0f", Warning.Seconds())},
	}
	if len(s.Options) > 0 {
		header = append(header, s.Options)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "#!/usr/bin/env bash\n# %s\n", strings.ReplaceAll(s.About, "\n", " "))
	for _, words := range header {
		fmt.Fprintf(&b, "#SBATCH %s\n", Quote(words))
	}
	r := strings.NewReplacer("SCRIPT", Quote([]string{s.Path}), "DIR", Quote([]string{s.Dir}), "TRAIN", Quote(s.Train), "PLOT", Quote(s.Plot))
	b.WriteString(r.Replace(body))
	return b.String()
}

const body = `
script=SCRIPT
if [ ! -e "$script" ]; then
	echo "$(uname -n) does not have $script, which the machine has that submitted this job: the project's folder must lie on a disk that all nodes share" >&2
	exit 1
fi
cd DIR || exit 1

if [ "${1:-}" = plot ]; then
	exec PLOT
fi

# Slurm signals this shell alone, some time before the time limit (--signal above).
trap 'woken=yes; kill -USR1 $! 2>/dev/null' USR1
trap 'woken=yes; kill -TERM $! 2>/dev/null' TERM
TRAIN &
lab=$!
woken=yes
while [ -n "$woken" ]; do # a signal wakes wait, too
	woken=
	wait $lab
	code=$?
done

again=
case $code in
75 | 138) again=yes ;; # its time was up; it has saved
143) # preempted with time to end, if Slurm has not ended the job itself
	[ "$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T)" != RUNNING ] || again=yes ;;
esac
if [ -n "$again" ]; then
	echo "back into the queue, to go on from here"
	scontrol requeue "$SLURM_JOB_ID"
fi
exit $code
`

// Quote writes words so that a shell, and sbatch in its #SBATCH lines, read them as they
// are.
func Quote(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if quoted[i] = w; w == "" || strings.Trim(w, plain) != "" {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@%"
