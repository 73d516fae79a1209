#!/usr/bin/env python3
"""Golden vectors of the ImageNet nets from PyTorch, in float64: one training step.

    python3 golden_imagenet.py [NET_SIZE ...]   # torch 2.11.0; writes imagenet/NET_SIZE.safetensors

What golden.py says holds here too, but for the form, which is dense:

    loss, wrong          F64, I32 (1)
    grad, after, stat    F32 (tensors, 15): of each tensor, in the order of their names, the Euclidean norm, the
                         largest absolute value, the largest error of PyTorch's own float32, relative to that, and 12
                         elements, those at 7919 i modulo its length. grad is without weight decay, after and stat are
                         parameters and running statistics after the step.

The nets are written from the paper's Table 1 and Figure 5. Max-pools: Caffe's (no padding, the last window hangs
over), or PyTorch's own padding of 1 in the nets that torchvision has.

These nets have millions of rectifiers, and no salt keeps all of them away from their kinks. So batch norm's shifts
are 3 up or down, which leaves few of them near it, though each channel has both; a salt whose nearest rectifier, and
nearest second of a max-pool's window, is more than MARGIN away is then easily found: the first from 0 on is taken. The price is that
channels which are always on are linear up to the next batch norm, which undoes every shift. So some gradients of
shifts and scales are sums that nearly cancel, and float32 leaves few digits of them: PyTorch's as well as ours.
"""
import os, sys
import numpy as np
import torch
import torch.nn.functional as F
import golden

MARGIN = 1e-6
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
NETS = {  # file: depth, shortcut, stride on the 3x3, padding of the pool
    "resnet-18": (18, "A", False, 0),
    "plain-34": (34, "", False, 0),
    "resnet-50": (50, "B", False, 0),
    "resnet-50_A": (50, "A", False, 0),
    "resnet-50_C": (50, "C", False, 0),
    "resnet-50_torchvision": (50, "B", True, 1),
    "resnet-50_A_v1.5": (50, "A", True, 0),
    "resnet-50_C_v1.5": (50, "C", True, 0),
}
SIZES = {64: 3, 224: 1}  # images in the batch
FIRST = {"plain-34_64": 3, "resnet-50_64": 1, "resnet-50_A_v1.5_224": 2}  # salts: with those before float32 lands on the other side of a kink here


class ImageNet(golden.Net):
    def __init__(self, depth, shortcut, v15, pad):
        self.shortcut, self.split, self.group = shortcut, False, 0
        self.depth, self.v15, self.pad = depth, v15, pad
        self.params, self.stats = {}, {}

    def p(self, name, *shape):
        if name not in self.params:
            self.params[name] = golden.param(name, *shape).detach().to(torch.get_default_dtype()).requires_grad_()
        return self.params[name]

    def pool(self, x):
        windows = F.pad(x.detach(), (1, 1, 1, 1) if self.pad else (0, 1, 0, 1), value=-1)
        first, second = windows.unfold(2, 3, 2).unfold(3, 3, 2).flatten(4).topk(2).values.unbind(4)
        golden.nearest = min(golden.nearest, (first - second)[first > 0].min().item())
        return F.max_pool2d(x, 3, 2, self.pad, ceil_mode=not self.pad)

    def block(self, x, path, width, stride):
        if self.depth < 50:
            y = golden.relu(self.conv_bn(x, path + "conv1", path + "bn1", width, 3, stride))
            y = self.conv_bn(y, path + "conv2", path + "bn2", width, 3, 1)
        else:
            first, second = (1, stride) if self.v15 else (stride, 1)
            y = golden.relu(self.conv_bn(x, path + "conv1", path + "bn1", width, 1, first))
            y = golden.relu(self.conv_bn(y, path + "conv2", path + "bn2", width, 3, second))
            y = self.conv_bn(y, path + "conv3", path + "bn3", 4 * width, 1, 1)
        return golden.relu(y + self.side(x, path, y.shape[1], stride) if self.shortcut else y)

    def __call__(self, x):
        x = self.pool(golden.relu(self.conv_bn(x, "conv1", "bn1", 64, 7, 2)))
        for stage, blocks in enumerate(BLOCKS[self.depth]):
            for i in range(blocks):
                x = self.block(x, f"layer{stage + 1}.{i}.", 64 << stage, 2 if stage and not i else 1)
        x = x.mean((2, 3))
        return F.linear(x, self.p("fc.weight", 10, x.shape[1]), self.p("fc.bias", 10))


def step(net, dtype):
    """Loss, errors, and grad, after and stat by name; None where a kink is near."""
    torch.set_default_dtype(dtype)
    x, label = golden.batch(0)
    logits = net(x.to(dtype))
    if dtype == torch.float64 and golden.nearest <= MARGIN:
        return None
    loss = F.cross_entropy(logits, label)
    grads = dict(zip(net.params, torch.autograd.grad(loss, net.params.values())))
    after = {name: w - 0.05 * (grads[name] + 1e-4 * w) for name, w in net.params.items()}
    return loss.item(), (logits.argmax(1) != label).sum(), {"grad": grads, "after": after, "stat": net.stats}


def rows(tensors, single):
    def row(name):
        x, y = (t[name].detach().double().numpy().ravel() for t in (tensors, single))
        largest = np.abs(x).max()
        return [np.linalg.norm(x), largest, np.abs(x - y).max() / largest, *x[np.arange(12) * 7919 % len(x)]]

    return np.array([row(name) for name in sorted(tensors)], dtype=np.float32)


def run(net):
    exact = step(ImageNet(*net), torch.float64)
    if exact is None:
        return None
    loss, wrong, tensors = exact
    _, _, single = step(ImageNet(*net), torch.float32)
    out = {"loss": np.array([loss]), "wrong": np.array([wrong], dtype=np.int32)}
    return out | {kind: rows(tensors[kind], single[kind]) for kind in tensors}


if __name__ == "__main__":
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "imagenet")
    os.makedirs(here, exist_ok=True)
    golden.AWAY = 3
    for name in NETS:
        for golden.SIZE, golden.BATCH in SIZES.items():
            file = f"{name}_{golden.SIZE}"
            if sys.argv[1:] and file not in sys.argv:
                continue
            out, salt = None, FIRST.get(file, 0) - 1
            while out is None:
                salt += 1
                golden.salt, golden.nearest = str(salt), float("inf")
                out = run(NETS[name])
            print(file, f"salt {salt}: loss {out['loss'][0]:.4f}, nearest to a kink {golden.nearest:.1e}, float32 errs by {out['grad'][:, 2].max():.1e}", flush=True)
            golden.save(os.path.join(here, file + ".safetensors"), out | {"salt": np.array([salt], dtype=np.int32)})
