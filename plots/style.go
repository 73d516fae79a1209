// Colours, fonts and sizes.

package plots

import (
	"image/color"
	"math"
	"slices"
	"strings"
	"sync"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/vg"
)

// rgba is a colour without premultiplied alpha, as both SVG and PNG take it.
type rgba = color.NRGBA

// Sizes are in points, 72 to the inch. A figure of 9 inches shown 900 pixels wide has 1.4
// pixels for each point. So nothing is smaller than 8 points.
const (
	width       = 9 * vg.Inch
	panelHeight = 3 * vg.Inch
	margin      = vg.Length(10)

	titleSize = vg.Length(12)
	headSize  = vg.Length(10)
	textSize  = vg.Length(9)
	smallSize = vg.Length(8)

	testWidth  = vg.Length(1.9)
	trainWidth = vg.Length(0.8)

	bandShade = 0.13 // of bands of seeds
)

var (
	trainDash = []vg.Length{2.6, 1.8}

	black    = hex(0x1a1a1a)
	gray     = hex(0x555555)
	dropGray = hex(0x8c8c8c)
	grid     = hex(0xe6e6e6)
	white    = hex(0xffffff)
)

var fonts = sync.OnceValue(func() *font.Cache { return font.NewCache(liberation.Collection()) })

func face(size vg.Length, bold bool) *font.Face {
	f := font.Font{Typeface: "Liberation", Variant: "Sans"}
	if bold {
		f.Weight = xfont.WeightBold
	}
	fc := fonts().Lookup(f, size)
	return &fc
}

// plasma is a colour map with even steps of lightness, from deep blue to yellow, whose
// order colour-blind readers can see, too (Smith and van der Walt 2015). Its yellow end
// is left out, because it is not readable on white.
var plasma = []rgba{
	hex(0x0d0887), hex(0x41049d), hex(0x6a00a8),
	hex(0x8f0da4), hex(0xb12a90), hex(0xcc4778),
	hex(0xe16462), hex(0xf2844b), hex(0xfca636),
}

// ramp is the colour at t in the colour map: 0 for the deepest net, 1 for the shallowest.
func ramp(t float64) rgba {
	x := t * float64(len(plasma)-2) // the last colour is for t slightly above 1
	i := int(x)
	return mix(plasma[i], plasma[i+1], x-float64(i))
}

func hex(rgb uint32) rgba {
	return rgba{R: uint8(rgb >> 16), G: uint8(rgb >> 8), B: uint8(rgb), A: 0xff}
}

func mix(a, b rgba, t float64) rgba {
	m := func(x, y uint8) uint8 { return uint8(float64(x)*(1-t) + float64(y)*t + 0.5) }
	return rgba{R: m(a.R, b.R), G: m(a.G, b.G), B: m(a.B, b.B), A: m(a.A, b.A)}
}

func fade(c rgba, alpha float64) rgba {
	c.A = uint8(alpha*255 + 0.5)
	return c
}

// legible darkens a colour until text in it has a contrast of 4.5 to white, the minimum
// of the web's accessibility guidelines (WCAG 2.1).
func legible(c rgba) rgba {
	for t := 0.0; ; t += 0.05 {
		if d := mix(c, black, t); t >= 1 || 1.05/(luminance(d)+0.05) >= 4.5 {
			return d
		}
	}
}

