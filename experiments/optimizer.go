package experiments

import "fmt"

// Optimizer is SGD with momentum.
type Optimizer struct {
	Rate     float64 `json:"rate"`
	Momentum float64 `json:"momentum"`
	Form     string  `json:"form"`   // "caffe": v = m v + rate g; w -= v. "pytorch": v = m v + g; w -= rate v
	Decay    float64 `json:"decay"`  // L2, added to the gradient
	Decays   string  `json:"decays"` // "all" parameters or "weights" (of convolutions and fc) only
}

// caveats says how an optimizer differs from the paper's.
func (o Optimizer) caveats(paper Optimizer) (out []string) {
	say := func(differs bool, format string, args ...any) {
		if differs {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	say(o.Rate != paper.Rate, "learning rate %g", o.Rate)
	say(o.Momentum != paper.Momentum, "momentum %g", o.Momentum)
	say(o.Form != paper.Form, "%s momentum", o.Form)
	say(o.Decay != paper.Decay, "weight decay %g", o.Decay)
	return out
}
