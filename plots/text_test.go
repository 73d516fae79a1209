// Tests of text: nothing overlaps or leaves the picture, missing characters are reported.

package plots

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/recorder"
)

// sized is a canvas that only records what is drawn.
type sized struct {
	recorder.Canvas
	w, h vg.Length
}

func (s *sized) Size() (w, h vg.Length) { return s.w, s.h }

// written is a line of text in a picture and its position.
type written struct {
	text string
	vg.Rectangle
}

// texts lists the texts of a figure, except rotated ones.
func texts(fig *figure) []written {
	w, h := fig.size()
	c := &sized{w: w, h: h}
	fig.draw(c, nil)
	var all []written
	turned := false
	for _, a := range c.Actions {
		switch a := a.(type) {
		case *recorder.Rotate:
			turned = true
		case *recorder.Pop:
			turned = false
		case *recorder.FillString:
			if turned || a.String == "" {
				continue
			}
			bold := a.Font.Weight == xfont.WeightBold
			width := textWidth(a.Font.Size, bold, a.String)
			all = append(all, written{a.String, vg.Rectangle{Min: a.Point, Max: vg.Point{X: a.Point.X + width, Y: a.Point.Y + 0.7*a.Font.Size}}})
		}
	}
	return all
}

// All text lies inside the picture and no two texts overlap, however many nets there are
// and whatever their names and the question's title.
func TestTextStaysInside(t *testing.T) {
	for name, make := range questions {
		q, rs := make()
		nets, err := group(rs)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range Names() {
			fig, err := figures[kind](q.Title, nets)
			if err != nil {
				continue // nothing to draw
			}
			w, h := fig.size()
			all := texts(fig)
			for i, a := range all {
				if a.Min.X < 0 || a.Max.X > w || a.Min.Y < 0 || a.Max.Y > h {
					t.Errorf("%s, %s: %q lies outside the picture: %.0f, of %.0f x %.0f", name, kind, a.text, a.Rectangle, w, h)
				}
				for _, b := range all[:i] {
					if a.Min.X < b.Max.X && b.Min.X < a.Max.X && a.Min.Y < b.Max.Y && b.Min.Y < a.Max.Y {
						t.Errorf("%s, %s: %q overlaps %q", name, kind, a.text, b.text)
					}
				}
			}
		}
	}
}

// In the PNG a box replaces a character that the font lacks, and the user is told. The
// SVG and the tables have the text itself.
func TestTextThatTheFontLacks(t *testing.T) {
	q, rs := foreign()
	nets, err := group(rs)
	if err != nil {
		t.Fatal(err)
	}
	fig, err := trainingCurves("深 Мельче βαθύ e\u0301 👩\u200d🔬 深", nets)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fig.png(dpi); err != nil {
		t.Fatal(err)
	}
	if got := listed(fig.lost); got != "深👩🔬" {
		t.Errorf("the font lacks %q, want 深👩🔬", got)
	}
	if got := boxed(face(titleSize, true), fig.title, map[rune]bool{}); got != "□ Мельче βαθύ e\u0301 □□ □" && got != "□ Мельче βαθύ e □□ □" {
		t.Errorf("drawn as %q", got)
	}
	svg, err := fig.svg()
	if err != nil || !bytes.Contains(svg, []byte("深 Мельче βαθύ e\u0301 👩\u200d🔬 深")) {
		t.Errorf("the SVG lacks the title: %v", err)
	}

	var said []string
	q.Say = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if err := Draw(t.TempDir(), q, rs); err != nil {
		t.Fatal(err)
	}
	if len(said) != 1 || !strings.Contains(said[0], "和 and") && !strings.Contains(said[0], "more: a box stands for each") {
		t.Errorf("said %q, want one line", said)
	}
	said = nil
	q.Title = "Déjà vu: мельче?"
	if err := Draw(t.TempDir(), q, rs); err != nil || len(said) > 0 {
		t.Errorf("said %q of a title that can be drawn; %v", said, err)
	}
}

func TestWrap(t *testing.T) {
	const w = 100
	for _, text := range []string{"", "a", "some words that do not fit one line", strings.Repeat("x", 300), "a " + strings.Repeat("long", 50) + " b", strings.Repeat("深", 40)} {
		lines := wrap(titleSize, true, text, w)
		for _, l := range lines {
			if textWidth(titleSize, true, l) > w {
				t.Errorf("%q is wider than the line", l)
			}
		}
		bare := func(s string) string { return strings.ReplaceAll(s, " ", "") }
		if got := bare(strings.Join(lines, "")); got != bare(text) {
			t.Errorf("%q became %q", text, got)
		}
	}
	if got := shortened(titleSize, true, strings.Repeat("x", 50)+"end", w); textWidth(titleSize, true, got) > w || !strings.HasSuffix(got, "end") || !strings.Contains(got, "…") {
		t.Errorf("shortened to %q", got)
	}
	if got := shortened(titleSize, true, "short", w); got != "short" {
		t.Errorf("shortened to %q", got)
	}
}

// Families have different styles, as long as there are enough colours and dashes.
func TestLooksDiffer(t *testing.T) {
	_, rs := crowd(15, 1, 20)
	nets, err := group(rs)
	if err != nil {
		t.Fatal(err)
	}
	fs := familiesOf(nets)
	seen := map[string]string{}
	for _, n := range nets {
		l := fs.look(n, fs.color(n))
		if other, taken := seen[fmt.Sprint(l)]; taken {
			t.Errorf("%s looks like %s", n.Label(), other)
		}
		seen[fmt.Sprint(l)] = n.Label()
	}
	if len(seen) != 30 || !slices.Contains(fs.names, "plain") {
		t.Errorf("%d families: %q", len(seen), fs.names)
	}
}
