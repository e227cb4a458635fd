//go:build linux

package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

func TestRatiosAreThoseOfEachRound(t *testing.T) {
	r := results{}
	for _, slow := range []float64{1, 10, 1} { // the machine was busy in the second round
		r.add("create 1 KiB", "cpu µs", "floor", 10*slow)
		r.add("take 1 KiB", "cpu µs", "floor", 10*slow)
		r.add("create 1 KiB", "cpu µs", "valkey", 30*slow)
		r.add("take 1 KiB", "cpu µs", "valkey", 20*slow)
	}
	if got := r.ratio("cpu µs", "valkey", "floor", "create 1 KiB", "take 1 KiB"); got != 2.5 {
		t.Errorf("the ratio is %v", got)
	}
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("the median is %v", got)
	}
}

func TestATargetIsMissedOnOneSideOnly(t *testing.T) {
	for _, c := range []struct {
		target
		want string
	}{
		{target{value: 3.1, bound: 3, beyond: 2}, "missed"},
		{target{value: 3, bound: 3, beyond: 2}, "met"},
		{target{value: 1.9, bound: 3, beyond: 2}, "moonshot"},
		{target{value: 0.7, bound: 0.8, least: true}, "missed"},
		{target{value: 0.9, bound: 0.8, least: true}, "met"},
	} {
		if got := c.verdict(); got != c.want {
			t.Errorf("%+v is %s", c.target, got)
		}
	}
}

func TestARunIsComparedWithAnEarlierOne(t *testing.T) {
	before, after := results{"a, ms, x": {2, 2, 200}, "gone, ms, x": {1}}, results{"a, ms, x": {3}, "new, ms, x": {1}}
	path := filepath.Join(t.TempDir(), "before.json")
	if err := before.write(path); err != nil {
		t.Fatal(err)
	}
	read, err := readResults(path)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := compare(&out, read, after); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, "| a, ms, x | 2") || !strings.Contains(text, "1.50") || strings.Contains(text, "gone") {
		t.Errorf("it says:\n%s", text)
	}
}
