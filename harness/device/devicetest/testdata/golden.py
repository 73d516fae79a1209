#!/usr/bin/env python3
"""Golden vectors from PyTorch, in float64: losses, gradients, weights.

    python3 golden.py          # torch 2.11.0; writes NAME.safetensors beside itself
    python3 golden.py search [NAME...]   # looks for salts, and writes nothing

Weights, images, labels and plan are a hash of salt, name and index that
golden.go computes too, to the same bits, so the files hold outputs only:

    loss    F64 (steps)   mean cross-entropy of each step
    wrong   I32 (steps)   images of which the first-largest logit is another class
    grad.NAME             gradients of the first step, without weight decay
    after.NAME            parameters and running statistics after the last step
    norm.*  F64 (1)       Euclidean norm of each of the tensors

A tensor of more than 100 elements is given by 64 of them, those at
7919 i modulo its length.

The nets are written here from the paper, not after ours: He et al. 2015,
section 4.2, shortcuts of section 4.1; orders of activations, weighted shortcuts and
dropout on shortcuts from He et al. 2016, Figure 4, Table 1 and appendix. SGD is Caffe's: v = 0.9 v + rate (g +
1e-4 w); w -= v, on all parameters.

Salts are chosen so that in all steps no rectifier is nearer to its kink than
MARGIN. Otherwise another order of a float32 sum flips one now and then, and
a whole term of a gradient comes or goes: that is no error of either side.
"""
import json, math, os, struct, sys
import numpy as np
import torch
import torch.nn.functional as F

BATCH, SIZE, IMAGES, PAD, MARGIN = 4, 8, 24, 2, 3e-5
RATES = [0.05] * 5 + [0.005] * 5  # the drop is where Caffe's momentum differs from PyTorch's
NETS = {  # file: depth, shortcut, split, group, convolutions of a block with pre-activation (0: without), other variants, salt
    "plain-8": (8, "", False, 0, 0, "", "74"),
    "resnet-8": (8, "A", False, 0, 0, "", "159"),
    "resnet-8_B": (8, "B", False, 0, 0, "", "282"),
    "resnet-8_C": (8, "C", False, 0, 0, "", "176"),
    "resnet-8_split_g2": (8, "A", True, 2, 0, "", "70"),
    "resnet-8_B_preact": (8, "B", False, 0, 2, "", "62"),
    "resnet-8_single_preact": (8, "A", False, 0, 1, "", "27"),
    "resnet-14_B_relu-preact": (14, "B", False, 0, 0, "relu-preact", "122"),
    "resnet-8_relu-before-add": (8, "A", False, 0, 0, "relu-before-add", "87"),
    "resnet-8_B_bn-after-add": (8, "B", False, 0, 0, "bn-after-add", "206"),
    "resnet-8_scales": (8, "A", False, 0, 0, "scale=0.5/branch-scale=2", "170"),
    "resnet-8_gate": (8, "A", False, 0, 0, "gate=shortcut", "232"),
    "resnet-8_exclusive": (8, "B", False, 0, 0, "gate=exclusive/gate-bias=1", "237"),
    "resnet-8_dropout": (8, "A", False, 0, 0, "shortcut-dropout=0.25", "172"),
}
AWAY = 0  # of batch norm's shifts from 0, up and down in turn
torch.set_default_dtype(torch.float64)
salt, nearest = "", math.inf


def relu(x):
    global nearest
    nearest = min(nearest, x.detach().abs().min().item())
    return F.relu(x)


def hashes(name, n):
    """n 32-bit hashes: FNV-1a of salt and name, then an integer mixer on seed + index."""
    seed = 2166136261
    for b in (salt + name).encode():
        seed = (seed ^ b) * 16777619 & 0xFFFFFFFF
    h = (np.arange(n, dtype=np.uint64) * 0x9E3779B9 + seed) & 0xFFFFFFFF
    for multiplier in (0x21F0AAAD, 0x735A2D97):
        h = (h ^ (h >> np.uint64(16))) * np.uint64(multiplier) & np.uint64(0xFFFFFFFF)
    return h ^ (h >> np.uint64(15))


def murmur(h):
    """MurmurHash3's finaliser, of 32 bits in uint64."""
    for shift, multiplier in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h = (h ^ (h >> np.uint64(shift))) * np.uint64(multiplier) & np.uint64(0xFFFFFFFF)
    return h ^ (h >> np.uint64(16))


def uniform(name, n):
    """In [-1, 1), exact: multiples of 2^-23."""
    return (hashes(name, n) >> np.uint64(8)).astype(np.float64) / 2.0**23 - 1


