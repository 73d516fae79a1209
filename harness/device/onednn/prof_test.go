package onednn

import (
	"depthlab/harness/device"
	"depthlab/nets"
	"fmt"
	"sort"
	"testing"
)

func TestProf(t *testing.T) {
	for _, layout := range []string{"blocked", "nhwc"} {
		t.Setenv(EnvProfile, "1")
		d := open(t)
		p := compiled(t, "resnet-20", nets.Train, 128, 0)
		s, _ := d.Open(device.Programs{Train: p}, device.Options{Layout: layout})
		start(t, s, "resnet-20", p)
		s.Train(planOf(20, 128, 0.01), make([]device.Metric, 20))
		m := map[string]float64{}
		n := map[string]int{}
		var tot float64
		for i, r := range s.(*Session).Profile() {
			k := fmt.Sprint(r.Kernel, " ", p.Buffers[p.Code[i].Out[0]].Shape, " ", r.Impl)
			m[k] += r.Seconds / 20 * 1e3
			n[k]++
			tot += r.Seconds / 20 * 1e3
		}
		var ks []string
		for k := range m {
			ks = append(ks, k)
		}
		sort.Slice(ks, func(i, j int) bool { return m[ks[i]] > m[ks[j]] })
		for _, k := range ks {
			fmt.Printf("%8.2f %3d %7.3f %s\n", m[k], n[k], m[k]/float64(n[k]), k)
		}
		fmt.Println(layout, tot)
	}
}
