package valkey

import (
	"context"
	"errors"
	"fmt"
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

	// bufferSize is that of a connection's reader, and of its writer.
	bufferSize = 32 << 10
	// unanswered is how long a shared connection may stay without an answer before it is given up.
	unanswered = 2 * time.Second
	// idleLife is how long a connection of the pool is kept without use.
	idleLife = 30 * time.Second
)

// monitor connects to Valkey, asks it at short intervals how it is, and tells the others: while it is known to be down
// nobody waits for it.
type monitor struct {
	options Options

	mu      sync.RWMutex
	clients *clients // nil until Valkey was reached for the first time
	err     error    // why it is down
	need    int      // replicas that must confirm

	found []string // what was found unsafe, and told
}

var errConnecting = fmt.Errorf("%w: connecting", store.ErrDown)

func newMonitor(options Options) *monitor {
	return &monitor{options: options, err: errConnecting, need: max(options.Replicas, 0)}
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

// replicas is how many must confirm what may not be lost.
func (m *monitor) replicas() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.need
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

// look finds out how Valkey is, and tells when that has changed.
func (m *monitor) look(ctx context.Context) {
	err := m.examine(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", store.ErrDown, err)
	}
	m.mu.Lock()
	before := m.err
	m.err = err
	m.mu.Unlock()
	if (before == nil) != (err == nil) || before == errConnecting { //nolint:errorlint // that very value
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
	if c.shared.Mode() == valkey.ClientModeCluster {
		err = m.examineCluster(ctx, c.shared)
	} else {
		err = m.examinePrimary(ctx, c.shared)
	}
	if err != nil {
		return err
	}
	if m.down() != nil { // it comes up, perhaps with other settings or as another server
		return m.inspect(ctx, c.shared)
	}
	return nil
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
	options.ClientName = "hakanai"
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
	m.clients, m.err = nil, errors.New("the store is closed")
}

// examinePrimary asks the one server that is written to.
func (m *monitor) examinePrimary(ctx context.Context, client valkey.Client) error {
	role, err := client.Do(ctx, client.B().Role().Build()).ToArray()
	if err != nil {
		return err
	}
	var name string
	if len(role) > 0 {
		name, err = role[0].ToString()
	}
	if err != nil || name == "" {
		return errors.New("it answers ROLE in a way that is not known")
	}
	if name != "master" || len(role) < 3 {
		return fmt.Errorf("it is a %s, which cannot be written to", name)
	}
	connected, err := role[2].ToArray()
	if err != nil {
		return err
	}
	// Where replicas were seen once, they are waited for: that none is there just now is when it matters.
	m.expectReplicas(client.Mode() == valkey.ClientModeSentinel || len(connected) > 0)
	if need := m.replicas(); len(connected) < need {
		return fmt.Errorf("%d replicas are connected to it, and %d must confirm", len(connected), need)
	}
	return nil
}

// examineCluster asks any node how the Cluster is.
func (m *monitor) examineCluster(ctx context.Context, client valkey.Client) (err error) {
	for range 3 { // the first node that is asked may be the one that is away
		var info, nodes string
		if info, err = client.Do(ctx, client.B().ClusterInfo().Build()).ToString(); err != nil {
			continue
		}
		if !strings.Contains(info, "cluster_state:ok") {
			err = errors.New("the Cluster says that it is not well")
			continue
		}
		if nodes, err = client.Do(ctx, client.B().ClusterNodes().Build()).ToString(); err != nil {
			continue
		}
		m.expectReplicas(strings.Contains(nodes, "slave"))
		return nil
	}
	return err
}

// expectReplicas makes one replica confirm from now on, if that is left to the store.
func (m *monitor) expectReplicas(there bool) {
	if !there || m.options.Replicas != Auto {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.need = 1
}

// inspect looks for settings of Valkey that break a promise. Each finding is told once. With Strict it is an error.
func (m *monitor) inspect(ctx context.Context, client valkey.Client) error {
	unsafe := 0
	for address, node := range client.Nodes() {
		settings, err := node.Do(ctx,
			node.B().ConfigGet().Parameter("maxmemory-policy", "save", "appendonly", "appendfsync").Build()).AsStrMap()
		findings := []string{"its settings cannot be checked: it does not permit CONFIG GET"}
		if err == nil {
			findings = judgeSettings(settings)
		} else if _, refused := valkey.IsValkeyErr(err); !refused {
			return err
		}
		for _, finding := range findings {
			unsafe++
			m.tell(fmt.Sprintf("Valkey at %s: %s", address, finding))
		}
	}
	if unsafe > 0 && m.options.Strict {
		return errors.New("its settings are unsafe, and strict checking is on")
	}
	return nil
}

func (m *monitor) tell(finding string) {
	if slices.Contains(m.found, finding) {
		return
	}
	m.found = append(m.found, finding)
	m.options.Unsafe(finding)
}

// judgeSettings tells what is unsafe about the settings of a Valkey server.
func judgeSettings(settings map[string]string) (findings []string) {
	if policy := settings["maxmemory-policy"]; policy != "noeviction" {
		findings = append(findings, fmt.Sprintf(
			"maxmemory-policy %s removes secrets that nobody has opened; set noeviction", policy))
	}
	switch {
	case settings["appendonly"] == "yes" && settings["appendfsync"] != "always":
		findings = append(findings, fmt.Sprintf(
			"with appendfsync %s a power cut may lose new secrets, and bring back those just opened; set always",
			settings["appendfsync"]))
	case settings["appendonly"] == "yes":
	case settings["save"] != "":
		findings = append(findings,
			"a restart brings back secrets that were opened after the last snapshot; set appendonly yes")
	default:
		findings = append(findings, "nothing is written to disk, and a restart loses every secret; set appendonly yes")
	}
	return findings
}
