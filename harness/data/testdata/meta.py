"""Writes meta.mat: the form of the devkit's, four classes of which one has children."""
import numpy as np
from scipy.io import savemat

fields = ["ILSVRC2012_ID", "WNID", "words", "num_children", "children"]
rows = [(1, "n03", "c", 0, []), (2, "n01", "a", 0, []), (300, "n02", "b", 0, []), (301, "n00", "all", 3, [1, 2, 300])]
synsets = np.zeros((len(rows), 1), dtype=[(f, object) for f in fields])
for i, row in enumerate(rows):
    synsets[i, 0] = (np.float64(row[0]), row[1], row[2], np.float64(row[3]), np.array(row[4], dtype=float))
savemat("meta.mat", {"synsets": synsets}, do_compression=True)
