// Tests of CPU time, on made-up file systems.

package limits

import (
	"testing"
	"time"
)

func TestCPUTime(t *testing.T) {
	const stat = "cpu  1111 2222 3333 4444 0 55 66 0 0 0\n" +
		"cpu0 100 20 30 999 88 4 5 777 66 0\n" +
		"cpu1 1000 200 300 999 88 40 50 777 66 0\n" +
		"cpu10 10000 2000 3000 999 88 400 500 777 66 0\n" +
		"intr 1 2 3 4 5 6 7 8 9\nctxt 12\n"
	for name, c := range map[string]struct {
		stat, allowed string
		niced         bool
		want          time.Duration // -1: not known
	}{
		"one CPU":                  {stat, "0", true, 1590},
		"without niced processes":  {stat, "0", false, 1390},
		"a range":                  {stat, "0-1", true, 17490},
		"a list":                   {stat, "0,2-9,10", true, 160590},
		"all":                      {stat, "0-127", true, 176490},
		"none of them":             {stat, "2-9", true, -1},
		"no list":                  {stat, "", true, -1},
		"no such file":             {"", "0", true, -1},
		"a line that is too short": {"cpu0 1 2 3 4\n", "0", true, -1},
	} {
		files := map[string]string{"proc/self/status": "Name:\tlab\nCpus_allowed:\tff\nCpus_allowed_list:\t" + c.allowed + "\nMems_allowed:\t1\n"}
		if c.stat != "" {
			files["proc/stat"] = c.stat
		}
		got, known := CPUTime(tree(files), c.niced)
		if want := c.want * time.Millisecond; known != (c.want >= 0) || known && got != want {
			t.Errorf("%s: %v, known %v, want %v", name, got, known, want)
		}
	}
	if _, known := CPUTime(tree(nil), true); known {
		t.Error("known without files")
	}
}
