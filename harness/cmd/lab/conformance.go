// The parts of gpu-check that run devicetest's tests inside this program.

package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"depthlab/harness/bench"
	"depthlab/harness/device"
	"depthlab/harness/device/devicetest"
	"depthlab/harness/machine"
	"depthlab/harness/testskip"
)

// conformance returns a part of gpu-check that runs the tests of devicetest as "go test -v"
// with the flags would, prints their log to standard output, and exits the process. Tests that
// would begin after ctx's deadline are skipped.
func conformance(flags ...string) func(context.Context, checkFlags, machine.Machine, device.Device) (string, *bench.Result, error) {
	return func(ctx context.Context, _ checkFlags, _ machine.Machine, dev device.Device) (string, *bench.Result, error) {
		devicetest.End, _ = ctx.Deadline()
		os.Args = append([]string{os.Args[0], "-test.v"}, flags...)
		os.Unsetenv(testskip.All) // the short tests: the time is limited
		start := func(testing.TB) device.Device { return borrowed{dev} }
		precisions := []device.Precision{device.FP32}
		if dev.Info().Bfloat16 {
			precisions = append(precisions, device.BF16)
		}
		testing.Main(regexp.MatchString, []testing.InternalTest{{Name: "TestDevice", F: func(t *testing.T) {
			devicetest.Golden(t, start)
			devicetest.Run(t, start, precisions...)
		}}}, nil, nil)
		panic("unreachable")
	}
}

// borrowed is a device that Close does not close.
type borrowed struct{ device.Device }

func (borrowed) Close() error { return nil }

// summarise counts passed and skipped tests in a log of "go test -v", without the tests that
// have subtests. The error names the failed tests, or says that the log is incomplete.
func summarise(log string) (string, error) {
	passed, skipped := 0, 0
	var failed []string
	lines := strings.Split(log, "\n")
	ended := false
	for i, line := range lines {
		ended = ended || line == "PASS" || line == "FAIL"
		result, rest, ok := strings.Cut(strings.TrimSpace(line), ": ")
		name, _, _ := strings.Cut(rest, " ")
		if !ok || !strings.HasPrefix(result, "--- ") || i+1 < len(lines) && strings.Contains(lines[i+1], ": "+name+"/") {
			continue
		}
		switch result {
		case "--- PASS":
			passed++
		case "--- FAIL":
			failed = append(failed, name)
		case "--- SKIP":
			skipped++
		}
	}
	text := fmt.Sprintf("%d tests passed, %d skipped, %d of them for lack of time", passed, skipped, strings.Count(log, devicetest.OutOfTime))
	switch {
	case len(failed) > 0:
		return "", fmt.Errorf("%s; failed: %s", text, strings.Join(failed, ", "))
	case !ended || passed == 0:
		return "", fmt.Errorf("%s; the tests did not run to the end", text)
	}
	return text, nil
}
