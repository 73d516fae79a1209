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

// drawable is text as the font draws it, with instead in place of each character
// that it lacks. Joiners and the like are left out, and so are marks that it
// lacks: they are part of the letter before them.
func drawable(f *font.Face, text string, instead func(r rune) string) string {
	var b strings.Builder
	var buf sfnt.Buffer
	for _, r := range text {
		glyph, err := f.Face.GlyphIndex(&buf, r)
		switch {
		case unicode.Is(unicode.Cf, r):
		case err == nil && glyph != 0:
			b.WriteRune(r)
		case !unicode.In(r, unicode.Mn, unicode.Me):
			b.WriteString(instead(r))
		}
	}
	return b.String()
}

// boxed puts boxes for what the font lacks, and notes it in lost.
func boxed(f *font.Face, text string, lost map[rune]bool) string {
	return drawable(f, text, func(r rune) string {
		lost[r] = true
		return box
	})
}

// textWidth is the width of a line of text. What the font lacks is taken to be
// square, as Chinese is in the fonts that have it.
func textWidth(size vg.Length, bold bool, text string) vg.Length {
	f, lacking := face(size, bold), 0
	known := drawable(f, text, func(rune) string {
		lacking++
		return ""
	})
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
