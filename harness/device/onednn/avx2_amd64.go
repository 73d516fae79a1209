package onednn

// The C entry points of avx2_amd64.s. Go never calls them: libgomp does.

func convForward()
func convGradWeight()
func convForwardAddress() uintptr
func convGradWeightAddress() uintptr
