# The gradient of one training step in PyTorch: in float64, as the reference, and in
# float32, or in bfloat16 by autocast, by PyTorch's two routes on a CPU: mkldnn (oneDNN) and
# its own kernels.
#
#   python torch_gradient.py NET GROUP EPS STEP OUT PRECISION
#
# STEP is a file written by "lab step": input, label and param.NAME. OUT will hold
# float64.NAME (rounded to float32), mkldnn.NAME and native.NAME. GROUP images share batch
# norm statistics; 0 means the whole batch. PRECISION is fp32 or bf16.
#
# Prints "ready VERSION" when OUT is written, or "skip REASON". Needs: pip
# install torch numpy
import json
import struct
import sys

net, group, eps, step, out, precision = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:7]
family, *variant = net.split("/")
family, depth = family.split("-")[0], int(family.split("-")[1])
shortcut = "none" if family == "plain" else next((v for v in variant if v in ("B", "C")), "A")
if set(variant) - {"A", "B", "C", "split"} or depth % 6 != 2 or depth in (50, 152):  # the two are ImageNet nets
    sys.exit(print(f"skip {net}: torch_gradient.py has only CIFAR nets of basic blocks"))
try:
    import numpy as np
    import torch
    import torch.nn.functional as F
except ImportError as e:
    sys.exit(print(f"skip {sys.executable}: {e} (pip install torch numpy)"))


def read(path):
    """Returns the tensors of a safetensors file: length of the header, header, data."""
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[slice(*t["data_offsets"])], {"F32": "<f4", "I32": "<i4"}[t["dtype"]]).reshape(t["shape"])
        for name, t in header.items()
    }


def write(path, tensors):
    header, data = {}, b""
    for name, x in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(x.shape), "data_offsets": [len(data), len(data) + x.nbytes]}
        data += x.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def forward(p, x):
    """Returns the logits of images x (N, C, H, W) with parameters p: He et al. 2015, sections 4.1 and 4.2."""

    def conv_norm(x, conv, norm, stride):
        w = p[conv + ".weight"]
        x = F.conv2d(x, w, stride=stride, padding=w.shape[-1] // 2)
        scale, shift = p[norm + ".weight"], p[norm + ".bias"]
        return torch.cat([F.batch_norm(g, None, None, scale, shift, training=True, eps=eps) for g in x.split(group or len(x))])

    def side(x, path, more, stride):
        if path + "downsample.0.weight" in p:
            return conv_norm(x, path + "downsample.0", path + "downsample.1", stride)
        first = more // 2 if "split" in variant else 0
        return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, first, more - first))

    x = F.relu(conv_norm(x, "conv1", "bn1", 1))
    for stage in range(3):
        for block in range((depth - 2) // 6):
            path, stride = f"layer{stage + 1}.{block}.", 2 if stage and not block else 1
            y = F.relu(conv_norm(x, path + "conv1", path + "bn1", stride))
            y = conv_norm(y, path + "conv2", path + "bn2", 1)
            if shortcut != "none":
                y = y + side(x, path, y.shape[1] - x.shape[1], stride)
            x = F.relu(y)
    return F.linear(x.mean((2, 3)), p["fc.weight"], p["fc.bias"])


def gradient(tensors, dtype):
    p = {n.removeprefix("param."): torch.tensor(x, dtype=dtype, requires_grad=True) for n, x in tensors.items() if n.startswith("param.")}
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16" and dtype == torch.float32):
        logits = forward(p, torch.tensor(tensors["input"], dtype=dtype))
    F.cross_entropy(logits.to(dtype), torch.tensor(tensors["label"], dtype=torch.long)).backward()
    return {name: x.grad.to(torch.float32).numpy() for name, x in p.items()}


tensors, grads = read(step), {}
for route, dtype, mkldnn in ("float64", torch.float64, False), ("mkldnn", torch.float32, True), ("native", torch.float32, False):
    with torch.backends.mkldnn.flags(enabled=mkldnn):
        for name, g in gradient(tensors, dtype).items():
            grads[f"{route}.{name}"] = g
write(out, grads)
print("ready", torch.__version__, flush=True)
