package valkey

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/valkey-io/valkey-go"

	"hakanai/store"
)

const (
	probeEvery   = 400 * time.Millisecond
	probeTimeout = time.Second

	// bufferSize is that of a shared connection's reader, and of its writer.
	bufferSize = 32 << 10
	// unanswered is how long a shared connection may stay without an answer before it is given up.
	unanswered = 2 * time.Second
	// smallBuffer is bufferSize for who says little, such as a Sentinel, and for pieces of ciphertext, which pass it by.
	smallBuffer = 4 << 10
	// idleLife is how long a connection of the pool is kept without use.
	idleLife = 30 * time.Second

	clientName = "hakanai"
)

// monitor connects to Valkey, asks it at short intervals how it is, and tells the others: while it is known to be down
// nobody waits for it.
type monitor struct {
	options Options

	mu         sync.RWMutex
	clients    *clients // nil until Valkey was reached for the first time
	err        error    // why it is down
	view       view
	replicated bool // there is a replica, or there was one
	waitAOF    bool // Valkey can wait for the disks of replicas

	sentinels *sentinels
	online    map[string]bool // replicas that were online at the primary, and that the Sentinels do not think down
	replicas  replicas
	inspected inspected
	missed    bool     // the last probe had no answer in time
	found     []string // what was found unsafe, and told
}

// inspected is what was there when Valkey's settings were looked at last.
type inspected struct {
	primary    string
	replicated bool
}

var errConnecting = fmt.Errorf("%w: connecting", store.ErrDown)

func newMonitor(options Options) *monitor {
	return &monitor{
		options: options, err: errConnecting, sentinels: newSentinels(options.DSN),
		replicas: replicas{options.DSN, options.Report, make(map[string]replica)},
	}
}

// connections returns the clients, or why there are none to use just now.
func (m *monitor) connections() (clients, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.err != nil {
		return clients{}, m.err
	}
	return *m.clients, nil
}

// down tells why the store is down, or nil.
func (m *monitor) down() error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.err
}

// confirming tells whether anything needs to be confirmed by replicas.
func (m *monitor) confirming() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.need(0) > 0
}

// need is how many replicas must confirm where a shard asks for so many. Where there were replicas once, at least one
// must: that none is there just now is when it matters.
func (m *monitor) need(confirming int) int {
	switch {
	case m.options.Replicas != Auto:
		return max(m.options.Replicas, 0)
	case m.replicated:
		return max(confirming, 1)
	}
	return 0
}

// primary returns the address of the primary that has a slot, how many of its replicas must confirm, and how many of these
// can confirm what is in their memory and no more.
func (m *monitor) primary(slot uint16) (address string, need, volatile int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s, _ := m.view.of(slot)
	if need = m.need(s.confirming); !m.waitAOF {
		return s.primary, need, math.MaxInt
	}
	return s.primary, need, s.volatile
}

// see takes over a new view.
func (m *monitor) see(v view) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.view, m.replicated = v, m.replicated || v.replicated()
}

