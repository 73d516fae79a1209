"""Writes optimizers.json beside itself: what torch.optim makes of 8 values in 12
steps, in float64. The rate drops at step 7, so that forms of momentum differ.

    python nets/kernel/testdata/optimizers.py
"""
import json, pathlib, torch

SHARED = dict(weight_decay=0.01)
ADAM = dict(betas=(0.9, 0.99), eps=1e-6, **SHARED)
CASES = {
    "pytorch": (torch.optim.SGD, 0.1, dict(momentum=0.9, **SHARED)),
    "nesterov": (torch.optim.SGD, 0.1, dict(momentum=0.9, nesterov=True, **SHARED)),
    "adam": (torch.optim.Adam, 0.05, ADAM),
    "adamw": (torch.optim.AdamW, 0.05, ADAM),
}
STATE = {"momentum": "momentum_buffer", "exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq", "step": "step"}

torch.manual_seed(1)
first = torch.randn(8).double()  # of float32 values, so that Go begins with the same
grads = torch.randn(12, 8).double()
grads[3] = 0  # a step without a gradient
grads[:, 1] *= 1e-4
out = {"first": first.tolist(), "grads": grads.tolist(), "cases": {}}
for name, (kind, rate, options) in CASES.items():
    w = first.clone().requires_grad_()
    opt = kind([w], lr=rate, **options)
    after = []
    for i, g in enumerate(grads):
        opt.param_groups[0]["lr"] = rate if i < 6 else rate / 10
        w.grad = g.clone()
        opt.step()
        after.append(w.detach().tolist())
    s = opt.state[w]
    state = {n: s[k].reshape(-1).tolist() for n, k in STATE.items() if k in s}
    out["cases"][name] = {"rate": rate, "after": after, "state": state}
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(out, indent=1) + "\n")
