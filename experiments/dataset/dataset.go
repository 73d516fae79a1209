// Package dataset is the table of data sets: what is known of each before
// anything of it is read. How its files are found, checked, read and fetched is
// in harness/data, under the same name.
package dataset

// Set is one data set.
type Set struct {
	Name        string // what a question calls it: "cifar10"
	Title       string // what figures and tables call it, where it is whole and canonical
	Train, Test int    // images; 0 for own images, which are counted where they lie
	Size        int    // pixels on a side; of photos, of the square of them that the paper's nets see
	Classes     int
	Photos      bool   // files of any size, out of which squares are cut
	Files       string // what a machine must have: "the files of CIFAR-10"; "" for a set that the program makes
	Env         string // variable of the environment that names the folder of its files
	Caveat      string // why results on it are not the paper's: "preview data"; "" for the paper's own sets
	Says        string // for who chooses one, after its name; may be ""
}

// Made says whether the program makes the images itself.
func (s Set) Made() bool { return s.Files == "" }

// Own says whether these are the user's own images, of which nothing is known before they
// are looked at: how many, of how many classes.
func (s Set) Own() bool { return !s.Made() && s.Train == 0 }

// All are the data sets, in the order in which they are listed.
var All = []Set{
	{
		Name: "cifar10", Title: "CIFAR-10",
		Train: 50000, Test: 10000, Size: 32, Classes: 10,
		Files: "the files of CIFAR-10", Env: "DEPTHLAB_DATA",
	},
	{
		Name: "cifar100", Title: "CIFAR-100",
		Train: 50000, Test: 10000, Size: 32, Classes: 100,
		Files: "the files of CIFAR-100", Env: "DEPTHLAB_CIFAR100",
		Caveat: "CIFAR-100 data", Says: "with its 100 fine labels",
	},
	{
		Name: "imagenet", Title: "ImageNet",
		Train: 1281167, Test: 50000, Size: 224, Classes: 1000, Photos: true,
		Files: "ImageNet as folders", Env: "DEPTHLAB_IMAGENET",
		Says: "a folder of photos (with fewer than ImageNet's, say their number with train)",
	},
	{
		Name: "folder", Title: "own images",
		Size: 224, Photos: true,
		Files: "your own images", Env: "DEPTHLAB_FOLDER",
		Caveat: "own images", Says: "your own images, in a folder for each class (input.size brings them to one size)",
	},
	{
		Name: "preview", Title: "preview set",
		Train: 20000, Test: 2000, Size: 16, Classes: 10,
		Caveat: "preview data", Says: "16x16 pixels, which the program makes itself",
	},
	{
		Name: "preview64", Title: "preview set at 64x64",
		Train: 5000, Test: 1000, Size: 64, Classes: 10,
		Caveat: "preview64 data", Says: "the same at 64x64 pixels, for nets that begin as for ImageNet",
	},
}

// Of is the data set of a name; one without a name where there is none.
func Of(name string) Set {
	for _, s := range All {
		if s.Name == name {
			return s
		}
	}
	return Set{}
}

// Names lists them all.
func Names() []string { return names(func(Set) bool { return true }) }

// InFiles lists those that a machine may have or lack.
func InFiles() []string { return names(func(s Set) bool { return !s.Made() }) }

func names(which func(Set) bool) (all []string) {
	for _, s := range All {
		if which(s) {
			all = append(all, s.Name)
		}
	}
	return all
}
