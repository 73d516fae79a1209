// Tests of questions about the user's own images.

package experiments

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// counted returns a reader that finds own images, with the given numbers.
func counted(train, test int) Reader {
	return Reader{Count: func(string) (int, int, bool, error) { return train, test, true, nil }}
}

const ownQuestion = "question: Mine?\nnets: [resnet-8]\ndata: folder\n"

// Own images are counted. Without a test set a tenth is held out. The recipe is CIFAR's if all
// images are resized to one size, else ImageNet's.
func TestOwnImages(t *testing.T) {
	for name, c := range map[string]struct {
		reader            Reader
		text              string
		train, validation int
		evaluate, batch   int
		crop, pad         int
	}{
		"with a test set":    {counted(1000, 200), "input: {size: 32}\n", 1000, 0, 8, 128, 0, 4},
		"without":            {counted(1000, 0), "input: {size: 32}\n", 900, 100, 7, 128, 0, 4},
		"what is held out":   {counted(1000, 0), "input: {size: 32}\nvalidation: 300\n", 700, 300, 5, 128, 0, 4},
		"a part":             {counted(1000, 0), "input: {size: 32}\ntrain: 256\n", 256, 25, 2, 128, 0, 4},
		"photos":             {counted(1000, 200), "batch: 50\n", 1000, 0, 20, 50, 224, 0},
		"photos, not small":  {counted(1000, 200), "", 1000, 0, 4, 256, 224, 0},
		"elsewhere":          {Reader{}, "input: {size: 32}\n", 0, 0, 78, 128, 0, 4},
		"elsewhere, part":    {Reader{}, "input: {size: 32}\nvalidation: 300\n", 0, 300, 78, 128, 0, 4},
		"elsewhere, written": {Reader{}, "input: {size: 32}\ntrain: 900\nvalidation: 100\n", 900, 100, 7, 128, 0, 4},
	} {
		q, err := c.reader.Parse("q.yaml", []byte(ownQuestion+c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p := q.Plans[0]
		r := p.Runs[0]
		if r.Train != c.train || r.Validation != c.validation || r.EvalEvery != c.evaluate || r.Batch != c.batch || r.Input.Crop != c.crop || r.Input.Pad != c.pad || !slices.Equal(p.Needs, []string{"folder"}) {
			t.Errorf("%s: %+v, needs %v", name, r, p.Needs)
		}
		if paper, why := r.Paper(); paper || why[0] != "own images" {
			t.Errorf("%s: the paper's: %v, %q", name, paper, why)
		}
		text, err := q.Resolved("default")
		if err != nil {
			t.Fatal(err)
		}
		// On a machine without the images the resolved question has the same runs.
		if again, err := Parse("q.yaml", text); err != nil || c.train > 0 && again.Plans[0].Runs[0].Hash() != r.Hash() {
			t.Errorf("%s: with its defaults: %v\n%s", name, err, text)
		}
	}
}

func TestOwnComplaints(t *testing.T) {
	bad := Reader{Count: func(string) (int, int, bool, error) {
		return 0, 0, false, errors.New("pets has one class; expected more")
	}}
	for name, c := range map[string]struct {
		reader Reader
		text   string
		says   string
	}{
		"nothing held out":   {counted(1000, 0), "validation: 0\n", `validation: 0: there is no test set, so some images have to be held out (write validation: 100, or leave it out)`},
		"all held out":       {counted(1000, 0), "validation: 1000\n", "validation: 1000: 1000 images held out leave nothing of the 1000 of folder"},
		"too many":           {counted(1000, 200), "train: 1001\n", "train: 1001: 1001 images to train on and 0 to hold out are more than the 1000 of folder"},
		"few":                {counted(100, 200), "input: {size: 32}\n", `data: "folder": a batch of 128 is more than the 100 training images (write a smaller batch, such as batch: 32)`},
		"damaged":            {bad, "", `data: "folder": pets has one class (expected more)`},
		"two ways":           {counted(1000, 200), "input: {size: 32, crop: 24}\n", "input.crop: 24: is for photos that crops are cut from, and input.size resizes all images to one size"},
		"padded photos":      {counted(1000, 200), "input: {pad: 4}\n", "input.pad: 4: photos are not padded"},
		"wide pad":           {counted(1000, 200), "input: {size: 16, pad: 12}\n", "input.pad: 12: expected at most 8, half of the side"},
		"other data":         {Reader{}, "", ""},
		"not a net for this": {counted(1000, 200), "input: {size: 32}\nnets: [resnet-18/torchvision]\n", "pool-pad1 is about the max-pool, and on images of up to 48 pixels there is none"},
	} {
		text := ownQuestion + c.text
		if strings.Contains(c.text, "nets") {
			text = strings.Replace(text, "nets: [resnet-8]\n", "", 1)
		}
		if name == "other data" {
			text, c.says = "question: Mine?\nnets: [resnet-8]\ninput: {size: 32}\n", "input.size: 32: is for own images, and the data is cifar10 (write data: folder, or leave it out)"
		}
		if _, err := c.reader.Parse("q.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// The examples of READMEs are valid questions.
func TestExamples(t *testing.T) {
	for _, c := range []struct{ readme, begins, data string }{
		{"../README.md", "question: Does the momentum of PyTorch change the finding?", "preview"},
		{"../harness/data/README.md", "question: Cat or dog?", "folder"},
	} {
		text, err := os.ReadFile(c.readme)
		if err != nil {
			t.Fatal(err)
		}
		_, example, found := strings.Cut(string(text), "\n    "+c.begins)
		example, _, ends := strings.Cut(example, "\n\n")
		if !found || !ends {
			t.Errorf("%s has no example %q", c.readme, c.begins)
			continue
		}
		q, err := counted(1000, 0).Parse("own.yaml", []byte(c.begins+strings.ReplaceAll(example, "\n    ", "\n")))
		if err != nil || q.Plans[0].Runs[0].Data != c.data {
			t.Errorf("%s: %+v, %v", c.readme, q, err)
		}
	}
}
