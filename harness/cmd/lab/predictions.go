// Details of eval: errors by class, predictions of each image, pictures of the user.

package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"depthlab/experiments/dataset"
	"depthlab/harness/disk"
	"depthlab/harness/machine"
	"depthlab/harness/weights"
	"depthlab/plots"
)

// detail holds the options of eval for more than the error.
type detail struct{ byClass, predictions, images *string }

func addDetailOptions(c *call) detail {
	return detail{
		c.String("by-class", "", "folder to write the errors of each class and the confusion matrix into (CSV, PNG and SVG)"),
		c.String("predictions", "", "CSV file to write: of each image the label, the predicted class and its softmax probability"),
		c.String("images", "", "a picture of yours, JPEG or PNG, instead of a data set; more files may follow: prints the five likeliest classes of each"),
	}
}

// classResult is the error of a class.
type classResult struct {
	Class      int     `json:"class"`
	Name       string  `json:"name,omitempty"`
	Images     int     `json:"images"`
	Error      float64 `json:"error"`                     // percent of the images that are misclassified
	Mistaken   string  `json:"mistaken_for,omitempty"`    // the class most often predicted instead
	MistakenBy int     `json:"mistaken_images,omitempty"` // how often
}

// classNames returns the names of the given number of classes: those of the data set, else
// given; nil if neither has that number.
func classNames(set string, given []string, classes int) []string {
	for _, names := range [][]string{dataset.ClassNames(set), given} {
		if len(names) == classes {
			return names
		}
	}
	return nil
}

// named returns the name of a class, else its number.
func named(names []string, class int) string {
	if class < len(names) && names[class] != "" {
		return names[class]
	}
	return strconv.Itoa(class)
}

func byClass(p *weights.Predictions, names []string) (all []classResult) {
	for class, row := range p.Confusion() {
		r := classResult{Class: class}
		if class < len(names) {
			r.Name = names[class]
		}
		wrong := 0
		for other, n := range row {
			r.Images += n
			if other == class {
				continue
			}
			wrong += n
			if n > r.MistakenBy {
				r.Mistaken, r.MistakenBy = named(names, other), n
			}
		}
		if r.Images > 0 {
			r.Error = 100 * float64(wrong) / float64(r.Images)
		}
		all = append(all, r)
	}
	return all
}

// write writes the files of --predictions and --by-class.
func (d detail) write(r weights.EvalResult, p *weights.Predictions, names []string) error {
	if *d.predictions != "" {
		if err := disk.WriteFunc(*d.predictions, func(w io.Writer) error { return writePredictions(w, p, names) }); err != nil {
			return err
		}
	}
	dir := *d.byClass
	if dir == "" {
		return nil
	}
	counts := p.Confusion()
	notes := []string{fmt.Sprintf("%s set of %s: %.2f %% of %d images wrong; %s, %s.", r.Set, r.Data, r.Top1Error, r.Images, r.Device, r.Precision)}
	return errors.Join(
		disk.WriteFunc(filepath.Join(dir, "classes.csv"), func(w io.Writer) error { return writeClasses(w, byClass(p, names)) }),
		disk.WriteFunc(filepath.Join(dir, "confusion.csv"), func(w io.Writer) error { return writeConfusion(w, counts, names) }),
		plots.DrawConfusion(dir, "Confusion matrix of "+r.Net, notes, names, counts))
}

// writePredictions writes a CSV line for each image; an image that could not be read has no
// prediction.
func writePredictions(to io.Writer, p *weights.Predictions, names []string) error {
	w := csv.NewWriter(to)
	w.Write([]string{"image", "file", "label", "label_name", "predicted", "predicted_name", "correct", "share", "label_share"})
	for i, label := range p.Labels {
		file := ""
		if p.Files != nil {
			file = p.Files[i]
		}
		line := []string{strconv.Itoa(i), file, strconv.Itoa(int(label)), named(names, int(label)), "", "", "", "", ""}
		if p.Read[i] {
			first := p.Top(i, 1)[0]
			line = append(line[:4], strconv.Itoa(first), named(names, first), strconv.FormatBool(first == int(label)), share(p.Of(i)[first]), share(p.Of(i)[label]))
		}
		w.Write(line)
	}
	w.Flush()
	return w.Error()
}

