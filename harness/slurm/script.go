// The batch script.

package slurm

import (
	"fmt"
	"strings"
)

// Script is a batch script: an array of tasks that share work and, with the argument "plot", the job
// that follows them.
type Script struct {
	About   string   // what it does, in one line
	Name    string   // name of the job
	Path    string   // path of the script, in the folder of the logs
	Dir     string   // folder in which commands run
	Tasks   int      // number of tasks of the array
	Options []string // options of sbatch, which override those of the script
	Train   []string // command of a task
	Plot    []string // command of the job that follows
}

// Log is the name of a job's log in the script's folder, with Slurm's patterns: %A is the number of
// the array, %a that of the task.
const Log = "%A_%a.log"

// Text is the text of the script. A task that ends because of USR1 or its own clock has saved, and
// has exit code 138 or 75; the script requeues it. A task that ends because of TERM is requeued only
// if Slurm still counts it as running: then it was preempted, with time to save, and not cancelled.
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
	echo "$script exists on the machine that submitted this job, but not on $(uname -n): the project's folder must be on a disk that all nodes share" >&2
	exit 1
fi
cd DIR || exit 1

if [ "${1:-}" = plot ]; then
	exec PLOT
fi

# Slurm sends USR1 to this shell only, before the time limit (--signal above).
trap 'woken=yes; kill -USR1 $! 2>/dev/null' USR1
trap 'woken=yes; kill -TERM $! 2>/dev/null' TERM
TRAIN &
lab=$!
woken=yes
while [ -n "$woken" ]; do # wait also returns after a signal
	woken=
	wait $lab
	code=$?
done

# The task's own name. Of one task SLURM_JOB_ID is the number of the array, and names all of its tasks.
job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
again=
case $code in
75 | 138) again=yes ;; # the time limit was near; it has saved
143) # preempted with time to save, unless Slurm ended the job itself
	[ "$(squeue --noheader --jobs="$job" --format=%T)" != RUNNING ] || again=yes ;;
esac
if [ -n "$again" ]; then
	if scontrol requeue "$job"; then
		echo "requeued; it will resume from here"
	else
		echo "Slurm did not requeue $job: submit the question again, and it resumes from here" >&2
	fi
fi
exit $code
`

// Quote quotes words for a shell, and for sbatch in #SBATCH lines.
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
