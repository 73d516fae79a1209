"""Writes schedules.json beside itself: the learning rate of each of 40 steps by
torch.optim.lr_scheduler, from 0.1.

    python harness/train/testdata/schedules.py
"""
import json, pathlib, torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR

STEPS = 40
CASES = {
    "cosine": lambda o: CosineAnnealingLR(o, T_max=STEPS),
    "linear": lambda o: LinearLR(o, start_factor=1, end_factor=0, total_iters=STEPS),
}
out = {"steps": STEPS, "rate": 0.1, "rates": {}}
for name, make in CASES.items():
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=out["rate"])
    schedule = make(opt)
    rates = []
    for _ in range(STEPS):
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        schedule.step()
    out["rates"][name] = rates
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(out, indent=1) + "\n")