def param(name, *shape, start=0):
    u = uniform(name, math.prod(shape))
    if len(shape) > 1:  # He et al. 2015b as a uniform distribution: variance 2 / fan-in
        w = u * math.sqrt(6 / math.prod(shape[1:]))
        if AWAY and name == "fc.weight":
            w /= 16  # as the features are large
    elif name == "fc.bias" or name.endswith(".gate.bias"):
        w = start + u * 0.125
    elif name.endswith(".weight"):
        w = 1 + u * 0.25
    else:
        w = AWAY * (1 - 2 * (np.arange(len(u)) % 2)) + u * 0.25
    w = w.astype(np.float32).astype(np.float64)  # what our side holds
    return torch.tensor(w.reshape(shape), requires_grad=True)


class Net:
    def __init__(self, depth, shortcut, split=False, group=0, preact=0, variants=""):
        self.shortcut, self.split, self.group, self.preact = shortcut, split, group, preact
        self.variants = dict(v.partition("=")[::2] for v in variants.split("/"))
        self.n = (depth - 2) // (3 * (preact or 2))
        self.params, self.stats = {}, {}

    def p(self, name, *shape, start=0):
        if name not in self.params:
            self.params[name] = param(name, *shape, start=start)
        return self.params[name]

    def conv(self, x, conv, out, size, stride):
        w = self.p(conv + ".weight", out, x.shape[1], size, size)
        return F.conv2d(x, w, stride=stride, padding=size // 2)

    def conv_bn(self, x, conv, bn, out, size, stride):
        return self.bn(self.conv(x, conv, out, size, stride), bn)

    def bn(self, x, bn):
        out = x.shape[1]
        scale, shift = self.p(bn + ".weight", out), self.p(bn + ".bias", out)
        mean = self.stats.setdefault(bn + ".running_mean", torch.zeros(out))
        var = self.stats.setdefault(bn + ".running_var", torch.ones(out))
        groups, means, variances = x.split(self.group or len(x)), [], []
        ys = []
        for g in groups:  # each device of the paper's has statistics of its own
            m, v = torch.zeros(out), torch.zeros(out)
            ys.append(F.batch_norm(g, m, v, scale, shift, training=True, momentum=1.0, eps=EPS))
            means.append(m), variances.append(v)
        mean.mul_(0.9).add_(0.1 * sum(means) / len(means))
        var.mul_(0.9).add_(0.1 * sum(variances) / len(variances))
        return torch.cat(ys)

    def side(self, x, path, out, stride):
        if self.shortcut == "C" or self.shortcut == "B" and (stride > 1 or x.shape[1] != out):
            x = self.conv(x, path + "downsample.0", out, 1, stride)
            return x if "bn-after-add" in self.variants else self.bn(x, path + "downsample.1")
        zeros = out - x.shape[1]
        before = zeros // 2 if self.split else 0
        return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, before, zeros - before))

    def preactivated(self, x):
        """Activated after conv1 and before the split, as a whole stage's first block; an activation after the last sum."""
        x = self.conv(x, "conv1", 16, 3, 1)
        for stage, out in enumerate((16, 32, 64)):
            for i in range(self.n):
                path, stride = f"layer{stage + 1}.{i}.", 2 if stage and not i else 1
                y = relu(self.bn(x, path + "bn1"))
                if not i:
                    x = y
                if x.shape[1] != out:
                    x = self.conv(x, path + "downsample.0", out, 1, stride) if self.shortcut == "B" else self.side(x, path, out, stride)
                y = self.conv(y, path + "conv1", out, 3, stride)
                if self.preact > 1:
                    y = self.conv(relu(self.bn(y, path + "bn2")), path + "conv2", out, 3, 1)
                x = x + y
        return relu(self.bn(x, "bn"))

    def __call__(self, x, noise=()):
        self.noise, self.dropouts = noise, 0
        x = self.preactivated(x) if self.preact else self.activated(x)
        x = x.mean((2, 3))
        return F.linear(x, self.p("fc.weight", 10, x.shape[1]), self.p("fc.bias", 10))

    def mask(self, rate, shape):
        """Ones and zeros, by hash: of the image's random bits, the number of the dropout, and the element's place."""
        places, noise = np.arange(math.prod(shape[1:]), dtype=np.uint64), np.array(self.noise, dtype=np.uint64)
        key = murmur(murmur(noise) ^ np.uint64(self.dropouts))
        self.dropouts += 1
        bits = murmur(murmur(places)[None] ^ key[:, None]) >> np.uint64(8)
        return torch.tensor((bits >= rate * 2**24).astype(np.float64).reshape(shape))

    def activated(self, x):
        v = self.variants
        x = self.conv_bn(x, "conv1", "bn1", 16, 3, 1)
        if "relu-preact" not in v:
            x = relu(x)
        for stage, out in enumerate((16, 32, 64)):
            for i in range(self.n):
                path, stride = f"layer{stage + 1}.{i}.", 2 if stage and not i else 1
                y = relu(x) if "relu-preact" in v else x
                if not i:
                    x = y
                y = relu(self.conv_bn(y, path + "conv1", path + "bn1", out, 3, stride))
                y = self.conv(y, path + "conv2", out, 3, 1)
                side = self.side(x, path, out, stride) if self.shortcut else 0
                if "shortcut-dropout" in v:
                    side = side * self.mask(float(v["shortcut-dropout"]), side.shape)
                if "bn-after-add" in v:
                    y, side = self.bn(y + side, path + "bn2"), 0
                else:
                    y = self.bn(y, path + "bn2")
                if "relu-before-add" in v:
                    y = relu(y)
                if "gate" in v:
                    bias = self.p(path + "gate.bias", out, start=float(v.get("gate-bias", 0)))
                    g = torch.sigmoid(self.conv(x, path + "gate", out, 1, stride) + bias[:, None, None])
                    side = (1 - g) * side
                    if v["gate"] == "exclusive":
                        y = g * y
                x = float(v.get("branch-scale", 1)) * y + float(v.get("scale", 1)) * side
                if "relu-before-add" not in v and "relu-preact" not in v:
                    x = relu(x)
        return relu(x) if "relu-preact" in v else x


