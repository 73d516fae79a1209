// The revision of the emitted programs.

package lower

// Revision is raised whenever the emitted programs change in a way that can change the bits
// of a sum. It is part of every run's provenance. TestRevisions in harness fails when sources
// change, and asks whether to raise it.
const Revision = "2"
