package telemetry

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// exported returns the labels of every metric of a server, by its name.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	families, err := running(someCounts).Gatherer().Gather() // every metric has a series

	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string][]string)
	for _, family := range families {
		var labels []string
		for _, metric := range family.GetMetric() {
			for _, pair := range metric.GetLabel() {
				labels = append(labels, pair.GetName())
			}
		}
		names[family.GetName()] = labels
	}
	return names
}

var (
	metricName = regexp.MustCompile(`\b(?:hakanai|go|process)_[a-z0-9_]+`)
	selector   = regexp.MustCompile(`\b((?:hakanai|go|process)_[a-z0-9_]+)\{([^}]*)\}`)
	labelName  = regexp.MustCompile(`([a-z_]+) *(?:=~|!~|!=|=)`)
	grouping   = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`)
	legend     = regexp.MustCompile(`\{\{ *(?:\$labels\.)?([a-z_]+) *\}\}`)
)

// base is the name of a metric without what a histogram adds to it.
func base(name string, known map[string][]string) (string, bool) {
	for _, suffix := range []string{"", "_bucket", "_count", "_sum"} {
		if short, ok := strings.CutSuffix(name, suffix); ok {
			if _, ok := known[short]; ok {
				return short, true
			}
		}
	}
	return name, false
}

// checkExpression finds what an expression of PromQL names and no server exports.
func checkExpression(t *testing.T, where, expression string, known map[string][]string) {
	t.Helper()
	allowed := []string{"job", "instance", "le"} // Prometheus adds these
	names := metricName.FindAllString(expression, -1)
	if len(names) == 0 {
		t.Errorf("%s names no metric: %s", where, expression)
	}
	for _, name := range names {
		short, ok := base(name, known)
		if !ok {
			t.Errorf("%s names %s, which there is not", where, name)
		}
		allowed = append(allowed, known[short]...)
	}
	for _, found := range selector.FindAllStringSubmatch(expression, -1) {
		short, _ := base(found[1], known)
		for _, label := range labelName.FindAllStringSubmatch(found[2], -1) {
			if !slices.Contains(append([]string{"job", "instance", "le"}, known[short]...), label[1]) {
				t.Errorf("%s: %s has no label %s", where, short, label[1])
			}
		}
	}
	for _, found := range grouping.FindAllStringSubmatch(expression, -1) {
		for label := range strings.SplitSeq(found[1], ",") {
			if !slices.Contains(allowed, strings.TrimSpace(label)) {
				t.Errorf("%s groups by %s, which there is not", where, label)
			}
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheDashboardShowsWhatThereIs(t *testing.T) {
	known := exported(t)
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct {
			List []struct{ Name, Query string }
		}
	}
	text := read(t, "observability/grafana-dashboard.json")
	if err := json.Unmarshal([]byte(text), &dashboard); err != nil {
		t.Fatal(err)
	}
	shown := make(map[string]bool)
	ids := make(map[int]bool)
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] || panel.GridPos.X+panel.GridPos.W > 24 {
			t.Errorf("%s has the id or place of another", panel.Title)
		}
		ids[panel.ID] = true
		for _, target := range panel.Targets {
			checkExpression(t, panel.Title, target.Expr, known)
			for _, label := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !regexp.MustCompile(`\b` + label[1] + `\b`).MatchString(target.Expr) {
					t.Errorf("%s: the legend names %s, and the expression does not", panel.Title, label[1])
				}
			}
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				short, _ := base(name, known)
				shown[short] = true
			}
		}
	}
	for name := range known {
		if strings.HasPrefix(name, "hakanai_") && !shown[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
	for _, variable := range dashboard.Templating.List {
		for _, name := range metricName.FindAllString(variable.Query, -1) {
			if _, ok := known[name]; !ok {
				t.Errorf("the variable %s names %s, which there is not", variable.Name, name)
			}
		}
	}
}

func TestAlertsAreAboutWhatThereIs(t *testing.T) {
	known := exported(t)
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "observability/alerts.yaml")), &rules); err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules.Groups[0].Rules {
		checkExpression(t, rule.Alert, rule.Expr, known)
		for _, label := range legend.FindAllStringSubmatch(rule.Annotations["summary"], -1) {
			byIt := strings.Contains(rule.Expr, "by (") && !regexp.MustCompile(`by \([^)]*\b`+label[1]+`\b`).MatchString(rule.Expr)
			if label[1] != "job" && label[1] != "instance" || byIt {
				t.Errorf("%s: its summary names %s, which it may not have", rule.Alert, label[1])
			}
		}
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%s does not say what it means", rule.Alert)
		}
	}
}

func TestEveryMetricAndFieldIsDocumented(t *testing.T) {
	known, text := exported(t), read(t, "observability.md")
	for _, name := range metricName.FindAllString(text, -1) {
		if _, ok := base(name, known); !ok && name != "go_" && name != "process_" {
			t.Errorf("docs/observability.md names %s, which there is not", name)
		}
	}
	for name, labels := range known {
		if !strings.HasPrefix(name, "hakanai_") {
			continue
		}
		row := regexp.MustCompile("(?m)^\\| .*`" + name + "`.*$").FindString(text)
		if row == "" {
			t.Errorf("docs/observability.md has nothing on %s", name)
		}
		for _, label := range labels {
			if !strings.Contains(row, "`"+label+"`") {
				t.Errorf("docs/observability.md has nothing on the label %s of %s", label, name)
			}
		}
	}
	for _, field := range LogFields() {
		if !strings.Contains(text, "`"+field+"`") {
			t.Errorf("docs/observability.md has nothing on the field %s", field)
		}
	}
	for _, operation := range []Operation{Create, Retrieve} {
		for _, reason := range operation.reasons() {
			if !strings.Contains(text, "`"+reason+"`") {
				t.Errorf("docs/observability.md has nothing on the reason %s", reason)
			}
		}
	}
}
