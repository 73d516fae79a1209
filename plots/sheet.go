// Drawing: figure, panels, axes, legend; rendered as PNG and SVG.

package plots

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// figure is a picture before it is drawn: text at the top, panels side by side.
type figure struct {
	title  string
	notes  []string // small lines under the title
	legend []key
	panels []*panel
	square bool          // frames are as high as they are wide, and in several rows if there are many
	lost   map[rune]bool // characters that the font lacks; set by png
}

// key is one entry of the legend: a sample and its meaning.
type key struct {
	label  string
	sample func(s sheet, x, y, w vg.Length) // draws around height y, from x to x+w
}

// panel is one pair of axes. paint draws its content.
type panel struct {
	heading string
	x, y    axis
	above   []mark    // small notes above the frame
	right   vg.Length // room kept free to the right of the frame
	labels  int       // number of labels there, one above the other
	paint   func(f frame)
}

type axis struct {
	label string
	min   float64
	max   float64
	ticks []tick
}

type tick struct {
	at    float64
	label string
}

type mark = tick

// sheet is a canvas with text.
type sheet struct {
	draw.Canvas
	lost map[rune]bool // for a PNG: collects characters that the font lacks; nil for an SVG, because its viewers have other fonts
}

// text writes a line of text on a baseline. align is 0 for left, 0.5 for centred and 1
// for right of x.
func (s sheet) text(x, y vg.Length, size vg.Length, bold bool, c color.Color, align float64, text string) {
	f := face(size, bold)
	if s.lost != nil {
		text = boxed(f, text, s.lost)
	}
	s.SetColor(c)
	s.FillString(*f, vg.Point{X: x - vg.Length(align)*textWidth(size, bold, text), Y: y}, text)
}

// line draws a solid or dashed line through points.
func (s sheet) line(c color.Color, w vg.Length, dash []vg.Length, pts ...vg.Point) {
	s.StrokeLines(draw.LineStyle{Color: c, Width: w, Dashes: dash}, pts)
}

// frame is a panel's data area. Its Rectangle corresponds to the ranges of the axes.
type frame struct {
	sheet
	p *panel
}

func (f frame) px(x float64) vg.Length { return f.X((x - f.p.x.min) / (f.p.x.max - f.p.x.min)) }
func (f frame) py(y float64) vg.Length { return f.Y((y - f.p.y.min) / (f.p.y.max - f.p.y.min)) }

// curve draws points in data units, clipped at the top of the frame.
func (f frame) curve(ps []point, c color.Color, w vg.Length, dash []vg.Length) {
	pts := make([]vg.Point, len(ps))
	for i, p := range ps {
		pts[i] = vg.Point{X: f.px(p.step), Y: f.py(p.mean)}
	}
	f.StrokeLines(draw.LineStyle{Color: c, Width: w, Dashes: dash}, f.ClipLinesY(pts)...)
}

// band fills the area between the lowest and the highest seed.
func (f frame) band(ps []point, c color.Color) {
	if len(ps) < 2 {
		return
	}
	limit := f.p.y.max
	ps = cut(ps, limit)
	at := func(step, y float64) vg.Point {
		return vg.Point{X: f.px(step), Y: f.py(math.Min(y, limit))}
	}
	var pts []vg.Point
	for _, p := range ps {
		pts = append(pts, at(p.step, p.hi))
	}
	for i := len(ps) - 1; i >= 0; i-- {
		pts = append(pts, at(ps[i].step, ps[i].lo))
	}
	f.FillPolygon(c, pts)
}

// cut adds points where an edge of the band crosses y. Between points the edge is then
// entirely above or below y, so that it can be clipped to y point by point.
func cut(ps []point, y float64) []point {
	var out []point
	for i, p := range ps {
		if i > 0 {
			a := ps[i-1]
			var at []float64 // as fractions of the way from a to p
			for _, e := range [][2]float64{{a.lo, p.lo}, {a.hi, p.hi}} {
				if (e[0] > y) != (e[1] > y) {
					at = append(at, (y-e[0])/(e[1]-e[0]))
				}
			}
			slices.Sort(at)
			for _, t := range at {
				between := func(u, v float64) float64 { return u + t*(v-u) }
				out = append(out, point{between(a.step, p.step), between(a.mean, p.mean), between(a.lo, p.lo), between(a.hi, p.hi)})
			}
		}
		out = append(out, p)
	}
	return out
}

// head is the text at the top after line breaking.
type head struct {
	title, notes []string
	height       vg.Length
}

const (
	titleLine  = vg.Length(15)
	noteLine   = vg.Length(11)
	legendLine = vg.Length(18)
	legendNext = vg.Length(13) // further lines of the legend
	headingRow = vg.Length(17)
	axisRow    = vg.Length(34) // tick labels and axis label below a frame
	tickLine   = vg.Length(10) // further lines of tick labels
)