func (m *monitor) run(ctx context.Context) {
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		m.look(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// look finds out how Valkey is, and tells when that has changed. One answer that comes too late says little: callers
// have a time limit of their own.
func (m *monitor) look(ctx context.Context) {
	err := m.examine(ctx)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		err = m.examine(ctx) // that a connection broke just now says nothing about the next one
	}
	if ctx.Err() != nil {
		return
	}
	before := m.missed
	if m.missed = errors.Is(err, context.DeadlineExceeded); m.missed && !before && m.down() == nil {
		return
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", store.ErrDown, err)
	}
	m.mu.Lock()
	was := m.err
	m.err = err
	m.mu.Unlock()
	if (was == nil) != (err == nil) || was == errConnecting { //nolint:errorlint // that very value
		m.options.Changed(err)
	}
}

func (m *monitor) examine(ctx context.Context) error {
	c, err := m.connect()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if m.down() != nil {
		clear(m.replicas.known) // it may come up with other settings
	}
	if c.shared.Mode() == valkey.ClientModeCluster {
		err = m.examineCluster(ctx, c.shared)
	} else {
		err = m.examinePrimary(ctx, c.shared)
	}
	if err != nil {
		return err
	}
	m.mu.RLock()
	now := inspected{m.view.shards[0].primary, m.replicated}
	m.mu.RUnlock()
	if m.down() != nil || now != m.inspected {
		if err := m.inspect(ctx, c.shared, now.replicated); err != nil {
			return err
		}
		m.inspected = now
	}
	return m.judgeReplicas()
}

// connect makes the clients, once. Afterwards they reconnect by themselves.
func (m *monitor) connect() (clients, error) {
	m.mu.RLock()
	c := m.clients
	m.mu.RUnlock()
	if c != nil {
		return *c, nil
	}
	options := m.options.DSN.options()
	options.ClientName = clientName
	options.ClientSetInfo = valkey.DisableClientSetInfo
	options.DisableCache = true
	options.DisableRetry = true // repeating is decided in try
	options.ReadBufferEachConn, options.WriteBufferEachConn = bufferSize, bufferSize
	options.ConnWriteTimeout = unanswered
	options.BlockingPoolSize = maxSingle
	options.BlockingPoolCleanup = idleLife
	shared, err := valkey.NewClient(options)
	if err != nil {
		if shared != nil {
			shared.Close()
		}
		return clients{}, err
	}
	options.ForceSingleClient = shared.Mode() == valkey.ClientModeStandalone
	options.DisableAutoPipelining = true
	options.ReadBufferEachConn, options.WriteBufferEachConn = smallBuffer, smallBuffer
	single, err := valkey.NewClient(options)
	if err != nil {
		if single != nil {
			single.Close()
		}
		shared.Close()
		return clients{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clients = &clients{shared, single}
	return *m.clients, nil
}

func (m *monitor) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.clients != nil {
		m.clients.shared.Close()
		m.clients.single.Close()
	}
	m.sentinels.close()
	m.clients, m.err = nil, errors.New("the store is closed")
}

var errOddRole = errors.New("it answers ROLE in a way that is not known")

// examinePrimary asks the one server that is written to, and the Sentinels if there are any.
func (m *monitor) examinePrimary(ctx context.Context, client valkey.Client) error {
	results := client.DoMulti(ctx, client.B().Ping().Build(), client.B().Role().Build())
	if err := results[0].Error(); err != nil { // a server that loads, or cannot write, tells its role all the same
		return err
	}
	role, err := results[1].ToArray()
	if err != nil {
		return err
	}
	var name string
	if len(role) > 0 {
		name, err = role[0].ToString()
	}
	if err != nil || name == "" {
		return errOddRole
	}
	if name != "master" || len(role) < 3 {
		return fmt.Errorf("it is a %s, which cannot be written to", name)
	}
	connected, err := role[2].ToArray()
	if err != nil {
		return err
	}
	address := onlyAddress(client)
	online, err := readReplicas(connected)
	if err != nil {
		return err
	}
	m.replicas.see(ctx, online)
	v := one(address, min(len(online), 1), m.replicas.volatile(online)) // who promotes replicas, and which, nobody tells
	if client.Mode() == valkey.ClientModeSentinel {
		if v, err = m.askSentinels(ctx, v, online); err != nil {
			return err
		}
	}
	m.see(v)
	primary, need, _ := m.primary(0)
	if primary != address {
		return fmt.Errorf("the Sentinels call %s the primary, which is not connected yet", primary)
	}
	if len(connected) < need {
		return fmt.Errorf("%d replicas are connected to it, and %d must confirm", len(connected), need)
	}
	return nil
}

// onlyAddress is that of the one server that a client outside a Cluster writes to.
func onlyAddress(client valkey.Client) (address string) {
	for address = range client.Nodes() { //nolint:revive // there is one
		break
	}
	return address
}

// readReplicas reads the addresses of the replicas that are online from an answer to ROLE.
func readReplicas(connected []valkey.ValkeyMessage) (addresses map[string]bool, err error) {
	addresses = make(map[string]bool)
	for _, message := range connected {
		replica, err := message.AsStrSlice()
		if err != nil || len(replica) < 2 {
			return nil, errOddRole
		}
		addresses[net.JoinHostPort(replica[0], replica[1])] = true
	}
	return addresses, nil
}

// askSentinels returns what the Sentinels see. Where they do not tell, own is what is seen without them; online are the
// replicas that are online at its primary. WAIT counts any replica, so that all of them must confirm, whether they may be
// promoted or not.
func (m *monitor) askSentinels(ctx context.Context, own view, online map[string]bool) (view, error) {
	m.mu.Lock()
	m.replicated = true
	before, known := m.view.of(0)
	m.mu.Unlock()
	o, err := m.sentinels.ask(ctx)
	if err != nil {
		_, refused := valkey.IsValkeyErr(err)
		switch {
		case refused:
			m.tell(fmt.Sprintf("the Sentinels do not say which replicas they may promote, so that one confirmation must do: %s", err))
			return own, nil
		case known:
			return one(before.primary, before.confirming, before.volatile), nil
		}
		return view{}, err
	}
	if before.primary != o.primary {
		m.online = make(map[string]bool)
	}
	if own.shards[0].primary == o.primary {
		maps.Copy(m.online, online)
	}
	confirming := maps.Clone(online)
	for address, linked := range o.replicas {
		if linked || m.online[address] {
			confirming[address] = true
		}
	}
	maps.DeleteFunc(m.online, func(address string, _ bool) bool {
		_, ok := o.replicas[address]
		return !ok
	})
	need := len(confirming)
	if !o.most { // what few say can only make things stricter
		need = max(need, before.confirming)
	}
	return one(o.primary, need, m.replicas.volatile(confirming)), nil
}

// examineCluster asks all nodes how the Cluster is. One that is away does not answer, and one that is cut off says so.
func (m *monitor) examineCluster(ctx context.Context, client valkey.Client) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout/2)
	defer cancel()
	nodes := client.Nodes()
	answers := make(chan nodeAnswer, len(nodes))
	for address, node := range nodes {
		go func() { answers <- askNode(ctx, node, address) }()
	}
	var all []nodeAnswer
	err := errNoNode
	for range nodes {
		if answer := <-answers; answer.err == nil {
			all = append(all, answer)
		} else {
			err = answer.err
		}
	}
	if len(all) == 0 {
		return err
	}
	online := make(map[string]bool)
	for _, a := range all {
		maps.Copy(online, a.online)
	}
	m.replicas.see(ctx, online)
	m.see(merge(all, &m.replicas))
	return nil
}

