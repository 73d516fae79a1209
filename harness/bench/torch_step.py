# The training step of a net in PyTorch, for bench --against-torch: the same net, batch,
# precision, recipe and augmentation as ours, channels_last, autocast for bf16, batch norm
# over the whole batch.
#
#   python torch_step.py NET BATCH fp32|tf32|bf16 cpu|cuda THREADS [compiled]
#
# compiled: torch.compile with max-autotune, which uses CUDA graphs on a GPU.
#
# Prints "ready VERSION" when all is compiled and warmed up, or "skip REASON". Then, for
# each line "N" on standard input, it runs N steps, reads the losses, and prints the
# seconds. Needs: pip install torch
import sys
import time

net, batch, precision, device, threads = sys.argv[1], int(sys.argv[2]), *sys.argv[3:5], int(sys.argv[5])
compiled = sys.argv[6:] == ["compiled"]
parts = net.split("/")
family, depth = parts[0].split("-")[0], int(parts[0].split("-")[1])
imagenet = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}.get(depth)
others = set(parts[1:]) - {"A", "B", "C", "split", "v1.5", "pool-pad1", "torchvision"}
if others:
    sys.exit(print(f"skip {net}: torch_step.py has only CIFAR nets of basic blocks and ImageNet nets, without {', '.join(sorted(others))}"))
if "torchvision" in parts:
    parts += ["B", "v1.5", "pool-pad1"]
try:
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except ImportError:
    sys.exit(print(f"skip {sys.executable} has no PyTorch (pip install torch)"))
if device == "cuda" and not torch.cuda.is_available():
    sys.exit(print(f"skip PyTorch {torch.__version__} in {sys.executable} finds no GPU"))

torch.set_num_threads(threads)
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
torch.backends.cudnn.benchmark = True
torch.manual_seed(0)
torch.set_default_device(device)
bottleneck = imagenet and depth >= 50
usual = "B" if bottleneck else "A"
shortcut = "none" if family == "plain" else next((p for p in parts[1:] if p in ("A", "B", "C")), usual)
split = "split" in parts
classes, size, pad, count = (1000, 224, 0, 256) if imagenet else (10, 32, 4, 10000)


class ConvNorm(nn.Sequential):
    def __init__(self, i, o, size, stride=1):
        super().__init__(nn.Conv2d(i, o, size, stride, size // 2, bias=False), nn.BatchNorm2d(o))


class Block(nn.Module):
    def __init__(self, i, width, stride):
        super().__init__()
        o = 4 * width if bottleneck else width
        if bottleneck:
            first, second = (1, stride) if "v1.5" in parts else (stride, 1)
            layers = ConvNorm(i, width, 1, first), ConvNorm(width, width, 3, second), ConvNorm(width, o, 1)
        else:
            layers = ConvNorm(i, o, 3, stride), ConvNorm(o, o, 3)
        self.layers, self.more, self.stride = nn.ModuleList(layers), o - i, stride
        project = shortcut == "C" or (shortcut == "B" and i != o)
        self.downsample = ConvNorm(i, o, 1, stride) if project else None

    def forward(self, x):
        y = x
        for layer in self.layers[:-1]:
            y = F.relu(layer(y), inplace=True)
        y = self.layers[-1](y)
        if shortcut == "none":
            return F.relu(y, inplace=True)
        if self.downsample is not None:
            x = self.downsample(x)
        elif self.more:
            first = self.more // 2 if split else 0
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, first, self.more - first))
        return F.relu(y + x, inplace=True)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        width = 64 if imagenet else 16
        self.stem = ConvNorm(3, width, 7, 2) if imagenet else ConvNorm(3, width, 3)
        blocks, i = [], width
        for stage, n in enumerate(imagenet or [(depth - 2) // 6] * 3):
            for k in range(n):
                blocks.append(Block(i, width << stage, 2 if stage and k == 0 else 1))
                i = (width << stage) * (4 if bottleneck else 1)
        self.blocks, self.fc = nn.Sequential(*blocks), nn.Linear(i, classes)

    def forward(self, x):
        x = F.relu(self.stem(x), inplace=True)
        if imagenet and "pool-pad1" in parts:
            x = F.max_pool2d(x, 3, 2, 1)
        elif imagenet:  # Caffe's rule
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        return self.fc(self.blocks(x).mean((2, 3)))


model = Net().to(memory_format=torch.channels_last)
for m in model.modules():
    if isinstance(m, nn.Conv2d):
        nn.init.kaiming_normal_(m.weight, mode="fan_in", nonlinearity="relu")
fastest = {"fused": True} if device == "cuda" else {"foreach": True}
sgd = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4, **fastest)
# The data set is padded and normalised once, while ours is in each step.
images = F.pad(torch.randint(0, 256, (count, 3, size, size)).float() - 128, (pad,) * 4).contiguous(memory_format=torch.channels_last)
labels = torch.randint(0, classes, (count,))
places = torch.arange(size)


def augmented():
    index = torch.randint(0, len(images), (batch,))
    top, left = torch.randint(0, 2 * pad + 1, (2, batch))
    flip = torch.rand(batch) < 0.5
    columns = torch.where(flip[:, None], places.flip(0)[None], places[None]) + left[:, None]
    rows = places[None] + top[:, None]
    # gather in NHWC, then view as channels_last
    x = images.permute(0, 2, 3, 1)[index[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return x, labels[index]


def forward(x, labels):
    with torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16"):
        y = model(x)
    return F.cross_entropy(y.float(), labels), (y.argmax(1) != labels).sum()


if compiled:
    augmented, forward = torch.compile(augmented), torch.compile(forward, mode="max-autotune")


def run(n):
    losses, wrong = torch.zeros(()), torch.zeros((), dtype=torch.long)
    for _ in range(n):
        if compiled:
            torch.compiler.cudagraph_mark_step_begin()
        loss, errors = forward(*augmented())
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses += loss.detach()
        wrong += errors
    return losses.item(), wrong.item()  # waits for the device


try:
    run(3)
except Exception as e:
    sys.exit(print("skip", type(e).__name__, next(iter(str(e).strip().splitlines()), "")))
print("ready", torch.__version__, flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    run(int(line))
    print(time.perf_counter() - start, flush=True)
