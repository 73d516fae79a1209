// Exports for the tests in package train_test.

package train

// GuessingSteps is lower in tests, which train fewer steps.
var GuessingSteps = &guessingSteps

var Exact = exact
