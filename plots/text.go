package plots

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/image/font/sfnt"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
)

// The font has the letters of Europe and few others. In an SVG the reader's own
// fonts step in; in a PNG a box stands for what is lacking, since a blank would
// look as if there were nothing.
const box = "□"

// has says whether the font can draw r.
func has(f *font.Face, r rune) bool {
	var buf sfnt.Buffer
	i, err := f.Face.GlyphIndex(&buf, r)
	return err == nil && i != 0
}

// boxed puts boxes for what the font cannot draw, and notes it in lost. Marks
// and joiners that are part of a letter before them go without.
func boxed(f *font.Face, text string, lost map[rune]bool) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case has(f, r):
			b.WriteRune(r)
		case !unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
			lost[r] = true
			b.WriteString(box)
		}
	}
	return b.String()
}

// textWidth is the width of a line of text. What the font cannot draw is taken
// to be square, as Chinese is in the fonts that have it.
func textWidth(size vg.Length, bold bool, text string) vg.Length {
	f := face(size, bold)
	lacking := 0
	known := strings.Map(func(r rune) rune {
		if has(f, r) {
			return r
		}
		lacking++
		return -1
	}, text)
	return f.Width(known) + size*vg.Length(lacking)
}

// wrap breaks text into lines no wider than w: between words, and inside of
// those that are wider alone.
func wrap(size vg.Length, bold bool, text string, w vg.Length) []string {
	fits := func(s string) bool { return textWidth(size, bold, s) <= w }
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if next := strings.TrimSpace(line + " " + word); fits(next) {
			line = next
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		line = ""
		for _, r := range word {
			if line != "" && !fits(line+string(r)) {
				lines = append(lines, line)
				line = ""
			}
			line += string(r)
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// shortened leaves out the middle of a text that is wider than w: names differ
// at their ends.
func shortened(size vg.Length, bold bool, text string, w vg.Length) string {
	runes := []rune(text)
	for n := len(runes) - 1; n > 0 && textWidth(size, bold, text) > w; n-- {
		text = string(slices.Concat(runes[:(n+1)/2], []rune("…"), runes[len(runes)-n/2:]))
	}
	return text
}
