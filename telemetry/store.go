package telemetry

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"hakanai/store"
)

// Store returns the store, observed: how long each operation takes and which fail, what is created, and with a tracer a
// span for each operation. Neither tells which secret it was about.
//
// system is the database behind it, or "" for none.
func Store(s store.Store, m *Metrics, tracer *Tracer, system string) store.Store {
	o := &observedStore{inner: s, metrics: m}
	begin := func(name string) operation { return newOperation(name, m, tracer, system) }
	o.draft, o.write, o.commit, o.discard = begin("draft"), begin("write"), begin("commit"), begin("discard")
	o.look, o.claim, o.read = begin("look"), begin("claim"), begin("read")
	o.resume, o.undo, o.release, o.endLease = begin("resume"), begin("undo"), begin("release"), begin("end")
	o.putToken, o.token = begin("put_token"), begin("token")
	o.attempt, o.forgive = begin("attempt"), begin("forgive")
	o.count, o.check = begin("count"), begin("check")
	return o
}

// observedStore implements store.Store. It embeds none, so that no call to come is forgotten.
type observedStore struct {
	inner   store.Store
	metrics *Metrics

	draft, write, commit, discard     operation
	look, claim, read                 operation
	resume, undo, release, endLease   operation
	putToken, token, attempt, forgive operation
	count, check                      operation
}

// Kinds of failures. What a store answers about a secret or token is none, nor is a caller who has gone away.
const (
	down  = "down"
	full  = "full"
	other = "other"
)

func failureOf(err error) string {
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, context.Canceled),
		errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrGone), errors.Is(err, store.ErrNoToken), errors.Is(err, store.ErrQuota),
		errors.Is(err, store.ErrUsedUp), errors.Is(err, store.ErrLook):
		return ""
	case errors.Is(err, store.ErrDown):
		return down
	case errors.Is(err, store.ErrFull):
		return full
	}
	return other
}

// operation is what is known of one kind of call, so that a call need look nothing up.
type operation struct {
	span     string // its spans' name
	options  []trace.SpanStartOption
	tracer   *Tracer
	duration prometheus.Observer
	failures map[string]prometheus.Counter // by kind
}

func newOperation(name string, m *Metrics, tracer *Tracer, system string) operation {
	o := operation{
		span: "store " + name, tracer: tracer, duration: m.operations.WithLabelValues(name),
		failures: make(map[string]prometheus.Counter),
	}
	for _, kind := range []string{down, full, other} {
		o.failures[kind] = m.failures.WithLabelValues(name, kind)
	}
	if system != "" {
		o.options = []trace.SpanStartOption{
			trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(attribute.String("db.system.name", system), attribute.String("db.operation.name", name)),
		}
	}
	return o
}

// begin begins one call. Its end is ended by end.
func (o *operation) begin(ctx context.Context) (context.Context, call) {
	ctx, span := o.tracer.step(ctx, o.span, o.options)
	return ctx, call{operation: o, span: span, start: time.Now()}
}

// call is one call that is under way.
type call struct {
	*operation
	span  trace.Span // nil without a tracer
	start time.Time
}

func (c call) end(err error) { c.endAfter(time.Since(c.start), err) }

// endAfter ends a call that took so much of its time in the store.
func (c call) endAfter(took time.Duration, err error) {
	c.duration.Observe(took.Seconds())
	kind := failureOf(err)
	if kind != "" {
		c.failures[kind].Inc()
	}
	if c.span == nil {
		return
	}
	if kind != "" {
		c.span.SetStatus(codes.Error, kind)
	}
	c.span.End()
}

// Draft implements store.Store.
func (o *observedStore) Draft(ctx context.Context, id store.ID) (store.Draft, error) {
	inner, c := o.draft.begin(ctx)
	draft, err := o.inner.Draft(inner, id)
	c.end(err)
	if err != nil {
		return nil, err
	}
	return &observedDraft{inner: draft, store: o, ctx: ctx}, nil
}

// Look implements store.Store.
func (o *observedStore) Look(ctx context.Context, id store.ID) (store.Secret, error) {
	ctx, c := o.look.begin(ctx)
	secret, err := o.inner.Look(ctx, id)
	c.end(err)
	return secret, err
}

