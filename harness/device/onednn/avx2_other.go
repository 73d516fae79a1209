//go:build !amd64

package onednn

func convForwardAddress() uintptr    { return 0 }
func convGradWeightAddress() uintptr { return 0 }
func rectify32Address() uintptr      { return 0 }
func rectify16Address() uintptr      { return 0 }
