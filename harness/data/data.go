// Package data holds the images that nets are trained and tested on, and the
// plan: which image goes, cropped and flipped how, into which slot of which
// step. It draws all randomness of training but the initial weights.
package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Set is a number of images of one size with their labels.
type Set struct {
	Images                     []uint8 // (N, Channels, Size, Size), planar
	Labels                     []uint8 // (N), each under Classes
	N, Channels, Size, Classes int
}

// newSet allocates a set of n images.
func newSet(n, channels, size, classes int) Set {
	return Set{
		Images: make([]uint8, n*channels*size*size), Labels: make([]uint8, n),
		N: n, Channels: channels, Size: size, Classes: classes,
	}
}

// Image is the (Channels, Size, Size) bytes of image i.
func (s *Set) Image(i int) []uint8 {
	n := s.Channels * s.Size * s.Size
	return s.Images[i*n : (i+1)*n : (i+1)*n]
}

// Source is a data set with where it came from.
type Source struct {
	Name        string // "cifar10", "preview" or "preview64": what a question calls it
	Title       string // for figures and tables; says so when the files are not the canonical ones
	Train, Test Set
	Checksum    string // SHA-256, hex, over sizes, labels and images of both sets
	Canonical   bool   // the bytes are known to be those that the name promises
	Warning     string // "" or one line for the user: what is unusual about these data
}

// checksum is independent of how the files on disk were laid out.
func checksum(sets ...*Set) string {
	h := sha256.New()
	for _, s := range sets {
		var b [32]byte
		for i, v := range []int{s.N, s.Channels, s.Size, s.Classes} {
			binary.LittleEndian.PutUint64(b[8*i:], uint64(v))
		}
		h.Write(b[:])
		h.Write(s.Labels)
		h.Write(s.Images)
	}
	return hex.EncodeToString(h.Sum(nil))
}
