// Batches that are copied to a device while it computes.

package device

// Stager is a Session that takes the next batch of a data set that is too large for the
// device while it computes the present one.
type Stager interface {
	Session
	// ChannelsLast reports the order in which Stage wants images: (N, H, W, C), as the
	// device holds them, instead of (N, C, H, W).
	ChannelsLast() bool
	// Stage copies images and labels to the device, each as long as the buffers "images"
	// and "labels" of all replicas together. It returns as soon as the caller may change
	// them again. It may be called while another method runs, except Close.
	Stage(images []uint8, labels []int32) (Staged, error)
	// Use makes a staged batch the content of "images" and "labels", and frees the former
	// content.
	Use(Staged) error
}

// Staged is a batch on a device. One that is not used must be freed, before the session
// is closed.
type Staged interface{ Free() error }
