// CIFAR-100's files and archive.

package data

import "depthlab/experiments/dataset"

// cifar100 lists CIFAR-100's files. A record has a coarse label before the fine one,
// which is the class. The checksums of the files are those that Apache MXNet lists
// (gluon/data/vision/datasets.py), for files of these names and sizes.
var cifar100 = cifar{
	Set: dataset.Of("cifar100"), labels: []int{20, 100},
	folder: "cifar-100-binary", archive: "cifar-100-binary.tar.gz",
	url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", envURL: "DEPTHLAB_CIFAR100_URL",
	md5: "03b5dce01913d631647c71ecec9e9cb8", mib: 161,
	train: []cifarFile{{"train.bin", "e207cd2e05b73b1393c74c7f5e7bea451d63e08e"}},
	test:  cifarFile{"test.bin", "8fb6623e830365ff53cf14adec797474f5478006"},
	python: cifarPython{ // checksums: torchvision/datasets/cifar.py
		folder: "cifar-100-python", archive: "cifar-100-python.tar.gz", md5: "eb9058c3a382ffc7106e4002c42a8d85",
		labels: "fine_labels",
		files:  []cifarFile{{"train", "16019d7e3df5f24257cddd939b257f8d"}, {"test", "f0ef6b0ae62326f3e7ffdfab6717acfc"}},
	},
}
