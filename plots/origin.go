// The origin of a figure, stored inside PNG and SVG.

package plots

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"
)

// originKey marks the origin inside a figure: in a PNG it is the keyword of a text chunk,
// in an SVG the name and namespace of an element in metadata.
const originKey = "depthlab"

const svgOpen, svgClose = `<metadata><` + originKey + ` xmlns="urn:` + originKey + `">`, `</` + originKey + `></metadata>`

const (
	pngHead   = 8 + 25           // signature and IHDR, the first chunk
	pngEnd    = "IEND\xaeB`\x82" // the last chunk
	maxOrigin = 16 << 20
	maxFigure = 256 << 20
)

// pngWith adds text to a PNG, as an international text chunk after the first chunk,
// unless it is empty.
func pngWith(png []byte, text []byte) []byte {
	if len(text) == 0 {
		return png
	}
	// Keyword, no compression, no language, no translated keyword.
	body := append([]byte("iTXt"+originKey+"\x00\x00\x00\x00\x00"), text...)
	var chunk []byte
	chunk = binary.BigEndian.AppendUint32(chunk, uint32(len(body)-4))
	chunk = append(chunk, body...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(body))
	return bytes.Join([][]byte{png[:pngHead], chunk, png[pngHead:]}, nil)
}

// svgWith adds text to an SVG, before its first child, unless it is empty.
func svgWith(svg []byte, text []byte) []byte {
	if len(text) == 0 {
		return svg
	}
	var escaped bytes.Buffer
	xml.EscapeText(&escaped, text) // writing to a Buffer never fails
	root := bytes.Index(svg, []byte("<svg"))
	end := root + bytes.IndexByte(svg[root:], '>') + 1
	return bytes.Join([][]byte{svg[:end], []byte("\n" + svgOpen), escaped.Bytes(), []byte(svgClose), svg[end:]}, nil)
}

// Origin reads from the PNG or SVG at path what Draw was told about its origin.
func Origin(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFigure {
		return nil, fmt.Errorf("%s: expected a PNG or SVG of at most %d MiB", path, maxFigure>>20)
	}
	signature := make([]byte, 8)
	if _, err := io.ReadFull(f, signature); err != nil {
		return nil, fmt.Errorf("%s is neither PNG nor SVG: %w", path, err)
	}
	var text []byte
	if string(signature) == "\x89PNG\r\n\x1a\n" {
		text, err = pngOrigin(f)
	} else if _, err = f.Seek(0, io.SeekStart); err == nil {
		text, err = svgOrigin(f)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return text, nil
}

var errNoOrigin = errors.New("it does not say what it was made from: not a figure of this program, or one that was converted since")

// pngIs reports whether path is a whole PNG with that origin.
func pngIs(path string, origin []byte) bool {
	png, err := os.ReadFile(path)
	if err != nil || len(png) < pngHead || !bytes.HasSuffix(png, []byte(pngEnd)) {
		return false
	}
	text, err := pngOrigin(bytes.NewReader(png[8:]))
	return err == nil && bytes.Equal(text, origin)
}

func pngOrigin(r io.ReadSeeker) ([]byte, error) {
	want := []byte(originKey + "\x00\x00\x00\x00\x00")
	for {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err == io.EOF {
			return nil, errNoOrigin
		} else if err != nil {
			return nil, err
		}
		n := int64(binary.BigEndian.Uint32(head[:]))
		if string(head[4:]) != "iTXt" || n > maxOrigin {
			if _, err := r.Seek(n+4, io.SeekCurrent); err != nil {
				return nil, err
			}
			continue
		}
		body := make([]byte, n+4)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, err
		}
		text, sum := body[:n], binary.BigEndian.Uint32(body[n:])
		if !bytes.HasPrefix(text, want) {
			continue
		}
		if crc32.Update(crc32.ChecksumIEEE([]byte("iTXt")), crc32.IEEETable, text) != sum {
			return nil, errors.New("the text chunk that says what it was made from is damaged")
		}
		return text[len(want):], nil
	}
}

func svgOrigin(r io.Reader) ([]byte, error) {
	all, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	_, rest, found := strings.Cut(string(all), svgOpen)
	escaped, _, closed := strings.Cut(rest, svgClose)
	if !found || !closed {
		return nil, errNoOrigin
	}
	var text string
	if err := xml.Unmarshal([]byte("<t>"+escaped+"</t>"), &text); err != nil {
		return nil, err
	}
	return []byte(text), nil
}
