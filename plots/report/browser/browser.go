// Package browser drives a real headless browser (Debian's package chromium), for tests
// of pages.
package browser

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"depthlab/harness/testskip"
)

// Tab is a page in a browser.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu     sync.Mutex
	errors []string
}

// Open starts a browser and returns an empty tab. It skips the test if there is no
// browser. The test fails if at its end the page has thrown an exception or logged an
// error.
func Open(t testing.TB, width, height int) *Tab {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		testskip.Skip(t, "no browser: apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.WindowSize(width, height))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // otherwise it does not start for root
	}
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	allocated, end := chromedp.NewExecAllocator(ctx, options...)
	tab := &Tab{t: t}
	var closing context.CancelFunc
	tab.ctx, closing = chromedp.NewContext(allocated)
	tab.Size(width, height)
	said, done := chromedp.Console(tab.ctx), make(chan bool)
	go func() {
		defer close(done)
		for m, err := range said {
			if err != nil {
				return
			}
			if m.Type != "log" && m.Type != "info" && m.Type != "debug" {
				tab.mu.Lock()
				tab.errors = append(tab.errors, m.String())
				tab.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		closing()
		end()
		stop()
		<-done
		for _, e := range tab.Errors() {
			t.Errorf("the page: %s", e)
		}
	})
	return tab
}

// Errors lists the exceptions and logged errors of the page.
func (b *Tab) Errors() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.errors...)
}

// Expected clears the errors so far.
func (b *Tab) Expected() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.errors = nil
}

// Do does actions in the page, one after another.
func (b *Tab) Do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// Go opens an address and waits until the page is drawn.
func (b *Tab) Go(address string) {
	b.t.Helper()
	b.Do(chromedp.Navigate(address))
	b.Wait("document.documentElement.dataset.drawn")
}

// Size sets the size of the window, in pixels.
func (b *Tab) Size(width, height int) {
	b.t.Helper()
	b.Do(chromedp.EmulateViewport(int64(width), int64(height)))
}

// Dark makes the browser prefer dark pages, or light ones.
func (b *Tab) Dark(yes bool) {
	b.t.Helper()
	scheme := map[bool]string{true: "dark", false: "light"}[yes]
	b.Do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// Text is the value of a JavaScript expression, as text.
func (b *Tab) Text(expression string) string {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return text
}

// Number is the value of a JavaScript expression, as a number.
func (b *Tab) Number(expression string) float64 {
	b.t.Helper()
	x, err := strconv.ParseFloat(b.Text(expression), 64)
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return x
}

// Hover moves the mouse to a position in the window, in pixels.
func (b *Tab) Hover(x, y float64) {
	b.t.Helper()
	b.Do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, y))
}

// Wait waits until a JavaScript expression is true, at most half a minute.
func (b *Tab) Wait(expression string) {
	b.t.Helper()
	for end := time.Now().Add(30 * time.Second); b.Text("!!("+expression+")") != "true"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("never true: %s\nthe page: %q", expression, b.Errors())
		}
	}
}

// Picture is a picture of the whole page, as PNG.
func (b *Tab) Picture() []byte {
	b.t.Helper()
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	return picture
}

// Print is the printed page, as PDF.
func (b *Tab) Print() []byte {
	b.t.Helper()
	pdf, err := chromedp.Run(b.ctx, chromedp.PrintToPDF())
	if err != nil {
		b.t.Fatal(err)
	}
	return pdf
}
