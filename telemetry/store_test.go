package telemetry

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"hakanai/store"
	"hakanai/store/embedded"
	"hakanai/store/storetest"
)

// recorded returns a tracer, and what it has made.
func recorded() (*Tracer, *tracetest.SpanRecorder) {
	spans := tracetest.NewSpanRecorder()
	return newTracer(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)), "test"), spans
}

func openObserved(t testing.TB, m *Metrics, tracer *Tracer) store.Store {
	t.Helper()
	secrets, err := embedded.Open(embedded.Options{
		Dir: t.TempDir(), Expired: m.CountExpired(), Report: func(err error) { t.Errorf("reported: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return Store(secrets, m, tracer, "")
}

func TestAnObservedStoreIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		tracer, _ := recorded()
		return openObserved(t, NewMetrics(""), tracer)
	})
}

func TestEveryOperationIsMeasuredAndHasASpanBelowItsRequest(t *testing.T) {
	m := NewMetrics("")
	tracer, spans := recorded()
	s := openObserved(t, m, tracer)
	defer s.Close()
	ctx, request := tracer.tracer.Start(t.Context(), "request")

	id := uuid.New()
	draft, err := s.Draft(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := draft.Write([]byte("ciphertext")); err != nil {
			t.Fatal(err)
		}
	}
	if err := draft.Commit(ctx, store.Secret{TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	draft.Discard()
	claim, err := s.Claim(ctx, id, store.Claimant{1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var piece [20]byte
	for range 2 {
		if _, err := claim.Read(piece[:]); err != nil {
			t.Fatal(err)
		}
	}
	if err := claim.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Look(ctx, id); !errors.Is(err, store.ErrGone) {
		t.Errorf("afterwards a look gives %v", err)
	}
	request.End()

	var names []string
	for _, span := range spans.Ended() {
		names = append(names, span.Name())
		if span.Name() != "request" && span.Parent().SpanID() != request.SpanContext().SpanID() {
			t.Errorf("%s is not below the request", span.Name())
		}
		if len(span.Attributes()) > 0 || len(span.Events()) > 0 {
			t.Errorf("%s says %v %v", span.Name(), span.Attributes(), span.Events())
		}
	}
	want := []string{"store draft", "store write", "store commit", "store claim", "store read", "store release", "store look", "request"}
	if len(names) != len(want) {
		t.Fatalf("spans are %q, want %q", names, want)
	}
	for i := range want {
		if names[i] != want[i] {
			t.Fatalf("spans are %q, want %q", names, want)
		}
	}
	if n := testutil.ToFloat64(m.created); n != 1 {
		t.Errorf("%v secrets are counted", n)
	}
	if n := testutil.CollectAndCount(m.operations); n != 17 {
		t.Errorf("there are %d operations", n)
	}
}

func TestWhatExpiresIsCounted(t *testing.T) {
	m := NewMetrics("")
	s := openObserved(t, m, nil)
	defer s.Close()
	storetest.Create(t, s, []byte("short"), time.Millisecond)
	storetest.Create(t, s, []byte("long"), time.Hour)
	storetest.Eventually(t, "one is counted", func() bool {
		families, err := m.Gatherer().Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() == "hakanai_secrets_expired_total" {
				return family.GetMetric()[0].GetCounter().GetValue() == 1
			}
		}
		return false
	})
}

// nothing is a store that holds nothing.
type nothing struct{ store.Store }

func (nothing) Look(context.Context, store.ID) (store.Secret, error) {
	return store.Secret{}, store.ErrNotFound
}

// BenchmarkLook measures what observing costs a call. Without a tracer it allocates nothing.
func BenchmarkLook(b *testing.B) {
	unknown := store.Store(nothing{})
	var tracer *Tracer
	for name, s := range map[string]store.Store{
		"bare": unknown, "measured": Store(unknown, NewMetrics(""), tracer, ""),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = s.Look(b.Context(), uuid.Nil)
			}
		})
	}
}

func TestWithoutATracerObservingAllocatesNothing(t *testing.T) {
	s := Store(nothing{}, NewMetrics(""), nil, "valkey")
	if n := testing.AllocsPerRun(100, func() { _, _ = s.Look(t.Context(), uuid.Nil) }); n != 0 {
		t.Errorf("a call allocates %v times", n)
	}
}
