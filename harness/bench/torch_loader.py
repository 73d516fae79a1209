# The training transform of photos in torchvision, for bench --loader: random shorter
# side, random crop, random flip; as bytes, without the colour augmentation that ours adds.
#
#   python torch_loader.py DIR pil|tensor PROCESSES SIZE LEAST MOST
#
# pil: Pillow decodes and resizes. tensor: torchvision.io.decode_jpeg and transforms of
# tensors. Prints "ready VERSION". Then, for each line "N" on standard input, it makes
# about N crops and prints the seconds for N. Needs: pip install torch torchvision
import glob
import multiprocessing
import os
import random
import sys
import time

import torch
import torchvision
import torchvision.transforms.v2 as T
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg, read_file

folder, route = sys.argv[1:3]
processes, size, least, most = map(int, sys.argv[3:])
files = sorted(glob.glob(os.path.join(folder, "*", "*")))
after = T.Compose([T.RandomCrop(size), T.RandomHorizontalFlip()])


def one(path):
    side = random.randint(least, most)
    if route == "pil":
        image = T.functional.resize(Image.open(path).convert("RGB"), side)
        return T.functional.pil_to_tensor(after(image))
    image = decode_jpeg(read_file(path), mode=ImageReadMode.RGB)
    return after(T.functional.resize(image, side, antialias=True))


def work(share):
    torch.set_num_threads(1)
    start, n = share
    for i in range(n):
        one(files[(start + i) % len(files)])


with multiprocessing.Pool(processes) as pool:
    pool.map(work, [(0, 20)] * processes)
    print("ready", torchvision.__version__, flush=True)
    for line in sys.stdin:
        n = int(line) // processes
        began = time.time()
        pool.map(work, [(k * len(files) // processes, n) for k in range(processes)], chunksize=1)
        print((time.time() - began) * int(line) / (n * processes), flush=True)
