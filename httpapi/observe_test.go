package httpapi

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"hakanai/httpapi/api"
	"hakanai/telemetry"
)

// TestNothingThatCallersChooseMakesSeries asks for every route in every way first, and then for what callers may think of.
func TestNothingThatCallersChooseMakesSeries(t *testing.T) {
	metrics := telemetry.NewMetrics("")
	s := newSite(t, func(s *Server) { s.metrics, s.adminTokens = metrics, true })
	ask := func(method, path string, header ...string) {
		r := httptest.NewRequest(method, "/", nil)
		r.URL.Path = path
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		s.server.ServeHTTP(httptest.NewRecorder(), r)
	}
	methods := []string{"GET", "HEAD", "POST", "DELETE", "OPTIONS", "OTHER"}
	for _, pattern := range s.server.mux.patterns {
		for _, method := range methods {
			path := strings.NewReplacer("{id}", uuid.NewString(), "{$}", "").Replace(pattern)
			ask(method, path)
			ask(method, path, "User-Agent", "hakanai-cli")
			ask(method, pattern+"/more")
		}
	}
	s.create([]byte("x"))
	series := func() int {
		n, err := testutil.GatherAndCount(metrics.Gatherer())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := series()
	word := func() string {
		text := make([]byte, 1+rand.IntN(12))
		for i := range text {
			text[i] = byte('A' + rand.IntN(26))
		}
		return string(text)
	}
	for range 3000 {
		path := "/" + word()
		switch rand.IntN(6) {
		case 0:
			path = api.SecretPath + "/" + word()
		case 1:
			path = api.LinkPath + "/" + uuid.NewString()
		case 2:
			path = "/assets/" + word()
		case 3:
			path = api.SecretPath + path + "/" + word()
		case 4:
			path = "//" + word() + "/../x"
		}
		method := word()
		if rand.IntN(2) == 0 {
			method = methods[rand.IntN(len(methods))]
		}
		ask(method, path, "User-Agent", "hakanai-"+word(), "X-Request-Id", word(), word(), word())
	}
	if after := series(); after != before {
		t.Errorf("there were %d series, and are %d", before, after)
	}
	if before > 4000 {
		t.Errorf("there are %d series", before)
	}
	t.Logf("%d series when every route was asked for in every way", before)
}

func TestWhyRequestsAreRefusedIsCounted(t *testing.T) {
	metrics := telemetry.NewMetrics("")
	s := newSite(t, func(s *Server) { s.metrics = metrics })
	id := s.create([]byte("x"))
	s.get(id)
	s.get(id)
	s.get(uuid.NewString())
	s.get("odd")
	s.do(http.MethodDelete, api.SecretPath+"/"+id, nil)
	s.do(http.MethodGet, api.LinkPath+"/odd", nil)
	s.do(http.MethodGet, api.LinkPath+"/"+id, nil, "User-Agent", "hakanai-cli")
	s.do(http.MethodPost, api.SecretPath, strings.NewReader("{}"))
	s.post("{")
	s.post(`{"data":"` + strings.Repeat("A", 4<<20) + `","expires_in":60}`)
	families, err := metrics.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, family := range families {
		if family.GetName() != "hakanai_secrets_refused_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			labels := metric.GetLabel()
			if n := metric.GetCounter().GetValue(); n > 0 {
				got[labels[0].GetValue()+" "+labels[1].GetValue()] = n
			}
		}
	}
	want := map[string]float64{
		"retrieve gone": 2, "retrieve not_found": 1, "retrieve invalid": 1, "create token": 1, "create invalid": 1, "create size": 1,
	}
	for reason, n := range want {
		if got[reason] != n {
			t.Errorf("%s: %v, want %v", reason, got[reason], n)
		}
		delete(got, reason)
	}
	if len(got) > 0 {
		t.Errorf("refused for other reasons, too: %v", got)
	}
}
