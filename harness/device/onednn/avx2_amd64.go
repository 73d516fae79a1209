package onednn

// The C entry points of avx2_amd64.s. Go never calls them: libgomp does.

func convForward()
func convGradWeight()
func rectify32()
func rectify16()

func convForwardAddress() uintptr
func convGradWeightAddress() uintptr
func rectify32Address() uintptr
func rectify16Address() uintptr
