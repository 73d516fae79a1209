"""The net NET, trained by Depthlab, for PyTorch.

    from FILE import load
    net = load("WEIGHTS")              # in eval mode
    scores = net(images)               # uint8 (N, C, H, W), as the data set has them -> (N, classes)

Or from the command line: python FILE.py WEIGHTS. Needs torch, and nothing else.
"""
import json, struct, sys
import torch
from torch import nn
from torch.nn.functional import dropout, pad

CONFIG = {}


class Pad(nn.Module):
    """Shortcut A: every stride-th pixel, and zeros for the channels that are not there."""

    def __init__(self, inside, out, stride, split):
        super().__init__()
        self.stride, before = stride, (out - inside) // 2 if split else 0
        self.zeros = (0, 0, 0, 0, before, out - inside - before)

    def forward(self, x):
        return pad(x[:, :, ::self.stride, ::self.stride], self.zeros)


class Block(nn.Module):
    """One, two or three convolutions, with a shortcut in residual nets."""

    def __init__(self, inside, width, stride, first, c):
        super().__init__()
        self.order, self.residual, self.gated = c["order"], c["residual"], c["gate"]
        self.scale, self.branch_scale, self.dropout = c["scale"], c["branch_scale"], c["shortcut_dropout"]
        if c["bottleneck"]:
            strides = (1, stride) if c["stride_on_3x3"] else (stride, 1)
            layers = [(width, 1, strides[0]), (width, 3, strides[1]), (4 * width, 1, 1)]
        else:
            layers = [(width, 3, stride), (width, 3, 1)][:1 if c["single"] else 2]
        self.layers, channels = len(layers), inside
        for i, (out, size, step) in enumerate(layers, 1):
            setattr(self, f"bn{i}", nn.BatchNorm2d(channels if self.order == "preact" else out, eps=c["eps"]))
            setattr(self, f"conv{i}", nn.Conv2d(channels, out, size, step, size // 2, bias=False))
            channels = out
        self.out, self.downsample = channels, nn.Identity()
        self.shared = first or c["shortcut"] == "C"  # with pre-activation: the shortcut starts behind the first rectifier
        same = stride == 1 and inside == channels and c["shortcut"] != "C"
        if self.residual and not same and c["shortcut"] == "A":
            self.downsample = Pad(inside, channels, stride, c["split"])
        elif self.residual and not same:
            project = [nn.Conv2d(inside, channels, 1, stride, bias=False)]
            norm = [] if self.order in ("preact", "bn-after-add") else [nn.BatchNorm2d(channels, eps=c["eps"])]
            self.downsample = nn.Sequential(*project, *norm)
        if self.gated:
            self.gate = nn.Conv2d(inside, channels, 1, stride)

    def forward(self, x):
        if self.order == "preact":
            return self.preactivated(x)
        y = x.relu() if self.order == "relu-preact" else x
        side = y if self.shared else x
        gate = self.gate(x).sigmoid() if self.gated else None
        for i in range(1, self.layers):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y)).relu()
        y, bn = getattr(self, f"conv{self.layers}")(y), getattr(self, f"bn{self.layers}")
        side = self.downsample(side) if self.residual else 0
        if self.order == "bn-after-add":
            return bn(y + side).relu()
        y = bn(y)
        if self.order == "relu-before-add":
            return y.relu() + side
        if self.order == "relu-preact":
            return y + side
        if self.gated:
            side = (1 - gate) * side
        if self.gated == "exclusive":
            y = gate * y
        if self.dropout:  # what is kept is not divided by 1 - dropout, as PyTorch does
            side = (1 - self.dropout) * dropout(side, self.dropout, self.training)
        return (self.branch_scale * y + self.scale * side).relu()

    def preactivated(self, x):
        y = side = x
        for i in range(1, self.layers + 1):
            y = getattr(self, f"bn{i}")(y).relu()
            side = y if i == 1 and self.shared else side
            y = getattr(self, f"conv{i}")(y)
        return y + self.downsample(side)


class Net(nn.Module):
    """Names are those of the weights. Images are prepared by mean and scale, which the weights' file has."""

    def __init__(self, c=CONFIG):
        super().__init__()
        self.order = c["order"]
        self.register_buffer("mean", torch.zeros(c["channels"], 1, 1), persistent=False)
        self.register_buffer("scale", torch.ones(c["channels"], 1, 1), persistent=False)
        self.conv1 = nn.Conv2d(c["channels"], 16, 3, 1, 1, bias=False)
        if self.order != "preact":
            self.bn1 = nn.BatchNorm2d(16, eps=c["eps"])
        inside = 16
        for stage in range(3):
            layer = []
            for i in range(c["blocks"]):
                layer.append(Block(inside, 16 << stage, 2 if stage > 0 and i == 0 else 1, i == 0, c))
                inside = layer[-1].out
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))
        if self.order == "preact":
            self.bn = nn.BatchNorm2d(inside, eps=c["eps"])
        self.fc = nn.Linear(inside, c["classes"])

    def forward(self, images):
        x = self.conv1((images.to(self.mean.dtype) - self.mean) * self.scale)
        if self.order != "preact":
            x = self.bn1(x)
        if "preact" not in self.order:
            x = x.relu()
        x = self.layer3(self.layer2(self.layer1(x)))
        if self.order == "preact":
            x = self.bn(x)
        if "preact" in self.order:
            x = x.relu()
        return self.fc(x.mean((2, 3)))


def load(path):
    """The net with the weights of a safetensors file that export wrote beside this one."""
    raw = open(path, "rb").read()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + length])
    meta = header.pop("__metadata__")
    types = {"F32": torch.float32, "I64": torch.int64}
    state = {}
    for name, t in header.items():
        first, last = (8 + length + at for at in t["data_offsets"])
        state[name] = torch.frombuffer(bytearray(raw[first:last]), dtype=types[t["dtype"]]).reshape(t["shape"])
    net = Net()
    net.load_state_dict(state)
    net.mean = torch.tensor(json.loads(meta["mean"])).reshape(json.loads(meta["mean_shape"]))
    net.scale = torch.tensor(json.loads(meta["scale"])).reshape(-1, 1, 1)
    return net.eval()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    net = load(sys.argv[1])
    print(f"{CONFIG['net']}: {sum(p.numel() for p in net.parameters()):,} parameters, {CONFIG['classes']} classes")
