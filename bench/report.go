//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// results are what was measured: for each figure, such as "create 1 KiB, cpu µs, valkey", one value a round. They are what
// the JSON file holds.
type results map[string][]float64

func figure(what, unit, who string) string { return what + ", " + unit + ", " + who }

func (r results) add(what, unit, who string, value float64) {
	r[figure(what, unit, who)] = append(r[figure(what, unit, who)], value)
}

// median is 0 for what was not measured.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func (r results) median(what, unit, who string) float64 { return median(r[figure(what, unit, who)]) }

// ratio is the median of what a server and the floor came to in each round, one to the other: a machine that drifts does so
// for both. Several operations are summed up.
func (r results) ratio(unit, who, floor string, operations ...string) float64 {
	var ratios []float64
	for round := range r[figure(operations[0], unit, who)] {
		mine, theirs := 0.0, 0.0
		for _, operation := range operations {
			mine += r[figure(operation, unit, who)][round]
			theirs += r[figure(operation, unit, floor)][round]
		}
		ratios = append(ratios, mine/theirs)
	}
	return median(ratios)
}

func (r results) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

func readResults(path string) (r results, err error) {
	text, err := os.ReadFile(path) //nolint:gosec // the one that was named
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return r, nil
}

// print prints the medians: a line for each figure, with a column for each server that has it.
func (r results) print(w io.Writer) error {
	var lines, columns []string
	for _, name := range r.names() {
		line, who := cut(name)
		lines, columns = append(lines, line), append(columns, who)
	}
	slices.Sort(columns)
	lines, columns = slices.Compact(lines), slices.Compact(columns)
	table := newTable(w, append([]string{"median of"}, columns...)...)
	for _, line := range lines {
		cells := []string{line}
		for _, who := range columns {
			cell := ""
			if values := r[line+", "+who]; values != nil {
				cell = number(median(values))
			}
			cells = append(cells, cell)
		}
		table.row(cells...)
	}
	return table.Flush()
}

// cut is the inverse of figure, but for what and unit, which stay together.
func cut(name string) (line, who string) {
	at := strings.LastIndex(name, ", ")
	return name[:at], name[at+2:]
}

func (r results) names() []string { return slices.Sorted(maps.Keys(r)) }

// compare prints what has changed between two runs. The floor's figures tell what the machine has done meanwhile.
func compare(w io.Writer, before, after results) error {
	table := newTable(w, "figure", "old", "new", "new/old")
	for _, name := range before.names() {
		if after[name] == nil {
			continue
		}
		was, is := median(before[name]), median(after[name])
		table.row(name, number(was), number(is), fmt.Sprintf("%.2f", is/was))
	}
	return table.Flush()
}

// target is a bound that a measured value should keep.
type target struct {
	what   string
	value  float64
	least  bool // the bound is the least that is good, not the most
	bound  float64
	beyond float64 // the bound of the moonshot; 0 for none
}

func (t target) verdict() string {
	met := func(bound float64) bool { return bound > 0 && (t.value <= bound) != t.least }
	switch {
	case met(t.beyond):
		return "moonshot"
	case met(t.bound):
		return "met"
	}
	return "missed"
}

// The peers' figures of the project's goals, as multiples of the floor that was measured beside them.
const (
	peerCreateRate = 8_204. / 43_632 // the best known durable peer
	peerTakeRate   = 4_673. / 39_344
	peer64KiB      = (717. + 171) / (47 + 49) // the best peer in memory, CPU of a create and a take
	peer1MiB       = (10_320. + 2_086) / (530 + 234)
)