func share(x float32) string { return strconv.FormatFloat(float64(x), 'g', 6, 32) }

func writeClasses(to io.Writer, all []classResult) error {
	w := csv.NewWriter(to)
	w.Write([]string{"class", "name", "images", "error", "mistaken_for", "mistaken_images"})
	for _, r := range all {
		w.Write([]string{strconv.Itoa(r.Class), r.Name, strconv.Itoa(r.Images), strconv.FormatFloat(r.Error, 'f', 2, 64), r.Mistaken, strconv.Itoa(r.MistakenBy)})
	}
	w.Flush()
	return w.Error()
}

// writeConfusion writes counts as CSV, a line for each class and a column for each predicted one.
func writeConfusion(to io.Writer, counts [][]int, names []string) error {
	w := csv.NewWriter(to)
	head := []string{"class"}
	for i := range counts {
		head = append(head, named(names, i))
	}
	w.Write(head)
	for i, row := range counts {
		line := []string{named(names, i)}
		for _, n := range row {
			line = append(line, strconv.Itoa(n))
		}
		w.Write(line)
	}
	w.Flush()
	return w.Error()
}

// printClasses prints the classes, those with the highest errors first.
func printClasses(all []classResult) {
	const most = 30
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b classResult) int {
		switch {
		case a.Error > b.Error:
			return -1
		case a.Error < b.Error:
			return 1
		}
		return 0
	})
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "class\timages\terror\tmost often taken for")
	for _, r := range all[:min(len(all), most)] {
		name := r.Name
		if name == "" {
			name = strconv.Itoa(r.Class)
		}
		other := ""
		if r.MistakenBy > 0 {
			other = fmt.Sprintf("%s, %d times", r.Mistaken, r.MistakenBy)
		}
		fmt.Fprintf(w, "%s\t%d\t%.2f %%\t%s\n", name, r.Images, r.Error, other)
	}
	w.Flush()
	if more := len(all) - most; more > 0 {
		fmt.Printf("and %d classes with lower errors, in classes.csv\n", more)
	}
}

// pictureResult holds the likeliest classes of a picture.
type pictureResult struct {
	File string       `json:"file"`
	Top  []likelihood `json:"top"`
}

type likelihood struct {
	Class int     `json:"class"`
	Name  string  `json:"name,omitempty"`
	Share float64 `json:"share"` // of the softmax
}

// evalPictures prints the likeliest classes of pictures. set is the data set whose class names
// apply, recorded are those in the file of weights; nil for none.
func evalPictures(c *call, o weights.EvalOptions, flags deviceFlags, files []string, set string, recorded []string) (err error) {
	if err := c.refuse("--images is tested instead of a data set", "data", "set", "crops", "scores", "by-class", "predictions", "batch"); err != nil {
		return err
	}
	m := c.machine()
	dev, err := flags.open(m, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	o.Precision = flags.settle(dev.Info())
	lib, err := m.TurboJPEG()
	if machine.Promised(err) {
		return err
	}
	p, err := weights.Pictures(o, files, lib, dev)
	if err != nil {
		return usageError{err}
	}
	names := classNames(set, recorded, p.Classes)
	all := []pictureResult{}
	for i, file := range files {
		r := pictureResult{File: file}
		for _, class := range p.Top(i, 5) {
			l := likelihood{Class: class, Share: float64(p.Of(i)[class])}
			if names != nil {
				l.Name = names[class]
			}
			r.Top = append(r.Top, l)
		}
		all = append(all, r)
	}
	if c.json {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{"net": o.Net, "pictures": all})
	}
	for _, r := range all {
		fmt.Println(r.File)
		for _, l := range r.Top {
			fmt.Printf("  %5.1f %%  %s\n", 100*l.Share, strings.TrimSpace(named(names, l.Class)))
		}
	}
	return nil
}
