"""Loads the weights in FOLDER/net.safetensors by the class in FOLDER/net.py, as export wrote both, and prints the scores
of the test's image: the logarithms of softmax's shares.

    python class.py FOLDER
"""
import json, os, sys
import torch

here = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(here, "..", "..", "device", "devicetest", "testdata"))
sys.path.append(sys.argv[1])
sys.dont_write_bytecode = True
import golden
import net

torch.set_num_threads(1)
image = torch.tensor([int(h) >> 24 for h in golden.hashes("image", 3 * 64 * 64)], dtype=torch.uint8).reshape(1, 3, 64, 64)
with torch.no_grad():
    scores = net.load(os.path.join(sys.argv[1], "net.safetensors")).double()(image).log_softmax(1)
print(json.dumps(scores[0].tolist()))
