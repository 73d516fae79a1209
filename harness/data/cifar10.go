// CIFAR-10's files and archive.

package data

import "depthlab/experiments/dataset"

// cifar10 lists CIFAR-10's files. Toronto publishes a checksum of the archive only. The
// checksums of the files are those that Apache MXNet lists
// (gluon/data/vision/datasets.py), which were first made for the files of Toronto's own
// archive.
var cifar10 = cifar{
	Set: dataset.Of("cifar10"), labels: []int{10},
	folder: "cifar-10-batches-bin", archive: "cifar-10-binary.tar.gz",
	url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", envURL: "DEPTHLAB_CIFAR10_URL",
	md5: "c32a1d4ab5d03f1284b67883e8d87530", mib: 163,
	train: []cifarFile{
		{"data_batch_1.bin", "aadd24acce27caa71bf4b10992e9e7b2d74c2540"},
		{"data_batch_2.bin", "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795"},
		{"data_batch_3.bin", "1dd00a74ab1d17a6e7d73e185b69dbf31242f295"},
		{"data_batch_4.bin", "aab85764eb3584312d3c7f65fd2fd016e36a258e"},
		{"data_batch_5.bin", "26e2849e66a845b7f1e4614ae70f4889ae604628"},
	},
	test: cifarFile{"test_batch.bin", "67eb016db431130d61cd03c7ad570b013799c88c"},
	python: cifarPython{ // checksums: torchvision/datasets/cifar.py
		folder: "cifar-10-batches-py", archive: "cifar-10-python.tar.gz", md5: "c58f30108f718f92721af3b95e74349a",
		labels: "labels",
		files: []cifarFile{
			{"data_batch_1", "c99cafc152244af753f735de768cd75f"},
			{"data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"},
			{"data_batch_3", "54ebc095f3ab1f0389bbae665268c751"},
			{"data_batch_4", "634d18415352ddfa80567beed471001a"},
			{"data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"},
			{"test_batch", "40351d587109b95175f43aff81a1287e"},
		},
	},
}
