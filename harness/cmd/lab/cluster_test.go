// A Slurm cluster of two nodes on this machine, for tests.

package main

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"depthlab/harness/testskip"
)

// cluster is a Slurm for the tests: a controller, two nodes n1 and n2 that are both this
// machine, and authentication. It needs no root.
type cluster struct {
	t     *testing.T
	dir   string
	nodes map[string]*exec.Cmd // the daemon of each
}

// cred_expire limits how long a requeued job waits, two minutes by default.
const slurmConf = `
ClusterName=test
SlurmctldHost=HOST(127.0.0.1)
SlurmctldPort=PORT0
SlurmUser=USER
SlurmdUser=USER
AuthType=auth/munge
AuthInfo=socket=DIR/munge,cred_expire=10
StateSaveLocation=DIR/state
SlurmdSpoolDir=DIR/%n
SlurmctldPidFile=DIR/slurmctld.pid
SlurmdPidFile=DIR/%n.pid
SlurmctldLogFile=DIR/slurmctld.log
SlurmdLogFile=DIR/%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
JobRequeue=1
KillWait=20
NodeName=n1 NodeHostname=HOST NodeAddr=127.0.0.1 Port=PORT1 CPUs=8 RealMemory=8000 State=UNKNOWN
NodeName=n2 NodeHostname=HOST NodeAddr=127.0.0.1 Port=PORT2 CPUs=8 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
`

// startCluster starts Slurm until the end of the test, and makes its commands use it.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	for _, name := range []string{"sbatch", "slurmctld", "slurmd", "munged"} {
		if _, err := exec.LookPath(name); err != nil {
			testskip.Skip(t, "no Slurm here: %v (Debian's packages slurm-wlm and munge)", err)
		}
	}
	dir, err := os.MkdirTemp("", "slurm") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t, dir, map[string]*exec.Cmd{}}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	user, err := exec.Command("id", "-un").Output()
	if err != nil {
		t.Fatal(err)
	}
	words := []string{"HOST", host, "DIR", dir, "USER", strings.TrimSpace(string(user))}
	for i := range 3 {
		words = append(words, fmt.Sprint("PORT", i), fmt.Sprint(freePort(t)))
	}
	for _, folder := range []string{"state", "n1", "n2"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	key := make([]byte, 1024)
	rand.Read(key)
	for name, text := range map[string]string{"slurm.conf": strings.NewReplacer(words...).Replace(slurmConf), "key": string(key)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	conf := filepath.Join(dir, "slurm.conf")
	t.Setenv("SLURM_CONF", conf)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Slurm's own logs are in %s", dir)
		} else {
			os.RemoveAll(dir)
		}
	})
	c.daemon("munged", "--foreground", "--force", "--key-file="+dir+"/key", "--socket="+dir+"/munge", "--pid-file="+dir+"/munge.pid", "--seed-file="+dir+"/seed", "--log-file="+dir+"/munged.log")
	c.until("the socket of munge", func() bool { _, err := os.Stat(dir + "/munge"); return err == nil })
	c.daemon("slurmctld", "-D", "-f", conf)
	c.node("n1")
	c.node("n2")
	t.Cleanup(func() {
		exec.Command("scancel", "--user", words[5]).Run()
		c.until("the end of all jobs", func() bool { out, err := exec.Command("squeue", "-h").Output(); return err == nil && len(out) == 0 })
	})
	c.until("two idle nodes", func() bool {
		out, _ := exec.Command("sinfo", "--noheader", "--Node", "--format=%T").Output()
		return string(out) == "idle\nidle\n"
	})
	return c
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// daemon runs a program in the foreground until the test ends, or until it is killed.
func (c *cluster) daemon(name string, args ...string) *exec.Cmd {
	c.t.Helper()
	cmd := exec.Command(name, args...)
	log, err := os.OpenFile(filepath.Join(c.dir, filepath.Base(name)+".out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); cmd.Wait() }()
	c.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
	})
	return cmd
}

// node starts the daemon of a node.
func (c *cluster) node(name string) {
	c.t.Helper()
	c.nodes[name] = c.daemon("slurmd", "-D", "-N", name, "-f", filepath.Join(c.dir, "slurm.conf"))
}

// reset simulates a node that lost its power and came back: it kills all processes of a job, of
// which pid is one, and makes Slurm set the node down, which it otherwise does after a while.
func (c *cluster) reset(name string, pid int) {
	c.t.Helper()
	chain := []int{pid} // and its ancestors, up to Slurm's process that started the job
	for above := parent(c.t, pid); above > 1 && above != os.Getpid() && above != c.nodes[name].Process.Pid; above = parent(c.t, above) {
		chain = append(chain, above)
	}
	c.nodes[name].Process.Kill()
	for _, pid := range chain {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	for _, state := range []string{"down", "resume"} {
		if out, err := exec.Command("scontrol", "update", "nodename="+name, "state="+state, "reason=power").CombinedOutput(); err != nil {
			c.t.Fatalf("%v: %s", err, out)
		}
		if state == "down" {
			c.node(name)
		}
	}
}

// until waits until holds returns true.
func (c *cluster) until(what string, holds func() bool) { waitFor(c.t, what, holds) }

func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); time.Sleep(200 * time.Millisecond) {
		if time.Since(began) > 5*time.Minute {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// parent returns the process ID of a process's parent.
func parent(t *testing.T, pid int) (above int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(status), "PPid:\t")
	fmt.Sscan(text, &above)
	return above
}