func (fig *figure) head() head {
	var h head
	w := width - 2*margin
	h.title = wrap(titleSize, true, fig.title, w)
	for _, n := range fig.notes {
		h.notes = append(h.notes, wrap(smallSize, false, n, w)...)
	}
	h.height = titleLine*vg.Length(len(h.title)) + noteLine*vg.Length(len(h.notes)) + 4
	if _, lines := fig.legendPlaces(); lines > 0 {
		h.height += legendLine + legendNext*vg.Length(lines-1)
	}
	return h
}

// perRow is the number of panels side by side.
func (fig *figure) perRow() int {
	const most = 4
	n := len(fig.panels)
	if fig.square && n > most {
		rows := (n + most - 1) / most
		return (n + rows - 1) / rows
	}
	return n
}

func (fig *figure) rows() int { return (len(fig.panels) + fig.perRow() - 1) / fig.perRow() }

// gap is the distance between two panels side by side.
const gap = vg.Length(16)

// columns gives the room for text at the left of each panel, and the width of all frames.
func (fig *figure) columns() (lefts []vg.Length, each vg.Length) {
	const tickRoom = vg.Length(5)
	narrowest := width
	for from := 0; from < len(fig.panels); from += fig.perRow() {
		room := width - 2*margin - gap*vg.Length(fig.perRow()-1)
		for _, p := range fig.panels[from:min(from+fig.perRow(), len(fig.panels))] {
			left := vg.Length(0)
			for _, t := range p.y.ticks {
				left = max(left, textWidth(textSize, false, t.label)+tickRoom)
			}
			if p.y.label != "" {
				left += textSize + 5
			}
			lefts = append(lefts, left)
			room -= left + p.right
		}
		narrowest = min(narrowest, room/vg.Length(fig.perRow()))
	}
	return lefts, narrowest
}

// panelHeight leaves room for one line for each label beside the frame.
func (fig *figure) panelHeight() vg.Length {
	h := panelHeight
	if fig.square {
		_, h = fig.columns()
		h = min(h, panelHeight)
	}
	for _, p := range fig.panels {
		h = max(h, labelGap*vg.Length(p.labels)+labelEdge)
	}
	return h
}

// axisRow is the height of the text below the frames.
func (fig *figure) axisRow() vg.Length {
	more := 0
	for _, p := range fig.panels {
		for _, t := range p.x.ticks {
			more = max(more, strings.Count(t.label, "\n"))
		}
	}
	return axisRow + tickLine*vg.Length(more)
}

// size is the size of the whole figure.
func (fig *figure) size() (w, h vg.Length) {
	return width, 2*margin + fig.head().height + vg.Length(fig.rows())*(headingRow+fig.panelHeight()+fig.axisRow())
}

// draw draws the figure on a canvas of its size. lost is passed to the sheet.
func (fig *figure) draw(c vg.CanvasSizer, lost map[rune]bool) {
	s := sheet{draw.New(c), lost}
	w, total := fig.size()
	s.FillPolygon(white, []vg.Point{{X: 0, Y: 0}, {X: w, Y: 0}, {X: w, Y: total}, {X: 0, Y: total}})

	h := fig.head()
	y := total - margin
	for _, l := range h.title {
		y -= titleLine
		s.text(margin, y+4, titleSize, true, black, 0, l)
	}
	for _, l := range h.notes {
		y -= noteLine
		s.text(margin, y+2, smallSize, false, gray, 0, l)
	}
	fig.drawLegend(s, y-legendLine+4)

	lefts, each := fig.columns()
	if fig.square {
		each = fig.panelHeight()
	}
	below := fig.axisRow()
	x, bottom := margin, margin+vg.Length(fig.rows()-1)*(headingRow+fig.panelHeight()+below)
	for i, p := range fig.panels {
		if i > 0 && i%fig.perRow() == 0 {
			x, bottom = margin, bottom-headingRow-fig.panelHeight()-below
		}
		x += lefts[i]
		area := s.Canvas
		area.Rectangle = vg.Rectangle{
			Min: vg.Point{X: x, Y: bottom + below},
			Max: vg.Point{X: x + each, Y: bottom + below + fig.panelHeight()},
		}
		frame{sheet{area, lost}, p}.draw(lefts[i], below)
		x += each + p.right + gap
	}
}

const (
	legendSample  = vg.Length(22)
	legendSpace   = vg.Length(5)
	legendBetween = vg.Length(18)
)

// legendPlaces returns the place of each legend entry (x from the margin) and the number
// of lines. Entries are all on one line, or in columns as wide as the widest entry.
func (fig *figure) legendPlaces() (xs []vg.Length, lines int) {
	var all, widest vg.Length
	for _, k := range fig.legend {
		xs = append(xs, all)
		w := legendSample + legendSpace + textWidth(textSize, false, k.label) + legendBetween
		all, widest = all+w, max(widest, w)
	}
	room := width - 2*margin + legendBetween
	if all <= room {
		return xs, min(len(xs), 1)
	}
	columns := max(1, int(room/widest))
	for i := range xs {
		xs[i] = widest * vg.Length(i%columns)
	}
	return xs, (len(xs) + columns - 1) / columns
}

