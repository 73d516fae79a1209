"""Compares eval's scores of photos with PyTorch's, on weights that this script makes.

    python crops.py weights DIR WEIGHTS       random weights of resnet-18 for the classes of DIR/val, statistics from its photos
    lab eval --net resnet-18/torchvision --weights WEIGHTS --data DIR --crops 10 --scores SCORES \\
        --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --precision fp32
    python crops.py compare DIR WEIGHTS SCORES 10|multi

Needs: pip install torch torchvision safetensors
"""
import glob
import os
import sys

import torch
import torchvision.transforms as T
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision.models import resnet18

command, folder, weights = sys.argv[1:4]
classes = sorted(os.listdir(os.path.join(folder, "val")))
files = sorted(glob.glob(os.path.join(folder, "val", "*", "*")))
normal = T.Compose([T.ToTensor(), T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
net = resnet18(num_classes=len(classes))


def views(image, crops):
    if crops == "10":
        # The reflections of five patches; TenCrop's are five patches of the
        # reflection, whose middle one can lie a pixel beside.
        five = T.FiveCrop(224)(T.Resize(256)(image))
        return [normal(v) for p in five for v in (p, T.functional.hflip(p))]
    return [normal(whole(image, s)) for s in (224, 256, 384, 480, 640)]


def whole(image, side):
    """The shorter side at this scale; the longer one a multiple of 32, at most twice as long."""
    image = T.Resize(side)(image)
    return T.CenterCrop([max(side, min(n, 2 * side) // 32 * 32) for n in (image.height, image.width)])(image)


photos = [Image.open(f).convert("RGB") for f in files]
if command == "weights":
    torch.manual_seed(0)
    net = resnet18(num_classes=len(classes))
    torch.nn.init.normal_(net.fc.weight, std=0.1)
    net.train()
    with torch.no_grad():
        for _ in range(10):
            net(torch.stack([normal(T.CenterCrop(224)(T.Resize(256)(p))) for p in photos[:8]]))
    save_file(net.state_dict(), weights)
else:
    net.load_state_dict(load_file(weights))
    net.eval()
    theirs = []
    with torch.no_grad():
        for p in photos:
            scores = [torch.softmax(net(v[None])[0], 0) for v in views(p, sys.argv[5])]
            theirs.append(torch.stack(scores).mean(0))
    theirs = torch.stack(theirs)
    ours = load_file(sys.argv[4])["scores"]
    print(f"{len(files)} photos, crops {sys.argv[5]}: scores up to {theirs.max():.3f}, the largest difference {(ours - theirs).abs().max():.2e}")
