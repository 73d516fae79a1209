"""Writes smoothing.json beside itself: what torch.nn.functional.cross_entropy with label
smoothing makes of the logits of 4 images of 5 classes, in float64: loss and gradient.

    python nets/kernel/testdata/smoothing.py
"""
import json, pathlib, torch

torch.manual_seed(2)
logits = (3 * torch.randn(4, 5)).double()  # of float32 values, so that Go begins with the same
labels = torch.tensor([0, 3, 1, 3])
out = {"logits": logits.reshape(-1).tolist(), "labels": labels.tolist(), "cases": []}
for s in [0.0, 0.1, 0.5]:
    x = logits.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(x, labels, label_smoothing=s)
    loss.backward()
    out["cases"].append({"smoothing": s, "loss": loss.item(), "grad": x.grad.reshape(-1).tolist()})
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(out, indent=1) + "\n")
