// Tests of the uPlot library, the short numbers and the sections of the page.

package report

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
)

// The library in the repository is npm's uplot 1.6.32, unchanged.
func TestUPlotIsPinned(t *testing.T) {
	for name, want := range map[string]string{
		"uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
		"uPlot.min.css":     "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
		"LICENSE":           "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
	} {
		text, err := os.ReadFile("uplot/" + name)
		if got := fmt.Sprintf("%x", sha256.Sum256(text)); err != nil || got != want {
			t.Errorf("%s: SHA-256 %s, want %s; %v", name, got, want, err)
		}
	}
}

func TestNumbersAreShort(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{Steps{50, 100, 391}, "[50,50,291]"},
		{Steps{}, "[]"},
		{Values{12.34567, 0.123456789, 0, 100, math.NaN(), math.Inf(1), 1e-7, 2.5e9, -3.14159}, "[12.346,0.12346,0,100,null,null,1e-07,2.5e+09,-3.142]"},
	} {
		text, err := json.Marshal(c.value)
		if err != nil || string(text) != c.want {
			t.Errorf("%v: %s, want %s; %v", c.value, text, c.want, err)
		}
	}
}

// The recipe is said to be the paper's only if it is known to be.
func TestRecipe(t *testing.T) {
	for _, c := range []struct {
		page Page
		want string
	}{
		{Page{}, "<p>Not known.</p>"},
		{Page{Recipe: "batch: 128"}, "<p>What differs from the paper's is listed here when a run has begun.</p>"},
		{Page{Recipe: "batch: 128", Caveat: "The paper's recipe and data."}, "<p>The paper&#39;s recipe and data.</p>"},
		{Page{Caveat: "Not the paper's recipe: bf16.", Differences: []string{"bf16: plain-20"}}, "<li>bf16: plain-20</li>"},
	} {
		got, err := Section("recipe", Sections(c.page)["recipe"])
		if err != nil || !strings.Contains(got, c.want) || strings.Contains(got, "batch: 128") != (c.page.Recipe != "") {
			t.Errorf("%+v: %q, want %q; %v", c.page, got, c.want, err)
		}
		var file strings.Builder
		if err := Write(&file, c.page); err != nil || !strings.Contains(file.String(), got) {
			t.Errorf("%+v: the page lacks %q; %v", c.page, got, err)
		}
	}
}
