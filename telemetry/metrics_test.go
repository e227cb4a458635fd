package telemetry

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"hakanai/store"
)

// running returns the metrics of a server that runs on a store.
func running(counts func() (store.Counts, error)) *Metrics {
	m := NewMetrics("1.2.3")
	m.CountExpired()(3)
	m.Watch(Store(countingStore{count: counts}, m, nil, ""))
	m.RequestBegins()
	m.RequestEnds("/ready", "GET", 200, time.Millisecond)
	return m
}

// countingStore is a store that can only be asked what is alive.
type countingStore struct {
	store.Store
	count func() (store.Counts, error)
}

func (s countingStore) Count(context.Context) (store.Counts, error) { return s.count() }

func someCounts() (store.Counts, error) { return store.Counts{Secrets: 7, Tokens: 2}, nil }

func TestNamesFollowTheConventions(t *testing.T) {
	problems, err := testutil.GatherAndLint(running(someCounts).Gatherer())
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}

func TestNothingThatCallersChooseMakesSeries(t *testing.T) {
	m := running(someCounts)
	random := func() string {
		text := make([]byte, 1+rand.IntN(20))
		for i := range text {
			text[i] = byte('A' + rand.IntN(26))
		}
		return string(text)
	}
	ask := func(method string, status int) {
		m.RequestBegins()
		m.RequestEnds("none", method, status, time.Second)
		m.Refused(Create, status)
		m.Refused(Retrieve, status)
	}
	for status := range 1000 {
		ask("GET", status)
	}
	for _, method := range []string{"HEAD", "POST", "DELETE", "OPTIONS", "PUT"} {
		for status := 0; status < 1000; status += 100 {
			ask(method, status)
		}
	}
	series := func() int {
		n, err := testutil.GatherAndCount(m.Gatherer())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := series()
	for range 2000 {
		ask(random(), rand.IntN(1000))
	}
	if after := series(); after != before {
		t.Errorf("there were %d series, and are %d", before, after)
	}
}

func TestEveryReasonIsThereFromTheStart(t *testing.T) {
	m := NewMetrics("")
	count := func() int { return testutil.CollectAndCount(m.refused) }
	before := count()
	for _, status := range []int{400, 401, 405, 408, 413, 415, 429, 500, 501, 503, 507} {
		m.Refused(Create, status)
	}
	for _, status := range []int{400, 401, 403, 404, 405, 410, 416, 429, 500, 503} {
		m.Refused(Retrieve, status)
	}
	if after := count(); after != before {
		t.Errorf("%d reasons were there before they were needed, and then %d", before, after)
	}
}

func TestAStoreThatDoesNotAnswerHasNoNumbers(t *testing.T) {
	up := true
	m := running(func() (store.Counts, error) {
		if up {
			return someCounts()
		}
		return store.Counts{}, store.ErrDown
	})
	want := `
		# HELP hakanai_live_secrets Secrets that wait to be retrieved, in the whole store.
		# TYPE hakanai_live_secrets gauge
		hakanai_live_secrets 7
		# HELP hakanai_store_up Whether the store answered when it was last asked: 1 or 0.
		# TYPE hakanai_store_up gauge
		hakanai_store_up 1
	`
	names := []string{"hakanai_live_secrets", "hakanai_store_up"}
	if err := testutil.GatherAndCompare(m.Gatherer(), strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	up = false
	if err := testutil.GatherAndCompare(m.Gatherer(), strings.NewReader(want), names...); err != nil {
		t.Errorf("the store is asked too often: %v", err)
	}
	m = running(func() (store.Counts, error) { return store.Counts{}, store.ErrDown })
	want = `
		# HELP hakanai_store_up Whether the store answered when it was last asked: 1 or 0.
		# TYPE hakanai_store_up gauge
		hakanai_store_up 0
	`
	if err := testutil.GatherAndCompare(m.Gatherer(), strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestMetricsAreServedAndNothingElse(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop := running(someCounts).Serve(listener)
	url := "http://" + listener.Addr().String()
	for _, ask := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/metrics", 200}, {"HEAD", "/metrics", 200}, {"POST", "/metrics", 405}, {"GET", "/", 404},
		{"GET", "/metrics/", 404}, {"GET", "/debug/pprof/", 404}, {"GET", "/config.json", 404}, {"GET", "/ready", 404},
	} {
		r, err := http.NewRequest(ask.method, url+ask.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Error(err)
		}
		response.Body.Close()
		if response.StatusCode != ask.want {
			t.Errorf("%s %s is %d, want %d", ask.method, ask.path, response.StatusCode, ask.want)
		}
		if there := strings.Contains(string(body), "hakanai_live_secrets 7"); there != (ask.want == 200 && ask.method == "GET") {
			t.Errorf("%s %s gives %.200s", ask.method, ask.path, body)
		}
	}
	stop()
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("after the stop somebody still listens")
	}
}

func TestOnlyWhatTheStoreCannotDoIsAFailure(t *testing.T) {
	for err, want := range map[error]string{
		nil: "", io.EOF: "", context.Canceled: "",
		store.ErrNotFound: "", store.ErrGone: "", store.ErrNoToken: "", store.ErrQuota: "",
		store.ErrDown: down, store.ErrFull: full, store.ErrClockJump: other, errors.New("disk"): other,
	} {
		if got := failureOf(err); got != want {
			t.Errorf("%v is %q, want %q", err, got, want)
		}
	}
}
