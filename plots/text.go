// Text: width, line breaking, and characters that the font lacks.

package plots

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/image/font/sfnt"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
)

// The font has the letters of Europe and few others. In an SVG the viewer's fonts supply
// the rest. In a PNG a box replaces a missing character, because a blank would hide that
// something is missing.
const box = "□"

// drawable returns text with each character that the font lacks replaced by instead. It
// leaves out joiners and similar characters, and missing combining marks, because they
// belong to the letter before them.
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

// boxed replaces the characters that the font lacks by boxes and adds them to lost.
func boxed(f *font.Face, text string, lost map[rune]bool) string {
	return drawable(f, text, func(r rune) string {
		lost[r] = true
		return box
	})
}

// textWidth is the width of a line of text. Characters that the font lacks count as
// square, as Chinese characters are in fonts that have them.
func textWidth(size vg.Length, bold bool, text string) vg.Length {
	f, lacking := face(size, bold), 0
	known := drawable(f, text, func(rune) string {
		lacking++
		return ""
	})
	return f.Width(known) + size*vg.Length(lacking)
}

// wrap breaks text into lines no wider than w: between words, and inside words that are
// wider than a line.
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

// shortened leaves out the middle of a text that is wider than w, because names differ at
// their ends.
func shortened(size vg.Length, bold bool, text string, w vg.Length) string {
	runes := []rune(text)
	for n := len(runes) - 1; n > 0 && textWidth(size, bold, text) > w; n-- {
		text = string(slices.Concat(runes[:(n+1)/2], []rune("…"), runes[len(runes)-n/2:]))
	}
	return text
}