// drawLegend draws the legend with its first line at height y.
func (fig *figure) drawLegend(s sheet, y vg.Length) {
	xs, _ := fig.legendPlaces()
	room := width - 2*margin - legendSample - legendSpace
	for i, k := range fig.legend {
		if i > 0 && xs[i] <= xs[i-1] {
			y -= legendNext
		}
		x := margin + xs[i]
		k.sample(s, x, y+3, legendSample)
		s.text(x+legendSample+legendSpace, y, textSize, false, black, 0, shortened(textSize, false, k.label, room))
	}
}

// draw draws heading, grid, content and axes. left is the width of the room for the y
// axis's text, below the height of the room for the x axis's text.
func (f frame) draw(left, below vg.Length) {
	lo, hi := f.Min, f.Max
	f.text(lo.X, hi.Y+6, headSize, true, black, 0, f.p.heading)
	taken := lo.X + textWidth(headSize, true, f.p.heading) + 8
	for _, m := range f.p.above {
		half := textWidth(smallSize, false, m.label) / 2
		if x := f.px(m.at); x-half > taken {
			f.text(x, hi.Y+5, smallSize, false, gray, 0.5, m.label)
			taken = x + half + 8
		}
	}
	for _, t := range f.p.y.ticks {
		y := f.py(t.at)
		if t.at != f.p.y.min {
			f.line(grid, 0.5, nil, vg.Point{X: lo.X, Y: y}, vg.Point{X: hi.X, Y: y})
		}
		f.text(lo.X-5, y-3.1, textSize, false, black, 1, t.label)
	}
	for _, t := range f.p.x.ticks {
		x := f.px(t.at)
		f.line(black, 0.6, nil, vg.Point{X: x, Y: lo.Y}, vg.Point{X: x, Y: lo.Y - 3})
		for i, l := range strings.Split(t.label, "\n") {
			f.text(x, lo.Y-12.5-tickLine*vg.Length(i), textSize, false, black, 0.5, l)
		}
	}
	f.text((lo.X+hi.X)/2, lo.Y-below+7, textSize, false, black, 0.5, f.p.x.label)
	if f.p.y.label != "" {
		f.Push()
		f.Translate(vg.Point{X: lo.X - left + textSize - 1, Y: (lo.Y + hi.Y) / 2})
		f.Rotate(math.Pi / 2)
		f.text(0, 0, textSize, false, black, 0.5, f.p.y.label)
		f.Pop()
	}
	f.p.paint(f)
	// The axes come last, so that they are above lines along them.
	f.line(black, 0.7, nil, vg.Point{X: lo.X, Y: hi.Y}, lo, vg.Point{X: hi.X, Y: lo.Y})
}

// png renders the figure at a resolution in dots per inch.
func (fig *figure) png(dpi int) ([]byte, error) {
	w, h := fig.size()
	c := vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(dpi))
	fig.lost = map[rune]bool{}
	fig.draw(c, fig.lost)
	var b bytes.Buffer
	_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(&b)
	return b.Bytes(), err
}

// svg renders the figure as SVG. Text stays text, in Liberation Sans or a font of the
// same widths. Noisy lines get round joins, as in the PNG. The size is in pixels, because
// not every viewer knows points.
func (fig *figure) svg() ([]byte, error) {
	w, h := fig.size()
	c := vgsvg.New(w, h)
	fig.draw(c, nil)
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return nil, err
	}
	return []byte(strings.NewReplacer(
		"font-family:Liberation Sans;", "font-family:'Liberation Sans',Arimo,Arial,Helvetica,sans-serif;",
		fmt.Sprintf(`<svg width="%.5gpt" height="%.5gpt"`, w, h),
		fmt.Sprintf(`<svg stroke-linejoin="round" width="%.5g" height="%.5g"`, w*96/72, h*96/72),
	).Replace(b.String())), nil
}

// ticks makes about n ticks at round numbers from lo to hi. Labels are divided by scale.
func ticks(lo, hi float64, n int, scale float64) []tick {
	step := roundStep((hi-lo)/float64(n)/scale) * scale
	var ts []tick
	for i := math.Ceil(lo/step - 1e-9); i*step <= hi*(1+1e-9); i++ {
		v := math.Round(i*step*1e9)/1e9 + 0 // 3 * 0.2 is not 0.6; + 0 turns -0 into 0
		label := strconv.FormatFloat(v/scale, 'f', -1, 64)
		if v >= 1000 && v == math.Trunc(v) && scale == 1 {
			label = thousands(int(v))
		}
		ts = append(ts, tick{v, label})
	}
	return ts
}

// roundStep is the smallest number of the form 1, 2 or 5 times a power of ten that is at
// least x.
func roundStep(x float64) float64 {
	pow := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5} {
		if s := m * pow; x <= s*(1+1e-9) {
			return s
		}
	}
	return 10 * pow
}

// top is the upper end of an error axis with room for x, in percent.
func top(x float64) float64 {
	for _, t := range []float64{0.5, 1, 2, 3, 5, 8, 10, 15, 20, 25, 30, 40, 50, 60, 80} {
		if x <= t {
			return t
		}
	}
	return 100
}