// inspect looks for settings of the servers that are written to that break a promise. Each finding is told once. With
// Strict it is an error.
func (m *monitor) inspect(ctx context.Context, client valkey.Client, replicated bool) error {
	unsafe, waitAOF := 0, true
	for address, node := range client.Nodes() {
		if _, known := m.replicas.known[address]; known {
			continue
		}
		settings, err := settingsOf(ctx, node)
		findings := judgeSettings(settings)
		if _, refused := valkey.IsValkeyErr(err); refused {
			findings = []string{notPermitted}
		} else if err != nil {
			return err
		}
		if replicated {
			has, err := hasWaitAOF(ctx, node)
			if err != nil {
				return err
			}
			if !has {
				waitAOF = false
				findings = append(findings, noWaitAOF)
			}
		}
		for _, finding := range findings {
			unsafe++
			m.tell(fmt.Sprintf("Valkey at %s: %s", address, finding))
		}
	}
	m.mu.Lock()
	m.waitAOF = waitAOF
	m.mu.Unlock()
	if unsafe > 0 && m.options.Strict {
		return errUnsafe
	}
	return nil
}

const (
	notPermitted = "its settings cannot be checked: it does not permit CONFIG GET"
	noWaitAOF    = "it does not know or does not permit WAITAOF, so that the memory of replicas must do as a confirmation"
)

var errUnsafe = errors.New("its settings are unsafe, and strict checking is on")

// judgeReplicas tells of settings of replicas as inspect does of others.
func (m *monitor) judgeReplicas() error {
	findings := m.replicas.findings()
	for _, finding := range findings {
		m.tell(finding)
	}
	if len(findings) > 0 && m.options.Strict {
		return errUnsafe
	}
	return nil
}

// hasWaitAOF tells whether a server knows WAITAOF, and permits it. Redis has it since 7.2.
func hasWaitAOF(ctx context.Context, node valkey.Client) (bool, error) {
	err := node.Do(ctx, node.B().Waitaof().Numlocal(0).Numreplicas(0).Timeout(1).Build()).Error()
	answer, refused := valkey.IsValkeyErr(err)
	switch {
	case !refused:
		return true, err
	case strings.HasPrefix(answer.Error(), "NOPERM"), strings.Contains(answer.Error(), "unknown command"):
		return false, nil
	}
	return true, nil // a replica has it, for the day when it is promoted
}

// settingsOf asks one server for the settings that promises depend on.
func settingsOf(ctx context.Context, node valkey.Client) (map[string]string, error) {
	return node.Do(ctx,
		node.B().ConfigGet().Parameter("maxmemory-policy", "save", "appendonly", "appendfsync").Build()).AsStrMap()
}

func (m *monitor) tell(finding string) {
	if slices.Contains(m.found, finding) {
		return
	}
	m.found = append(m.found, finding)
	m.options.Unsafe(finding)
}

// durable tells whether what a server confirms is on its disk.
func durable(settings map[string]string) bool {
	return settings["appendonly"] == "yes" && settings["appendfsync"] == "always"
}

// judgeSettings tells what is unsafe about the settings of a Valkey server.
func judgeSettings(settings map[string]string) (findings []string) {
	if policy := settings["maxmemory-policy"]; policy != "noeviction" {
		findings = append(findings, fmt.Sprintf(
			"maxmemory-policy %s removes secrets that nobody has opened; set noeviction", policy))
	}
	switch {
	case durable(settings):
	case settings["appendonly"] == "yes":
		findings = append(findings, fmt.Sprintf(
			"with appendfsync %s a power cut may lose new secrets, and bring back those just opened; set always",
			settings["appendfsync"]))
	case settings["save"] != "":
		findings = append(findings,
			"a restart brings back secrets that were opened after the last snapshot; set appendonly yes")
	default:
		findings = append(findings, "nothing is written to disk, and a restart loses every secret; set appendonly yes")
	}
	return findings
}
