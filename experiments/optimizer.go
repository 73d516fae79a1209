// Optimizer: SGD with momentum or Adam.

package experiments

import "fmt"

// Optimizer is SGD with momentum, or Adam. Form is one of:
//
//   - "caffe": v = m v + rate g; w -= v: the authors'
//   - "pytorch": v = m v + g; w -= rate v (torch.optim.SGD)
//   - "nesterov": v = m v + g; w -= rate (g + m v) (torch.optim.SGD, nesterov=True)
//   - "adam": Kingma and Ba 2015 (torch.optim.Adam)
//   - "adamw": with decoupled decay, Loshchilov and Hutter 2019 (torch.optim.AdamW)
type Optimizer struct {
	Rate     float64   `json:"rate"`
	Momentum float64   `json:"momentum"` // 0 for Adam
	Form     string    `json:"form"`
	Betas    []float64 `json:"betas,omitempty"` // of Adam: shares of the old averages of the gradient and of its square; else nil
	Eps      float64   `json:"eps,omitempty"`   // of Adam: added to the root of the latter; else 0
	Decay    float64   `json:"decay"`           // L2, added to the gradient; of adamw, subtracted from the weights, times the rate
	Decays   string    `json:"decays"`          // "all" parameters, or only "weights" (of convolutions and fc)
}

// Adam reports whether it is one of Adam's forms.
func (o Optimizer) Adam() bool { return o.Form == "adam" || o.Form == "adamw" }

// settle resets the values that do not belong to the form, and fills in its defaults.
func (o *Optimizer) settle(written map[string]bool) (problem, hint string) {
	paper := paperTraining().Optimizer
	switch {
	case !o.Adam() && (written["betas"] || written["eps"]):
		return "betas and eps are only for adam and adamw", "write form: adam, or leave them out"
	case !o.Adam():
		if o.Betas != nil && !written["momentum"] {
			o.Momentum = paper.Momentum
		}
		o.Betas, o.Eps = nil, 0
	case written["momentum"] && o.Momentum != 0:
		return o.Form + " has no momentum", "its averages are betas: [0.9, 0.999]"
	case written["form"] && !written["rate"]:
		return o.Form + " needs a rate of its own", "write rate: 0.001 beside the form"
	case o.Betas != nil && len(o.Betas) != 2:
		return "expected two betas", "such as [0.9, 0.999]"
	default:
		o.Momentum = 0
		if o.Betas == nil {
			o.Betas = []float64{0.9, 0.999}
		}
		if o.Eps == 0 {
			o.Eps = 1e-8
		}
	}
	return "", ""
}

// caveats lists how an optimizer differs from the paper's.
func (o Optimizer) caveats(paper Optimizer) (out []string) {
	say := func(differs bool, format string, args ...any) {
		if differs {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	say(o.Rate != paper.Rate, "learning rate %g", o.Rate)
	if o.Adam() {
		say(true, "%s in place of momentum", map[string]string{"adam": "Adam", "adamw": "AdamW"}[o.Form])
	} else {
		say(o.Momentum != paper.Momentum, "momentum %g", o.Momentum)
		say(o.Form != paper.Form, "%s momentum", o.Form)
	}
	say(o.Decay != paper.Decay, "weight decay %g", o.Decay)
	return out
}
