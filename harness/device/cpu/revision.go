// The revision of the kernels.

package cpu

// Revision counts the changes of this package's own kernels, and of how it calls
// oneDNN's, that change their sums. It is part of every run's provenance; a test
// notices changed sources and asks for the next number.
const Revision = "3"
