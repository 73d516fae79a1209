// Package data holds the images that nets are trained and tested on, and the sampler: which
// image goes into which slot of which step, and how it is cropped and flipped. It draws
// all random numbers of training except the initial weights.
package data

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
)

// Set is a set of images of one size with their labels.
type Set struct {
	Images                     []uint8          // (N, Channels, H, W), planar; nil for photos
	Labels                     []int32          // (N), each from 0 to Classes-1
	N, Channels, Size, Classes int              // Size is H of an image
	Width                      int              // W of an image; 0 means square
	Photos                     *Photos          // used instead of Images; nil for a set in memory
	Unread                     map[int32]string // why images of a set in memory could not be read: they must not be used; nil for none
}

// Sound are those of the images that can be used.
func (s *Set) Sound(images []int32) []int32 {
	if len(s.Unread) == 0 {
		return images
	}
	return slices.DeleteFunc(slices.Clone(images), func(i int32) bool { return s.Unread[i] != "" })
}

// newSet allocates a set of n images.
func newSet(n, channels, size, classes int) Set {
	return Set{
		Images: make([]uint8, n*channels*size*size), Labels: make([]int32, n),
		N: n, Channels: channels, Size: size, Classes: classes,
	}
}

// Area is the number of pixels of an image: H x W.
func (s *Set) Area() int { return s.Size * cmp.Or(s.Width, s.Size) }

// Image returns the bytes of image i: (Channels, H, W).
func (s *Set) Image(i int) []uint8 {
	n := s.Channels * s.Area()
	return s.Images[i*n : (i+1)*n : (i+1)*n]
}

// Join returns one set with the photos of s, followed by those of t.
func Join(s, t *Set) *Set {
	all := *s
	all.N += t.N
	all.Labels = slices.Concat(s.Labels, t.Labels)
	photos := *s.Photos
	photos.Names = slices.Concat(s.Photos.Names, t.Photos.Names)
	photos.sums = slices.Concat(s.Photos.sums, t.Photos.sums)
	if s.Photos.spans != nil || t.Photos.spans != nil {
		photos.spans = slices.Concat(s.spans(), t.spans())
	}
	photos.Broken = map[int32]string{}
	maps.Copy(photos.Broken, s.Photos.Broken)
	for i, why := range t.Photos.Broken {
		photos.Broken[int32(s.N)+i] = why
	}
	all.Photos = &photos
	return &all
}

// spans are the places of the photos in tar files, one for each photo.
func (s *Set) spans() []span {
	if s.Photos.spans == nil {
		return make([]span, s.N)
	}
	return s.Photos.spans
}

// Source is a data set and its origin.
type Source struct {
	Name        string   // name in questions: "cifar10"
	Title       string   // title for figures and tables; it says so if the files are not the canonical ones
	Classes     []string // names of the classes by label, where the files have them; nil where not
	Train, Test Set
	Checksum    string // SHA-256, hex, over sizes, labels and images of both sets; for photos over classes and the files' names, labels and bytes
	Canonical   bool   // false for bytes other than those of the published data set; true also where none is published
	Warning     string // "" or a few lines for the user: what is unusual about these data
}

// checksum does not depend on how the files were laid out on disk.
func checksum(sets ...*Set) string {
	h := sha256.New()
	for _, s := range sets {
		var b [32]byte
		for i, v := range []int{s.N, s.Channels, s.Size, s.Classes} {
			binary.LittleEndian.PutUint64(b[8*i:], uint64(v))
		}
		h.Write(b[:])
		var labels []byte
		for _, l := range s.Labels {
			labels = append(labels, byte(l))
			if s.Classes > 256 {
				labels = append(labels, byte(l>>8))
			}
		}
		h.Write(labels)
		h.Write(s.Images)
	}
	return hex.EncodeToString(h.Sum(nil))
}