// Claim implements store.Store.
func (o *observedStore) Claim(ctx context.Context, id store.ID, claimant store.Claimant, lease time.Duration) (store.Claim, error) {
	inner, c := o.claim.begin(ctx)
	claim, err := o.inner.Claim(inner, id, claimant, lease)
	return o.claimed(ctx, c, claim, err)
}

// ClaimUnseen implements store.Store.
func (o *observedStore) ClaimUnseen(
	ctx context.Context, id store.ID, claimant store.Claimant, lease time.Duration, most int64,
) (store.Claim, error) {
	inner, c := o.claim.begin(ctx)
	claim, err := o.inner.ClaimUnseen(inner, id, claimant, lease, most)
	return o.claimed(ctx, c, claim, err)
}

func (o *observedStore) claimed(ctx context.Context, c call, claim store.Claim, err error) (store.Claim, error) {
	c.end(err)
	if err != nil {
		return nil, err
	}
	return &observedClaim{inner: claim, store: o, ctx: ctx}, nil
}

// Resume implements store.Store.
func (o *observedStore) Resume(ctx context.Context, id store.ID, claimant store.Claimant, from int64) (store.Claim, error) {
	inner, c := o.resume.begin(ctx)
	claim, err := o.inner.Resume(inner, id, claimant, from)
	return o.claimed(ctx, c, claim, err)
}

// End implements store.Store.
func (o *observedStore) End(ctx context.Context, id store.ID, claimant store.Claimant) error {
	ctx, c := o.endLease.begin(ctx)
	err := o.inner.End(ctx, id, claimant)
	c.end(err)
	return err
}

// PutToken implements store.Store.
func (o *observedStore) PutToken(ctx context.Context, hash store.TokenHash, token store.Token) error {
	ctx, c := o.putToken.begin(ctx)
	err := o.inner.PutToken(ctx, hash, token)
	c.end(err)
	return err
}

// PutFirstToken implements store.Store.
func (o *observedStore) PutFirstToken(ctx context.Context, hash store.TokenHash, token store.Token) (bool, error) {
	ctx, c := o.putToken.begin(ctx)
	stored, err := o.inner.PutFirstToken(ctx, hash, token)
	c.end(err)
	return stored, err
}

// ReplaceTokens implements store.Store.
func (o *observedStore) ReplaceTokens(ctx context.Context, hash store.TokenHash, token store.Token) error {
	ctx, c := o.putToken.begin(ctx)
	err := o.inner.ReplaceTokens(ctx, hash, token)
	c.end(err)
	return err
}

// Token implements store.Store.
func (o *observedStore) Token(ctx context.Context, kind store.TokenKind, hash store.TokenHash) (store.Token, error) {
	ctx, c := o.token.begin(ctx)
	token, err := o.inner.Token(ctx, kind, hash)
	c.end(err)
	return token, err
}

// Attempt implements store.Store.
func (o *observedStore) Attempt(
	ctx context.Context, id store.ID, from store.Origin, limits store.AttemptLimits,
) (time.Duration, error) {
	ctx, c := o.attempt.begin(ctx)
	wait, err := o.inner.Attempt(ctx, id, from, limits)
	c.end(err)
	return wait, err
}

// Forgive implements store.Store.
func (o *observedStore) Forgive(ctx context.Context, id store.ID, from store.Origin) error {
	ctx, c := o.forgive.begin(ctx)
	err := o.inner.Forgive(ctx, id, from)
	c.end(err)
	return err
}

// Count implements store.Store.
func (o *observedStore) Count(ctx context.Context) (store.Counts, error) {
	ctx, c := o.count.begin(ctx)
	counts, err := o.inner.Count(ctx)
	c.end(err)
	return counts, err
}

// Check implements store.Store.
func (o *observedStore) Check(ctx context.Context) error {
	ctx, c := o.check.begin(ctx)
	err := o.inner.Check(ctx)
	c.end(err)
	return err
}

// String implements store.Store.
func (o *observedStore) String() string { return o.inner.String() }

// Close implements store.Store.
func (o *observedStore) Close() error { return o.inner.Close() }
