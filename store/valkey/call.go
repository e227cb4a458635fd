package valkey

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/valkey-io/valkey-go"

	"hakanai/store"
)

// call is one run of a script.
type call struct {
	script script
	keys   []string
	args   []string
	// durable makes the call wait for replicas, when it has changed something.
	durable bool
	// large keeps the call off the connections that small ones share.
	large bool
}

// reply is what a script returned.
type reply struct {
	status string                 // its first or only value
	values []valkey.ValkeyMessage // the others
}

// changed tells whether the reply promises something that a failover must not take back.
func (r reply) changed() bool {
	return r.status == "done" || r.status == "first" || r.status == "repeat"
}

// failure is a call that was not answered, or not confirmed, within its time.
type failure struct {
	err error
	// happened says that the script may have run. Then somebody must undo it.
	happened bool
}

func (f *failure) Error() string { return f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

// mayHaveHappened tells whether a call that failed with err may have changed something.
func mayHaveHappened(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.happened
}

var (
	errNotConfirmed = errors.New("too few replicas have confirmed it")
	errNoPrimary    = fmt.Errorf("%w: the primary is changing", store.ErrDown)
	errOddReply     = errors.New("a script returned what it never returns")
)

// run runs a script. It does not end with the caller's context: a script that is on its way cannot be called back, so
// whoever sent it waits for what it did, for at most the budget.
// Errors: store.ErrFull, store.ErrDown.
func (s *Store) run(ctx context.Context, c call) (r reply, err error) {
	err = s.try(ctx, patience{budget, false}, func(ctx context.Context, clients clients) error {
		r, err = s.attempt(ctx, clients, c)
		return err
	})
	return r, err
}

// small runs commands that are no scripts, over the shared connections.
func (s *Store) small(ctx context.Context, send func(context.Context, valkey.Client) error) error {
	return s.try(ctx, patience{budget, false}, func(ctx context.Context, clients clients) error {
		leave, err := s.sharedPlaces.take(ctx)
		if err != nil {
			return err
		}
		defer leave()
		return send(ctx, clients.shared)
	})
}

// clients are the two ways to talk to Valkey.
type clients struct{ shared, single valkey.Client }

// patience says for how long attempts are made, and whether while Valkey is known to be down too.
type patience struct {
	time  time.Duration
	stays bool
}

// try makes attempts until one succeeds, or fails for good, or the time is over: that of patience, or what the caller's
// context leaves of it.
func (s *Store) try(ctx context.Context, p patience, attempt func(context.Context, clients) error) error {
	until := time.Now().Add(p.time)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), until)
	defer cancel()
	happened := false
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		clients, err := s.connections()
		if err == nil {
			err = attempt(ctx, clients)
		} else if !p.stays {
			return &failure{err, happened}
		}
		if err == nil {
			return nil
		}
		again, sent := judge(err)
		happened = happened || sent
		if again {
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
				continue
			case <-ctx.Done():
				timer.Stop()
			}
		}
		return &failure{explain(err), happened}
	}
}

// judge tells of an error whether another attempt may help, and whether the command may have been executed.
func judge(err error) (again, sent bool) {
	var dial *net.OpError
	if answer, ok := valkey.IsValkeyErr(err); ok {
		text := answer.Error()
		if isFull(text) {
			return false, false
		}
		// An error in a script stops it in the middle. All other answers refuse a command before it has begun.
		inScript := strings.Contains(text, "script:")
		return !inScript, inScript
	}
	switch {
	case errors.Is(err, errOddReply):
		return false, true
	case errors.Is(err, errNoPlace):
		return false, false
	case errors.Is(err, store.ErrDown):
		return true, false
	case errors.As(err, &dial) && dial.Op == "dial":
		return true, false
	}
	return true, true
}

func isFull(text string) bool { return strings.HasPrefix(text, "OOM") }

