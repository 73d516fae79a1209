#!/usr/bin/env python3
"""How far a gradient in float32 is from float64, in PyTorch: one training step.

    python golden_accuracy.py    # torch 2.11.0; writes accuracy_NET.safetensors beside itself

What golden.py says holds here too. A file holds

    grad.NAME             gradients in float64, without weight decay; of more than 100 elements 64, as in golden.py
    mkldnn, native        F64 (1): the error of PyTorch's float32 with torch.backends.mkldnn on and off: the norm of
                          the difference over the norm, all parameters together
    salt                  I32 (1)

The error depends on few things only where no rectifier lands on the other side of its kink: so the salt is the first
that keeps them all MARGIN away. With a batch of 128 images some always do, and errors are a thousand times as large
("lab bench --accuracy" measures that).
"""
import os
import numpy as np
import torch
import torch.nn.functional as F
import golden

NETS = {"plain-20": (20, "", False, 2), "resnet-20": (20, "A", False, 2)}  # depth, shortcut, split, group


class Net(golden.Net):
    def p(self, name, *shape):
        if name not in self.params:
            self.params[name] = golden.param(name, *shape).detach().to(torch.get_default_dtype()).requires_grad_()
        return self.params[name]


def gradient(net, dtype, mkldnn):
    torch.set_default_dtype(dtype)
    net = Net(*net)
    x, label = golden.batch(0)
    with torch.backends.mkldnn.flags(enabled=mkldnn):
        loss = F.cross_entropy(net(x.to(dtype)), label)
        grads = torch.autograd.grad(loss, net.params.values())
    return {name: g.double().numpy().ravel() for name, g in zip(net.params, grads)}


def error(got, want):
    got, want = (np.concatenate([g[name] for name in want]) for g in (got, want))
    return np.linalg.norm(got - want) / np.linalg.norm(want)


if __name__ == "__main__":
    golden.SIZE, golden.MARGIN = 16, 2e-5
    here = os.path.dirname(os.path.abspath(__file__))
    for name, net in NETS.items():
        salt, golden.nearest = -1, 0
        while golden.nearest <= golden.MARGIN:
            salt += 1
            golden.salt, golden.nearest = str(salt), float("inf")
            exact = gradient(net, torch.float64, False)
        nearest = golden.nearest
        out = {"salt": np.array([salt], dtype=np.int32)}
        for route, mkldnn in ("mkldnn", True), ("native", False):
            out[route] = np.array([error(gradient(net, torch.float32, mkldnn), exact)])
        print(name, f"salt {salt}, nearest to a kink {nearest:.1e}, float32 errs by {out['mkldnn'][0]:.1e} (mkldnn) and {out['native'][0]:.1e} (native)")
        for parameter, g in exact.items():
            out["grad." + parameter] = (g if len(g) <= 100 else g[np.arange(64) * 7919 % len(g)]).astype(np.float32)
        golden.save(os.path.join(here, f"accuracy_{name}.safetensors"), out)
