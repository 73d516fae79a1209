# The training step of a CIFAR net in PyTorch, to be timed beside ours: the
# same net, batch, precision, recipe and augmentation, channels_last, autocast
# for bf16, batch norm over the whole batch.
#
#   python torch_step.py NET BATCH fp32|tf32|bf16 cpu|cuda THREADS [compiled]
#
# compiled is torch.compile's max-autotune, which on a GPU makes CUDA graphs.
#
# Prints "ready VERSION" when all is compiled and warm, or "skip REASON"; then
# for each line "N" on standard input it runs N steps and prints the seconds
# that they took, with the losses read at the end. Needs: pip install torch
import sys
import time

net, batch, precision, device, threads = sys.argv[1], int(sys.argv[2]), *sys.argv[3:5], int(sys.argv[5])
compiled = sys.argv[6:] == ["compiled"]
parts = net.split("/")
family, depth = parts[0].split("-")
if set(parts[1:]) - set("ABC") - {"split"} or (int(depth) - 2) % 6:
    sys.exit(print(f"skip {net} is not written in PyTorch here: only CIFAR nets of basic blocks are"))
try:
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except ImportError:
    sys.exit(print(f"skip {sys.executable} has no PyTorch (pip install torch)"))
if device == "cuda" and not torch.cuda.is_available():
    sys.exit(print(f"skip PyTorch {torch.__version__} in {sys.executable} sees no GPU"))

torch.set_num_threads(threads)
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
torch.backends.cudnn.benchmark = True
torch.manual_seed(0)
torch.set_default_device(device)
shortcut = "none" if family == "plain" else next((p for p in parts[1:] if p in "ABC"), "A")
split = "split" in parts


class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        self.more, self.stride = o - i, stride
        project = shortcut == "C" or (shortcut == "B" and i != o)
        self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o)) if project else None

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        if shortcut == "none":
            return F.relu(y, inplace=True)
        if self.downsample is not None:
            x = self.downsample(x)
        elif self.more:
            first = self.more // 2 if split else 0
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, first, self.more - first))
        return F.relu(y + x, inplace=True)


class Net(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        blocks, i = [], 16
        for o in (16, 32, 64):
            for k in range(n):
                blocks.append(Block(i, o, 2 if k == 0 and o > 16 else 1))
                i = o
        self.blocks, self.fc = nn.Sequential(*blocks), nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return self.fc(self.blocks(x).mean((2, 3)))


model = Net((int(depth) - 2) // 6).to(memory_format=torch.channels_last)
for m in model.modules():
    if isinstance(m, nn.Conv2d):
        nn.init.kaiming_normal_(m.weight, mode="fan_in", nonlinearity="relu")
fastest = {"fused": True} if device == "cuda" else {"foreach": True}
sgd = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4, **fastest)
# The data set, padded and normalised once: cheaper than what we do each step.
images = F.pad(torch.randint(0, 256, (10000, 3, 32, 32)).float() - 128, (4, 4, 4, 4)).contiguous(memory_format=torch.channels_last)
labels = torch.randint(0, 10, (10000,))
places = torch.arange(32)


def augmented():
    index = torch.randint(0, len(images), (batch,))
    top, left = torch.randint(0, 9, (2, batch))
    flip = torch.rand(batch) < 0.5
    columns = torch.where(flip[:, None], places.flip(0)[None], places[None]) + left[:, None]
    rows = places[None] + top[:, None]
    # NHWC gather, then the channels_last view of it
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