// explain makes an error one that callers of a store decide by.
func explain(err error) error {
	if answer, ok := valkey.IsValkeyErr(err); ok && isFull(answer.Error()) {
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	if errors.Is(err, store.ErrDown) {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrDown, err)
}

var errNoPlace = errors.New("too many commands are under way")

// places bound how many may use Valkey at once, and how many may wait for that, so that nothing piles up while it does
// not answer.
type places struct {
	taken   chan struct{}
	waiting chan struct{}
}

func newPlaces(n, waiting int) places {
	return places{make(chan struct{}, n), make(chan struct{}, waiting)}
}

// take takes a place, and returns how to leave it. Error: errNoPlace, at once if too many wait already.
func (p places) take(ctx context.Context) (leave func(), err error) {
	leave = func() { <-p.taken }
	select {
	case p.taken <- struct{}{}:
		return leave, nil
	default:
	}
	select {
	case p.waiting <- struct{}{}:
		defer func() { <-p.waiting }()
	default:
		return nil, errNoPlace
	}
	// Who begins with hardly any time left is given up halfway, and its connection with it.
	timer := time.NewTimer(placeTime)
	defer timer.Stop()
	select {
	case p.taken <- struct{}{}:
		return leave, nil
	case <-timer.C:
		return nil, errNoPlace
	case <-ctx.Done():
		return nil, errNoPlace
	}
}

// attempt runs the script once, by its name, and by its source where Valkey has not seen it.
func (s *Store) attempt(ctx context.Context, clients clients, c call) (reply, error) {
	send, places := s.sendShared, s.sharedPlaces
	switch {
	case c.durable && s.monitor.confirming():
		send, places = s.sendConfirmed, s.singlePlaces
	case c.large:
		send, places = s.sendSingle, s.singlePlaces
	}
	leave, err := places.take(ctx)
	if err != nil {
		return reply{}, err
	}
	defer leave()
	r, err := send(ctx, clients, c, "EVALSHA", c.script.sha1)
	if answer, ok := valkey.IsValkeyErr(err); ok && answer.IsNoScript() {
		return send(ctx, clients, c, "EVAL", c.script.source)
	}
	return r, err
}

func (c call) build(b valkey.Builder, verb, script string) valkey.Completed {
	return b.Arbitrary(verb, script, fmt.Sprint(len(c.keys))).Keys(c.keys...).Args(c.args...).Build()
}

func (s *Store) sendShared(ctx context.Context, clients clients, c call, verb, script string) (reply, error) {
	return readReply(clients.shared.Do(ctx, c.build(clients.shared.B(), verb, script)))
}

func (s *Store) sendSingle(ctx context.Context, clients clients, c call, verb, script string) (reply, error) {
	return readReply(clients.single.Do(ctx, c.build(clients.single.B(), verb, script)))
}

// sendConfirmed sends the script, and waits for replicas. It sends it to the server that was the primary when their number
// was found out: another primary may have more.
func (s *Store) sendConfirmed(ctx context.Context, clients clients, c call, verb, script string) (reply, error) {
	command := c.build(clients.single.B(), verb, script)
	address, need, volatile := s.monitor.primary(command.Slot())
	node, ok := clients.single.Nodes()[address]
	if !ok {
		return reply{}, errNoPrimary
	}
	connection, release, err := dedicate(ctx, node)
	if err != nil {
		return reply{}, err
	}
	defer release()
	r, err := readReply(connection.Do(ctx, command))
	if err != nil || !r.changed() { // who changed nothing need not wait
		return r, err
	}
	confirm := func(need int) (online int, err error) {
		return readWaited(wait(ctx, connection, node, waits(ctx, connection.B(), need, volatile)), need, volatile)
	}
	online, err := confirm(need)
	// A replica may have come since the number was found out. It may be promoted, and WAIT may have counted it in the place
	// of another.
	if s.options.Replicas == Auto && online > need {
		_, err = confirm(online)
	}
	if err != nil {
		return reply{}, err
	}
	return r, nil
}

// waits are the commands that wait for replicas, and ROLE, which tells how many there are by then. WAITAOF asks for more than
// WAIT: a replica that has been synchronised anew has everything in memory, but a restart would take it back to what it had
// before, until all of that is on its disk. It comes after WAIT, since a replica tells of its disk when it is asked and else
// once a second: asked by WAITAOF alone, it has not written yet.
func waits(ctx context.Context, b valkey.Builder, need, volatile int) []valkey.Completed {
	timeout := confirmTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(min(timeout, (time.Until(deadline)-50*time.Millisecond)/2), time.Millisecond)
	}
	commands := []valkey.Completed{b.Wait().Numreplicas(int64(need)).Timeout(timeout.Milliseconds()).Build()}
	if need > volatile {
		commands = append(commands,
			b.Waitaof().Numlocal(0).Numreplicas(int64(need-volatile)).Timeout(timeout.Milliseconds()).Build())
	}
	return append(commands, b.Role().Build())
}

// readWaited reads the answers to the commands of waits.
// Error: errNotConfirmed, whatever it was, since the script ran.
func readWaited(results []valkey.ValkeyResult, need, volatile int) (online int, err error) {
	confirmed, err := results[0].AsInt64()
	if err == nil {
		online, err = readOnline(results[len(results)-1])
	}
	if err == nil && confirmed < int64(need) {
		err = fmt.Errorf("%d of %d", confirmed, need)
	}
	if err == nil && need > volatile {
		var disks []int64 // of the primary, and of replicas
		if disks, err = results[1].AsIntSlice(); err == nil && (len(disks) != 2 || disks[1] < int64(need-volatile)) {
			err = fmt.Errorf("on the disks %v, and not of %d replicas", disks, need-volatile)
		}
	}
	if err != nil {
		return online, fmt.Errorf("%w: %s", errNotConfirmed, err) //nolint:errorlint // none that decides anything
	}
	return online, nil
}

// readOnline tells from an answer to ROLE how many replicas are online. A server that is no primary any more has none, and
// nothing that it says is confirmed.
func readOnline(result valkey.ValkeyResult) (int, error) {
	role, err := result.ToArray()
	if err != nil {
		return 0, err
	}
	if len(role) != 3 {
		return 0, errNoPrimary
	}
	connected, err := role[2].ToArray()
	return len(connected), err
}

// dedicate takes a connection for what belongs together. A new one may take longer to be made than anybody waits for.
func dedicate(ctx context.Context, node valkey.Client) (valkey.DedicatedClient, func(), error) {
	type taken struct {
		connection valkey.DedicatedClient
		release    func()
	}
	ready := make(chan taken, 1)
	go func() {
		connection, release := node.Dedicate()
		ready <- taken{connection, release}
	}()
	select {
	case t := <-ready:
		return t.connection, t.release, nil
	case <-ctx.Done():
		go func() { (<-ready).release() }()
		return nil, nil, fmt.Errorf("%w: connecting takes too long", store.ErrDown)
	}
}

// readReply reads a status, or an array that begins with one.
func readReply(result valkey.ValkeyResult) (r reply, err error) {
	message, err := result.ToMessage()
	if err != nil {
		return reply{}, err
	}
	if message.IsArray() {
		values, err := message.ToArray()
		if err != nil || len(values) == 0 {
			return reply{}, errOddReply
		}
		message, r.values = values[0], values[1:]
	}
	if r.status, err = message.ToString(); err != nil {
		return reply{}, errOddReply
	}
	return r, nil
}
