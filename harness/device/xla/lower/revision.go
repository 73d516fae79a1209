package lower

// Revision counts the changes of the emitted programs that change their sums. It
// is part of every run's provenance; a test notices changed sources and asks for
// the next number.
const Revision = "2"
