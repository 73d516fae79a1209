// Package data holds the images that nets are trained and tested on, and the
// plan: which image goes, cropped and flipped how, into which slot of which
// step. It draws all randomness of training but the initial weights.
package data

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
)

// Set is a number of images of one size with their labels.
type Set struct {
	Images                     []uint8 // (N, Channels, rows, columns), planar; nil for photos
	Labels                     []int32 // (N), each under Classes
	N, Channels, Size, Classes int     // Size: rows of an image
	Width                      int     // columns of an image; 0: as many as rows
	Photos                     *Photos // in place of Images; nil for a set in memory
}

// newSet allocates a set of n images.
func newSet(n, channels, size, classes int) Set {
	return Set{
		Images: make([]uint8, n*channels*size*size), Labels: make([]int32, n),
		N: n, Channels: channels, Size: size, Classes: classes,
	}
}

// Area is the number of pixels of an image.
func (s *Set) Area() int { return s.Size * cmp.Or(s.Width, s.Size) }

// Image is the (Channels, rows, columns) bytes of image i.
func (s *Set) Image(i int) []uint8 {
	n := s.Channels * s.Area()
	return s.Images[i*n : (i+1)*n : (i+1)*n]
}

// Join gives the photos of s and then those of t as one set.
func Join(s, t *Set) *Set {
	all := *s
	all.N += t.N
	all.Labels = slices.Concat(s.Labels, t.Labels)
	photos := *s.Photos
	photos.Names = slices.Concat(s.Photos.Names, t.Photos.Names)
	photos.sums = slices.Concat(s.Photos.sums, t.Photos.sums)
	photos.Broken = map[int32]string{}
	maps.Copy(photos.Broken, s.Photos.Broken)
	for i, why := range t.Photos.Broken {
		photos.Broken[int32(s.N)+i] = why
	}
	all.Photos = &photos
	return &all
}

// Source is a data set with where it came from.
type Source struct {
	Name        string // what a question calls it: "cifar10"
	Title       string // for figures and tables; says so when the files are not the canonical ones
	Train, Test Set
	Checksum    string // SHA-256, hex, over sizes, labels and images of both sets; of photos, over classes, and names, labels and bytes of the files
	Canonical   bool   // the bytes are known to be those that the name promises
	Warning     string // "" or a few lines for the user: what is unusual about these data
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
		labels := make([]byte, s.N) // in these sets no label is above 255
		for i, l := range s.Labels {
			labels[i] = byte(l)
		}
		h.Write(labels)
		h.Write(s.Images)
	}
	return hex.EncodeToString(h.Sum(nil))
}
