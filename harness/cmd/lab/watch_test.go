// Tests of the command watch.

package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWatch(t *testing.T) {
	published, err := filepath.Abs("../../../results/published")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		args string
		want []string
	}{
		{"watch", []string{"results", "expected a folder of results"}},
		{"watch " + root + "/none", []string{"none", "expected a folder of results"}},
		{"watch ../../../go.mod", []string{"go.mod", "expected a folder of results", "(it is a file)"}},
		{"watch a b", []string{"expected one folder"}},
		{"watch --listen x:y:z " + published, []string{"--listen x:y:z", "expected an address and a port"}},
		{"watch --listen 127.0.0.1:99999 " + published, []string{"--listen 127.0.0.1:99999", "choose another port"}},
		{"watch " + published + " --listen " + taken.Addr().String(), []string{"--listen " + taken.Addr().String(), "address already in use", "choose another port"}},
	} {
		cmd, _, say := lab(root, strings.Fields(c.args)...)
		if got := code(cmd.Run()); got != 2 {
			t.Errorf("lab %s: exit code %d, want 2\n%s", c.args, got, say)
		}
		for _, w := range c.want {
			if !strings.Contains(say.String(), w) {
				t.Errorf("lab %s: %q, want %q in it", c.args, say, w)
			}
		}
	}

	cmd, _, _ := lab(root, "watch", published, "--listen", "0")
	cmd.Stderr = nil
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	address := ""
	for lines := bufio.NewScanner(said); address == "" && lines.Scan(); {
		if _, rest, found := strings.Cut(lines.Text(), "watch at "); found {
			address, _, _ = strings.Cut(rest, ";")
		}
	}
	for path, want := range map[string]string{
		"/": "Do deeper plain nets train worse", "/q/plain_vs_res/cifar10-cpu/": "<h1>Do deeper plain nets", "/q/plain_vs_res/cifar10-cpu/news": `"name":"plain-56"`,
	} {
		r, err := http.Get(address + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != 200 || !strings.Contains(string(text), want) {
			t.Errorf("%s: %d, %v, want %q in\n%.2000s", path, r.StatusCode, err, want, text)
		}
	}
}
