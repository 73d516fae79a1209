// The revision of the kernels.

package cpu

// Revision is raised whenever our kernels, or our calls of oneDNN, change in a way that can
// change the bits of a sum. It is part of every run's provenance. TestRevisions in harness
// fails when sources change, and asks whether to raise it.
const Revision = "6"