// targets compares what was measured with the project's goals.
func (r results) targets() (all []target) {
	both := func(size string) []string { return []string{"create " + size, "take " + size} }
	for _, who := range []struct {
		name           string
		bound, beyond  float64
		shareOfTheDisk bool
	}{{"valkey", 3, 2, false}, {"embedded", 5, 3, true}} {
		add := func(what string, value, bound, beyond float64, least bool) {
			all = append(all, target{who.name + ": " + what, value, least, bound, beyond})
		}
		cpu := func(sizes string) float64 { return r.ratio("cpu µs", who.name, "floor", both(sizes)...) }
		add("1 KiB, CPU of create and take / floor's", cpu("1 KiB"), who.bound, who.beyond, false)
		add("1 KiB, rate of create / durable peer's", r.ratio("rate", who.name, "floor", "create 1 KiB")/peerCreateRate, 2, 0, true)
		add("1 KiB, rate of take / durable peer's", r.ratio("rate", who.name, "floor", "take 1 KiB")/peerTakeRate, 3, 0, true)
		if who.shareOfTheDisk {
			add("1 KiB, rate of create / bbolt's alone", r.ratio("rate", who.name, "disk", "create 1 KiB"), 0.8, 0, true)
			add("1 KiB, rate of take / bbolt's alone", r.ratio("rate", who.name, "disk", "take 1 KiB"), 0.8, 0, true)
		}
		add("64 KiB, CPU of create and take / floor's", cpu("64 KiB"), min(4, peer64KiB/4), min(2.7, peer64KiB/4), false)
		add("1 MiB, CPU of create and take / floor's", cpu("1 MiB"), min(4, peer1MiB/4), 2.2, false)
		add("32 x 8 MiB up, MiB above idle", r.median("memory 32 x 8 MiB up", "MiB above idle", who.name), 64, 0, false)
		add("32 x 8 MiB down, MiB above idle", r.median("memory 32 x 8 MiB down", "MiB above idle", who.name), 64, 0, false)
		for _, operation := range both("1 KiB") {
			what := operation + " at half load"
			add(what+", p99 / p50", r.ratio2(what, "p99 µs", "p50 µs", who.name), 5, 0, false)
		}
		add("CPU at 1,000,000 live secrets / at 1,000", r.ratio2("create and take 1 KiB", "cpu µs at 1,000,000", "cpu µs at 1,000", who.name),
			1.3, 0, false)
		add("p99 while 100,000 expire in a minute, ms", r.median("create and take while many expire", "p99 ms", who.name), 50, 0, false)
	}
	return append(all,
		target{"embedded: 100,000 x 1 KiB live, MiB above idle", r.median("100,000 live", "MiB above idle", "embedded"), false, 64, 0},
		target{"embedded: 100,000 x 1 KiB live, start-up s", r.median("100,000 live", "start-up s", "embedded"), false, 1, 0},
		target{"hakanai --version, ms", r.median("hakanai --version", "ms", "cli"), false, 15, 0},
		target{"sending 10 MiB, CPU / what it must cost", r.ratio("cpu ms", "cli", "least", "send 10 MiB"), false, 1.5, 0},
		target{"getting 10 MiB, CPU / what it must cost", r.ratio("cpu ms", "cli", "least", "get 10 MiB"), false, 1.5, 0},
	)
}

// ratio2 is one figure to another of the same server.
func (r results) ratio2(what, unit, other, who string) float64 {
	if r.median(what, other, who) == 0 {
		return 0
	}
	return r.median(what, unit, who) / r.median(what, other, who)
}

func (r results) printTargets(w io.Writer) error {
	table := newTable(w, "target", "measured", "bound", "")
	for _, t := range r.targets() {
		if t.value == 0 { // not measured
			continue
		}
		sign := "≤ "
		if t.least {
			sign = "≥ "
		}
		table.row(t.what, number(t.value), sign+number(t.bound), t.verdict())
	}
	return table.Flush()
}

// table is a table as people and Markdown read it.
type table struct{ *tabwriter.Writer }

func newTable(w io.Writer, columns ...string) table {
	t := table{tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)}
	t.row(columns...)
	rule := make([]string, len(columns))
	for i := range rule {
		rule[i] = "---"
	}
	t.row(rule...)
	return t
}

func (t table) row(cells ...string) {
	_, _ = fmt.Fprintln(t, "| "+strings.Join(cells, "\t| ")+"\t|") // Flush tells what went wrong
}

func number(n float64) string {
	if n >= 100 {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.3g", n)
}