// luminance is the lightness of a colour, from 0 to 1, as defined by the WCAG guidelines
// except for the darkest colours.
func luminance(c rgba) float64 {
	linear := func(v uint8) float64 { return math.Pow(float64(v)/255, 2.2) }
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

// familyColors are from Okabe and Ito's palette for colour-blind readers.
var familyColors = map[string]rgba{
	"":  hex(0x5a5a5a), // no shortcut: plain
	"A": hex(0x0072b2),
	"B": hex(0xd55e00),
	"C": hex(0x009e73),
}

// tagColors are the colours of families that differ by more than the shortcut: the rest
// of that palette, then Paul Tol's muted one. When all are used they repeat with the next
// of tagDashes.
var (
	tagColors = []rgba{hex(0xcc79a7), hex(0x009e73), hex(0xe69f00), hex(0x56b4e9), hex(0x882255), hex(0x332288), hex(0x999933)}
	tagDashes = [][]vg.Length{nil, {4, 2}, {1.5, 1.5}, {5, 1.5, 1.5, 1.5}}
)

// look is the style of a family's lines.
type look struct {
	color rgba
	dash  []vg.Length
}

// palette returns the colour of each net. With one plain and one residual family the
// colour depends on the depth, and is the same for the plain and the residual net. With
// more families it depends on the family, and shallow nets are paler.
func palette(nets []*net) func(*net) rgba {
	ds, fs := depths(nets), familiesOf(nets)
	return func(n *net) rgba {
		rank := 0.4 // if there is only one depth
		if len(ds) > 1 {
			rank = 1 - float64(slices.Index(ds, n.Depth))/float64(len(ds)-1)
		}
		if !fs.several {
			return ramp(rank)
		}
		c := familyColors[n.Shortcut]
		if l, tagged := fs.tagged[fs.name(n)]; tagged {
			c = l.color
		}
		if len(ds) == 1 {
			return c
		}
		return mix(c, white, 0.55*rank)
	}
}

// families groups the nets of a question for comparison.
type families struct {
	shortcuts bool              // whether there are several shortcuts
	shared    map[bool][]string // by Residual: tags that all nets have
	several   bool              // whether there is more than one plain or more than one residual family
	names     []string          // in the order of the nets
	tagged    map[string]look   // styles of the families with tags
}

func familiesOf(nets []*net) families {
	fs := families{shortcuts: len(shortcuts(nets)) > 1, shared: map[bool][]string{}, tagged: map[string]look{}}
	seen := map[bool]bool{}
	for _, n := range nets {
		tags := n.tags()
		if seen[n.Residual] {
			tags = slices.DeleteFunc(fs.shared[n.Residual], func(t string) bool { return !slices.Contains(tags, t) })
		}
		seen[n.Residual], fs.shared[n.Residual] = true, tags
	}
	count := map[bool]int{}
	taken := map[rgba]bool{}
	var tagged []string
	for _, n := range nets {
		name := fs.name(n)
		if slices.Contains(fs.names, name) {
			continue
		}
		fs.names = append(fs.names, name)
		count[n.Residual]++
		if len(fs.tags(n)) > 0 {
			tagged = append(tagged, name)
		} else {
			taken[fs.color(n)] = true
		}
	}
	free := slices.DeleteFunc(slices.Clone(tagColors), func(c rgba) bool { return taken[c] })
	for i, name := range tagged {
		fs.tagged[name] = look{free[i%len(free)], tagDashes[i/len(free)%len(tagDashes)]}
	}
	fs.several = count[false] > 1 || count[true] > 1
	return fs
}

// tags lists the tags of the net that not all others have.
func (fs families) tags(n *net) []string {
	return slices.DeleteFunc(n.tags(), func(t string) bool { return slices.Contains(fs.shared[n.Residual], t) })
}

// name is "plain", "residual" or, if there are several shortcuts, "shortcut A", followed
// by the net's tags.
func (fs families) name(n *net) string {
	name := "plain"
	switch {
	case n.Residual && fs.shortcuts:
		name = "shortcut " + n.Shortcut
	case n.Residual:
		name = "residual"
	}
	return strings.Join(append([]string{name}, fs.tags(n)...), ", ")
}

// color is the colour that tells families apart in one panel.
func (fs families) color(n *net) rgba {
	tagged, ok := fs.tagged[fs.name(n)]
	switch {
	case ok:
		return tagged.color
	case fs.shortcuts:
		return familyColors[n.Shortcut]
	case n.Residual:
		return familyColors["A"]
	}
	return familyColors["B"]
}

// look is the net's line style: colour c, and dashes that tell families of one colour
// apart.
func (fs families) look(n *net, c rgba) look { return look{c, fs.tagged[fs.name(n)].dash} }

// shades returns for each net the colour of its family; shallow nets are paler.
func (fs families) shades(nets []*net) func(*net) rgba {
	ds := depths(nets)
	return func(n *net) rgba {
		if len(ds) == 1 {
			return fs.color(n)
		}
		return mix(fs.color(n), white, 0.55*(1-float64(slices.Index(ds, n.Depth))/float64(len(ds)-1)))
	}
}
