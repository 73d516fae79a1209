#!/usr/bin/env python3
"""torchvision's ResNets, written after its names, to hold our files of weights to PyTorch.

    python3 torchvision.py golden                # torch 2.11.0; writes torchvision.json beside itself
    python3 torchvision.py NET STATE OURS        # prints the scores with the weights in OURS

golden holds the scores of every net with weights that are a hash of their names: the logarithms of softmax's shares
of an image of 64 x 64 pixels among 10 classes, in float64. The second form writes such weights to the file STATE as
torchvision would, as a state_dict in safetensors; and it reads the safetensors file OURS with load_state_dict, which
refuses a name or a shape that is not the module's.
"""
import json, os, struct, sys
import numpy as np
import torch
from torch import nn

here = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(here, "..", "..", "device", "devicetest", "testdata"))
import golden

torch.set_default_dtype(torch.float32)
NETS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class Block(nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3 and 1x1 with the stride on the 3x3."""

    def __init__(self, inside, width, stride, bottleneck):
        super().__init__()
        sizes = [(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)] if bottleneck else [(width, 3, stride), (width, 3, 1)]
        self.layers, out = len(sizes), inside
        for i, (channels, size, step) in enumerate(sizes, 1):
            setattr(self, f"conv{i}", nn.Conv2d(out, channels, size, step, size // 2, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(channels))
            out = channels
        self.out, self.downsample = out, None
        if stride > 1 or inside != out:
            self.downsample = nn.Sequential(nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = x
        for i in range(1, self.layers + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < self.layers:
                y = y.relu()
        return (y + (self.downsample(x) if self.downsample else x)).relu()


class ResNet(nn.Module):
    def __init__(self, depth, classes=10):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inside = 64
        for stage, blocks in enumerate(NETS[depth]):
            layer = []
            for i in range(blocks):
                layer.append(Block(inside, 64 << stage, 2 if stage and not i else 1, depth >= 50))
                inside = layer[-1].out
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))
        self.fc = nn.Linear(inside, classes)

    def forward(self, x):
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
        return self.fc(x.mean((2, 3)))


def fill(net):
    """Weights as torchvision_test.go has them."""
    state = net.state_dict()
    for name, x in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        u = golden.uniform(name, x.numel())
        if x.dim() > 1:
            w = u * np.sqrt((6 if x.dim() == 4 else 1) / x[0].numel())
        elif name.endswith("running_var"):
            w = 1 + 0.2 * u
        elif name.endswith(".weight"):
            w = 0.5 + 0.1 * u
        else:
            w = 0.1 * u
        state[name] = torch.tensor(w.astype(np.float32).reshape(x.shape))
    net.load_state_dict(state)


def scores(net):
    pixels = (golden.hashes("image", 3 * 64 * 64) >> np.uint64(24)).astype(np.float64).reshape(1, 3, 64, 64)
    mean, std = (np.array(v).reshape(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.no_grad():
        return net.eval().double()(torch.tensor((pixels / 255 - mean) / std)).log_softmax(1)[0].tolist()


def read(path):
    """A state_dict from a safetensors file."""
    data = open(path, "rb").read()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    state = {}
    for name, h in json.loads(data[8:start]).items():
        if name != "__metadata__":
            begin, end = h["data_offsets"]
            kind = {"F32": np.float32, "I64": np.int64}[h["dtype"]]
            state[name] = torch.tensor(np.frombuffer(data[start + begin : start + end], kind).reshape(h["shape"]))
    return state


if __name__ == "__main__":
    if sys.argv[1:] == ["golden"]:
        all = {}
        for depth in NETS:
            net = ResNet(depth)
            fill(net)
            all[f"resnet-{depth}/torchvision"] = scores(net)
        with open(os.path.join(here, "torchvision.json"), "w") as f:
            json.dump(all, f, indent=1)
            f.write("\n")
    else:
        name, state, ours = sys.argv[1:]
        net = ResNet(int(name.split("-")[1].split("/")[0]))
        fill(net)
        golden.save(state, {k: v.numpy() for k, v in net.state_dict().items()})
        net = ResNet(int(name.split("-")[1].split("/")[0]))
        net.load_state_dict(read(ours), strict=True)
        print(json.dumps(scores(net)))