EPS = float(np.float32(1e-5))


def batch(step):
    images = (hashes("images", IMAGES * 3 * SIZE * SIZE) >> np.uint64(24)).astype(np.float64).reshape(IMAGES, 3, SIZE, SIZE)
    mean = np.floor(120 + 16 * uniform("mean", 3 * SIZE * SIZE)).reshape(3, SIZE, SIZE)
    scale, fill = np.array([1 / 64, 1 / 128, 1 / 32]).reshape(3, 1, 1), [0.0, 0.25, -0.5]
    xs, labels = [], []
    for slot in range(BATCH):
        index, top, left, bits = row(step, slot)
        padded = np.stack([np.full((SIZE + 2 * PAD, SIZE + 2 * PAD), f) for f in fill])
        padded[:, PAD : PAD + SIZE, PAD : PAD + SIZE] = (images[index] - mean) * scale
        x = padded[:, top : top + SIZE, left : left + SIZE]
        xs.append(x[:, :, ::-1] if bits % 2 else x)
        labels.append(index % 10)
    return torch.tensor(np.stack(xs)), torch.tensor(labels)


def row(step, slot):
    h = [int(v) for v in hashes(f"row {step} {slot}", 3)]
    return (step * BATCH + slot) % IMAGES, h[0] % (2 * PAD + 1), h[1] % (2 * PAD + 1), h[2]


def run(net):
    out, losses, wrongs, velocity = {}, [], [], {}

    def put(name, x):
        x = x.detach().numpy().ravel()
        out["norm." + name] = np.array([np.linalg.norm(x)])
        out[name] = (x if len(x) <= 100 else x[np.arange(64) * 7919 % len(x)]).astype(np.float32)

    for step, rate in enumerate(RATES):
        x, label = batch(step)
        logits = net(x, [row(step, slot)[3] for slot in range(BATCH)])
        loss = F.cross_entropy(logits, label)
        grads = dict(zip(net.params, torch.autograd.grad(loss, net.params.values())))
        losses.append(loss.item())
        wrongs.append(int((logits.argmax(1) != label).sum()))
        if step == 0:
            for name, g in grads.items():
                put("grad." + name, g)
        with torch.no_grad():
            for name, w in net.params.items():
                v = 0.9 * velocity.get(name, 0) + rate * (grads[name] + 1e-4 * w)
                velocity[name] = v
                w -= v
    for name, x in list(net.params.items()) + list(net.stats.items()):
        put("after." + name, x)
    out["loss"], out["wrong"] = np.array(losses), np.array(wrongs, dtype=np.int32)
    return out


def save(path, tensors):
    """safetensors, by hand: the length of the header, the header, the data."""
    header, data = {"__metadata__": {"made": f"golden.py, torch {torch.__version__}"}}, b""
    for name, x in tensors.items():
        kind = {"float64": "F64", "float32": "F32", "int32": "I32", "int64": "I64"}[str(x.dtype)]
        header[name] = {"dtype": kind, "shape": list(x.shape), "data_offsets": [len(data), len(data) + x.nbytes]}
        data += x.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def compute(*net):
    global salt, nearest
    *net, salt = net
    nearest = math.inf
    return run(Net(*net))


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    for name, net in NETS.items():
        if sys.argv[1:2] == ["search"]:
            if sys.argv[2:] and name not in sys.argv:
                continue
            best = (0, "")
            for i in range(400):
                compute(*net[:-1], str(i))
                best = max(best, (nearest, str(i)))
            print(name, best)
            continue
        out = compute(*net)
        print(name, [f"{v:.4f}" for v in out["loss"]], out["wrong"], f"nearest to a kink {nearest:.1e}")
        assert nearest > MARGIN, "search for another salt"
        save(os.path.join(here, name + ".safetensors"), out)
