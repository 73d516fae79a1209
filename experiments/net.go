// Names and depths of nets in a question.

package experiments

import (
	"fmt"
	"strconv"
	"strings"

	"depthlab/nets"
)

// maxDepth is the largest depth of a net, the same as in package nets.
const maxDepth = 12002

// checkNet checks that a net has the name.
func checkNet(name string) (problem, hint string) {
	if _, err := nets.ParseArch(name); err != nil {
		problem, hint = split(strings.TrimPrefix(err.Error(), fmt.Sprintf("net %q: ", name)))
		family, depth, _ := strings.Cut(name, "-")
		if near := nearest(family, []string{"plain", "resnet"}); near != "" && near != family {
			if _, err := nets.ParseArch(near + "-" + depth); err == nil {
				hint = "did you mean " + near + "-" + depth + "?"
			}
		}
	}
	return problem, hint
}

// checkDepth checks that a pair of nets has the depth.
func checkDepth(s string) (problem, hint string) {
	depth, err := strconv.Atoi(s)
	if err == nil {
		err = nets.CheckDepth(depth)
	}
	if err != nil {
		return split(err.Error())
	}
	return "", ""
}

// split splits "PROBLEM; HINT".
func split(s string) (problem, hint string) {
	problem, hint, _ = strings.Cut(s, "; ")
	return problem, hint
}

// archOf returns the net of a name that checkNet has passed.
func archOf(name string) nets.Arch {
	arch, err := nets.ParseArch(name)
	if err != nil {
		panic("experiments: the name of a net was not checked: " + name)
	}
	return arch
}
