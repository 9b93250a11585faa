package main

import (
	"fmt"
	"image/color"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// group is a plot: bars for every server, side by side for each of some cases.
type group struct {
	name, title, metric, unit string
	cases                     []string
}

func groups() []group {
	return []group{
		{"offers", "DISCOVER and OFFER", "per_s", "exchanges/s", []string{"offers-relay", "offers-direct"}},
		{"leases", "New leases", "per_s", "exchanges/s", []string{"dora"}},
		{"half", "99 % of the OFFERs within, at half load", "offer_p99_ms", "ms", []string{"offers-half"}},
		{"tftp-one", "One client", "mb_s", "MB/s", []string{"tftp-1-w1-b512", "tftp-1-w1", "tftp-1-w4", "tftp-1-w16", "tftp-1-w64"}},
		{"tftp-many", "Many clients", "mb_s", "MB/s",
			[]string{"tftp-10-w1", "tftp-10-w16", "tftp-100-w1", "tftp-100-w16", "tftp-1000-w1", "tftp-1000-w16"}},
		{"tftp-rtt1", "1 ms there and back", "mb_s", "MB/s", []string{"tftp-rtt1-w1", "tftp-rtt1-w4", "tftp-rtt1-w16", "tftp-rtt1-w64"}},
		{"tftp-loss", "Loss", "mb_s", "MB/s", []string{"tftp-loss1-w1", "tftp-loss1-w16", "tftp-loss5-w1", "tftp-loss5-w16"}},
		{"storm", "Boot storm: the last machine has its script after", "all_s", "s", []string{"storm", "storm-pool"}},
	}
}

// plot draws a group as SVG; false where no case of it took part.
func (r *Results) plot(g group, path string) (bool, error) {
	cases := slices.DeleteFunc(slices.Clone(g.cases), func(name string) bool { return len(r.Servers(name)) == 0 })
	var servers []string
	for _, name := range cases {
		for _, s := range r.Servers(name) {
			if _, ok := r.Median(name, s, g.metric); ok && !slices.Contains(servers, s) {
				servers = append(servers, s)
			}
		}
	}
	if len(servers) == 0 {
		return false, nil
	}
	p := plot.New()
	p.Title.Text, p.Y.Label.Text, p.Y.Min = g.title, g.unit, 0
	p.Legend.Top, p.Legend.Left = true, true
	p.BackgroundColor = color.White
	width := vg.Points(600 / float64(len(cases)*(len(servers)+1)))
	for i, s := range servers {
		values := make(plotter.Values, len(cases))
		for k, name := range cases {
			values[k], _ = r.Median(name, s, g.metric)
		}
		bars, err := plotter.NewBarChart(values, width)
		if err != nil {
			return false, fmt.Errorf("plot %s: %w", g.name, err)
		}
		bars.Color, bars.LineStyle.Width = plotutil.Color(i), 0
		bars.Offset = width * vg.Length(2*i-len(servers)+1) / 2
		p.Add(bars)
		p.Legend.Add(s, bars)
	}
	p.NominalX(cases...)
	return true, p.Save(vg.Points(760), vg.Points(360), path)
}
