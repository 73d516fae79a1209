// Package weights reads and writes files of weights, evaluates them, and exports them for
// PyTorch.
package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"depthlab/harness/model"
	"depthlab/harness/state"
	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// Info is stored with weights, so that eval can use the same settings.
type Info struct {
	Net      string   `json:"net"`
	Data     string   `json:"data"`
	Steps    int      `json:"steps"`
	Eps      float64  `json:"eps"`
	Classes  int      `json:"classes"`
	Size     int      `json:"size"`
	Channels int      `json:"channels"`
	Averaged int      `json:"averaged_batches"`      // mini-batches over which batch norm statistics are averaged; 0: moving averages
	Side     int      `json:"side,omitempty"`        // for photos: the shorter side in tests
	Names    []string `json:"class_names,omitempty"` // of the classes of photos and own images, by label
	ChosenBy string   `json:"chosen_by,omitempty"`   // "test", "validation": the set by whose error these weights were chosen as the best; "" for the last weights
}

// Names of the normalisation's tensors in a file of weights: (pixel - mean) * scale.
const meanName, scaleName = "input.mean", "input.scale"

// Write writes a file of weights: parameters, running statistics and normalisation.
func Write(path string, info Info, tensors []state.Tensor, in model.Normalisation) error {
	meta, err := json.Marshal(info)
	if err != nil {
		return err
	}
	tensors = append(tensors, state.Float32(meanName, []int{info.Channels, info.Size, info.Size}, in.Mean), state.Float32(scaleName, []int{info.Channels}, in.Scale))
	return state.WriteFile(path, map[string]string{"depthlab": string(meta)}, tensors)
}

// File is a file of weights, ours or PyTorch's.
type File struct {
	Path    string
	Info    *Info // nil in PyTorch's files
	Tensors map[string]*state.Tensor
	Input   model.Normalisation // zero in PyTorch's files
}

// Read reads a file of weights, or the weights of a checkpoint.
func Read(path string) (*File, error) {
	f, err := state.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such file", path)
	}
	if err != nil {
		return nil, err
	}
	w := &File{Path: path, Tensors: map[string]*state.Tensor{}}
	if text, ok := f.Meta["depthlab"]; ok {
		w.Info = new(Info)
		if err := json.Unmarshal([]byte(text), w.Info); err != nil {
			return nil, fmt.Errorf("%s: metadata: %w", path, err)
		}
	} else if f.Meta["mean"] != "" && f.Meta["scale"] != "" { // exported by this program
		if err := errors.Join(json.Unmarshal([]byte(f.Meta["mean"]), &w.Input.Mean), json.Unmarshal([]byte(f.Meta["scale"]), &w.Input.Scale)); err != nil {
			return nil, fmt.Errorf("%s: metadata: %w", path, err)
		}
	}
	for i := range f.Tensors {
		t := &f.Tensors[i]
		switch {
		case strings.HasSuffix(t.Name, ".num_batches_tracked"), kernel.IsState(t.Name):
			continue
		case t.Name == meanName:
			w.Input.Mean, err = t.Float32s()
		case t.Name == scaleName:
			w.Input.Scale, err = t.Float32s()
		default:
			w.Tensors[t.Name] = t
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return w, nil
}

// Trained returns the layers of the net in the file, and its parameters and running statistics by
// name. It fails if no training run of ours wrote the file.
func (w *File) Trained() (model.Layers, map[string][]float32, error) {
	if w.Info == nil {
		return model.Layers{}, nil, fmt.Errorf("%s: expected weights that a training run of this program wrote", w.Path)
	}
	values, layers, err := w.trained()
	if err != nil {
		err = fmt.Errorf("%s: %w", w.Path, err)
	}
	return layers, values, err
}

func (w *File) trained() (map[string][]float32, model.Layers, error) {
	arch, err := nets.ParseArch(w.Info.Net)
	if err != nil {
		return nil, model.Layers{}, err
	}
	c := nets.Config{Batch: 1, Channels: w.Info.Channels, Size: w.Info.Size, Classes: w.Info.Classes, Eps: float32(w.Info.Eps)}
	params, norms, err := arch.Leaves(c)
	if err != nil {
		return nil, model.Layers{}, err
	}
	p, err := compile.Compile(arch, nets.Eval, compile.Config{Config: c, Images: 1})
	if err != nil {
		return nil, model.Layers{}, err
	}
	values, err := w.match(p)
	return values, model.LayersOf(params, norms), err
}

// match returns the values of the program's parameters and statistics, by name. The error lists all
// tensors that are missing, unknown or have another shape.
func (w *File) match(p *program.Program) (map[string][]float32, error) {
	values, misfit := w.fit(model.Views(p, program.Param, program.Stat))
	if misfit != "" {
		return nil, fmt.Errorf("%s does not fit %s:%s", w.Path, p.Name, misfit)
	}
	return values, nil
}

// fit returns the values of the wanted tensors, by name. misfit lists, in lines, tensors that are
// missing, unknown or have another shape; "" if the file fits.
func (w *File) fit(wanted []program.Buffer) (values map[string][]float32, misfit string) {
	left := withoutPrefix(w.Tensors, wanted)
	values = map[string][]float32{}
	var missing, wrong, unknown []string
	for _, b := range wanted {
		t, ok := left[b.Name]
		if !ok {
			missing = append(missing, b.Name)
			continue
		}
		delete(left, b.Name)
		if !slices.Equal(t.Shape, b.Shape) {
			wrong = append(wrong, fmt.Sprintf("%s has shape %v, want %v", b.Name, t.Shape, []int(b.Shape)))
			continue
		}
		v, err := t.Float32s()
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		values[b.Name] = v
	}
	for name := range left {
		unknown = append(unknown, name)
	}
	slices.Sort(unknown)
	return values, listed("missing", missing) + listed("wrong:", wrong) + listed("unknown", unknown)
}

// withoutPrefix returns the tensors without the common prefix of their names, such as "module." of
// PyTorch's DataParallel.
func withoutPrefix(tensors map[string]*state.Tensor, wanted []program.Buffer) map[string]*state.Tensor {
	prefix := ""
	for name := range tensors {
		if before, ok := strings.CutSuffix(name, wanted[0].Name); ok && strings.HasSuffix(before, ".") && sharedPrefix(tensors, before) {
			prefix = before
		}
	}
	out := map[string]*state.Tensor{}
	for name, t := range tensors {
		out[strings.TrimPrefix(name, prefix)] = t
	}
	return out
}

func sharedPrefix(tensors map[string]*state.Tensor, prefix string) bool {
	for name := range tensors {
		if !strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return true
}

// listed is a line with the first few names, and the number of the others; "" for no names.
func listed(what string, names []string) string {
	const most = 4
	if len(names) == 0 {
		return ""
	}
	text := "\n  " + what + " " + strings.Join(names[:min(most, len(names))], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// About is what a file of weights says of itself.
type About struct {
	Info            // zero in PyTorch's files
	Normalised bool // it has a normalisation of images
}

// ReadAbout returns what a file says of itself; nothing if it cannot be read.
func ReadAbout(path string) (a About) {
	w, err := Read(path)
	if err != nil {
		return a
	}
	if w.Info != nil {
		a.Info = *w.Info
	}
	a.Normalised = w.Input.Mean != nil
	return a
}
