//go:build unix

package commands

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"hakanai/httpapi/api"
	"hakanai/store/storetest"
	"hakanai/store/valkey/valkeytest"
)

// fleet is several servers on one Valkey.
type fleet struct {
	t       testing.TB
	servers []*daemon
	token   string
	clients []*http.Client // one for each server
}

// startFleet starts two servers, and waits until both serve.
func startFleet(t testing.TB, dsn string, flags ...string) *fleet {
	t.Helper()
	f := &fleet{t: t}
	flags = slices.Concat([]string{"--redis-dsn", dsn}, flags, strings.Fields(os.Getenv("TEST_FLAGS"))) // see task prove
	for range 2 {
		f.servers = append(f.servers, startServe(t, flags))
		f.clients = append(f.clients, &http.Client{
			Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 20 * time.Second,
		})
	}
	storetest.Eventually(t, "one of the servers has printed the first token", func() bool {
		for _, d := range f.servers {
			d.mu.Lock()
			f.token += d.token
			d.mu.Unlock()
		}
		return f.token != ""
	})
	for _, d := range f.servers {
		d.awaitReady()
	}
	return f
}

func (d *daemon) awaitReady() {
	d.t.Helper()
	storetest.Eventually(d.t, "the server is ready", func() bool { return d.status("/ready") == http.StatusOK })
}

// status is what a GET answers; 0 for no answer.
func (d *daemon) status(path string) int {
	client := &http.Client{Timeout: 10 * time.Second}
	response, err := client.Get(d.url + path)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// stop ends the servers, which must succeed.
func (f *fleet) stop() {
	f.t.Helper()
	for _, d := range f.servers {
		if status := d.end(syscall.SIGTERM); status != 0 {
			f.t.Errorf("a server ended with %d:\n%s", status, strings.Join(d.notable(), "\n"))
		}
	}
}

// notable are the lines of the log that are not about requests.
func (d *daemon) notable() (lines []string) {
	for _, line := range d.logged("") {
		if !strings.Contains(line, `"message":"request"`) {
			lines = append(lines, line)
		}
	}
	return lines
}

func (f *fleet) create(i int, ciphertext []byte) (id string, status int) {
	return f.servers[i].create(f.clients[i], f.token, ciphertext)
}

func (f *fleet) mustCreate(size int) string {
	f.t.Helper()
	id, status := f.create(0, storetest.Bytes(size))
	if status != http.StatusOK {
		f.t.Fatalf("creating gives %d", status)
	}
	return id
}

func (f *fleet) take(i int, id string) (text []byte, status int) {
	return f.servers[i].take(f.clients[i], id)
}

func TestOneOfManyClaimersOnTwoServersWins(t *testing.T) {
	f := startFleet(t, valkeytest.Standalone(t, nil).DSN())
	defer f.stop()
	race := func(id string, claimers int) {
		var won, gone atomic.Int64
		var all sync.WaitGroup
		places := make(chan struct{}, 400) // connections at once
		for i := range claimers {
			places <- struct{}{}
			all.Go(func() {
				defer func() { <-places }()
				switch _, status := f.take(i%2, id); status {
				case http.StatusOK:
					won.Add(1)
				case http.StatusGone:
					gone.Add(1)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 || gone.Load() != int64(claimers-1) {
			t.Errorf("of %d claimers %d won, and %d were told gone", claimers, won.Load(), gone.Load())
		}
	}
	race(f.mustCreate(1000), 10_000)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 10_000 / 16 {
				race(f.mustCreate(1000), 4)
			}
		})
	}
	all.Wait()
}

func TestAServerWaitsForItsValkey(t *testing.T) {
	server := valkeytest.Standalone(t, nil)
	server.Stop()
	d := startServe(t, []string{"--redis-dsn", server.DSN()})
	for range 3 {
		for _, path := range []string{"/ready", "/healthy", api.SecretPath + "/6fa459ea-ee8a-4ca4-894e-db77e160355e"} {
			if status := d.status(path); status != http.StatusServiceUnavailable {
				t.Errorf("%s gives %d without Valkey", path, status)
			}
		}
		if _, status := d.create(http.DefaultClient, "x", []byte("x")); status != http.StatusServiceUnavailable {
			t.Errorf("creating gives %d without Valkey", status)
		}
		time.Sleep(500 * time.Millisecond)
	}
	server.Start()
	d.awaitReady()
	storetest.Eventually(t, "the first token is printed", func() bool { return len(d.logged("hakanai send")) == 1 })
	if id, status := d.create(http.DefaultClient, d.token, []byte("x")); status != http.StatusOK {
		t.Errorf("creating %s gives %d", id, status)
	}
	for text, want := range map[string]int{"waiting for Valkey": 1, "Valkey is there": 1, `"level":"error"`: 1} {
		if lines := d.logged(text); len(lines) != want {
			t.Errorf("%d lines of the log have %q, want %d:\n%s", len(lines), text, want, strings.Join(lines, "\n"))
		}
	}
	if status := d.end(syscall.SIGTERM); status != 0 {
		t.Errorf("the server ended with %d", status)
	}
}

// traffic is a load of creates and takes on a fleet, and what became of every secret that was acknowledged.
type traffic struct {
	*fleet

	mu        sync.Mutex
	texts     map[string][32]byte // of every acknowledged secret, the hash of what must come
	open      []string            // acknowledged; nobody has tried to take them
	shaken    []string            // somebody has tried, and nobody got a byte
	delivered map[string]int      // how often bytes came
	broken    int                 // deliveries that were not whole
	refused   int                 // creates that were not acknowledged
	odd       int                 // of them, those with another status than 503
	slowest   time.Duration       // of these refusals

	stopping atomic.Bool
	done     sync.WaitGroup
}

// startTraffic begins a load of creators and of takers. A taker asks both servers for the same secret at once.
func startTraffic(f *fleet, each int) *traffic {
	l := &traffic{fleet: f, delivered: make(map[string]int), texts: make(map[string][32]byte)}
	for i := range each {
		l.done.Go(func() {
			for !l.stopping.Load() {
				began := time.Now()
				size := rand.IntN(2000)
				if rand.IntN(10) == 0 {
					size = 300_000 // which is written and read in pieces
				}
				body := storetest.Bytes(size + 1)
				id, status := l.create(i%2, body)
				l.note(func() {
					if status == http.StatusOK {
						l.open = append(l.open, id)
						l.texts[id] = sha256.Sum256([]byte(base64.StdEncoding.EncodeToString(body)))
						return
					}
					l.refused++
					if status != http.StatusServiceUnavailable {
						l.odd++
					}
					l.slowest = max(l.slowest, time.Since(began))
				})
				pause := 10 * time.Millisecond
				if status != http.StatusOK {
					pause = 50 * time.Millisecond
				}
				time.Sleep(pause)
			}
		})
		l.done.Go(func() {
			for !l.stopping.Load() {
				if id, ok := l.pick(); ok {
					l.contend(id)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	return l
}

func (l *traffic) note(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// pick takes a secret out of the open ones. Every third stays: it is never tried while the load runs.
func (l *traffic) pick() (id string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) < 10 || len(l.delivered)+len(l.shaken) > 2*len(l.open) {
		return "", false
	}
	i := rand.IntN(len(l.open))
	id = l.open[i]
	l.open[i] = l.open[len(l.open)-1]
	l.open = l.open[:len(l.open)-1]
	return id, true
}

// contend takes a secret through both servers at once.
func (l *traffic) contend(id string) {
	var both sync.WaitGroup
	var got atomic.Int64
	for i := range l.servers {
		both.Go(func() {
			if l.delivers(i, id) {
				got.Add(1)
			}
		})
	}
	both.Wait()
	l.note(func() {
		if n := int(got.Load()); n > 0 {
			l.delivered[id] += n
		} else {
			l.shaken = append(l.shaken, id)
		}
	})
}

// delivers takes a secret, and tells whether a byte of it came.
func (l *traffic) delivers(i int, id string) bool {
	text, status := l.take(i, id)
	if status != http.StatusOK || len(text) == 0 {
		return false
	}
	l.note(func() {
		if sha256.Sum256(text) != l.texts[id] {
			l.broken++
		}
	})
	return true
}

// finish ends the load, and checks that no secret was delivered twice, and that none that was acknowledged is lost. It
// reports what was counted, and what had happened meanwhile.
func (l *traffic) finish(what string) {
	l.t.Helper()
	l.stopping.Store(true)
	l.done.Wait()
	l.t.Helper()
	lost, twice := 0, 0
	for i, id := range l.open {
		if !l.delivers(i%2, id) {
			lost++
		}
	}
	lostShaken := l.lost()
	for id, times := range l.delivered {
		if times > 1 {
			twice++
		} else if l.delivers(rand.IntN(2), id) {
			twice++
		}
	}
	storetest.Report(l.t, "%s: %d secrets delivered, of them twice: %d, not whole: %d; %d acknowledged and not tried, of them "+
		"lost: %d; %d tried in vain, of them lost: %d; %d creates refused, the slowest after %s",
		what, len(l.delivered), twice, l.broken, len(l.open), lost, len(l.shaken), len(lostShaken), l.refused,
		l.slowest.Round(100*time.Millisecond))
	if twice+lost+len(lostShaken)+l.broken > 0 {
		l.t.Errorf("%d secrets were delivered twice, %d are lost, %d came broken", twice, lost+len(lostShaken), l.broken)
	}
	shown := 0
	for id, answer := range lostShaken {
		if shown++; shown > 5 {
			break
		}
		l.t.Logf("%s: %s", id, answer)
	}
	if l.odd > 0 {
		l.t.Errorf("%d creates were refused with another status than 503", l.odd)
	}
	if len(l.delivered) < 50 || len(l.open) < 20 {
		l.t.Error("too little has happened for the test to mean anything")
	}
}

// lost are those of the shaken secrets that cannot be taken, with the last answer. A claim that had no answer may still
// wait to be undone, so each is asked for again and again.
func (l *traffic) lost() map[string]string {
	left := make(map[string]string)
	for _, id := range l.shaken {
		left[id] = ""
	}
	for range 50 {
		for id := range left {
			i := rand.IntN(2)
			if l.delivers(i, id) {
				delete(left, id)
				continue
			}
			text, status := l.take(i, id)
			left[id] = fmt.Sprintf("%d %q", status, text)
		}
		if len(left) == 0 {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	return left
}

// serving waits until creates succeed on both servers.
func (f *fleet) serving() {
	f.t.Helper()
	for i := range f.servers {
		storetest.Eventually(f.t, "both servers create again", func() bool {
			_, status := f.create(i, []byte("still there?"))
			return status == http.StatusOK
		})
	}
}

const failovers = 20

func TestSentinelFailoversServeNothingTwiceAndLoseNothing(t *testing.T) {
	servers := valkeytest.WithSentinels(t)
	f := startFleet(t, servers.DSN())
	defer f.stop()
	l := startTraffic(f, 4)
	promoted := 0
	for i := range failovers {
		time.Sleep(time.Duration(300+rand.IntN(300)) * time.Millisecond)
		primary, replicas := servers.Primary(), servers.Replicas()
		if i%2 == 0 {
			primary.Kill()
		} else { // the replicas lag behind, and what is on its way to them is lost too
			for _, replica := range replicas {
				replica.Pause()
			}
			time.Sleep(400 * time.Millisecond)
			primary.Kill()
			for _, replica := range replicas {
				replica.Kill()
				replica.Start()
			}
		}
		servers.AwaitFailover(primary)
		promoted++
		f.serving()
		servers.Heal()
	}
	l.finish(fmt.Sprintf("%d Sentinel failovers", promoted))
}

func TestClusterFailoversServeNothingTwiceAndLoseNothing(t *testing.T) {
	cluster := valkeytest.NewCluster(t)
	f := startFleet(t, cluster.DSN())
	defer f.stop()
	l := startTraffic(f, 4)
	promoted := 0
	for i := range failovers {
		time.Sleep(time.Duration(300+rand.IntN(300)) * time.Millisecond)
		primaries := cluster.Primaries()
		primary := primaries[rand.IntN(len(primaries))]
		replica := cluster.ReplicaOf(primary)
		if i%2 == 0 {
			primary.Kill()
		} else { // the replica lags behind, and what is on its way to it is lost too
			replica.Pause()
			time.Sleep(400 * time.Millisecond)
			primary.Kill()
			replica.Kill()
			replica.Start()
		}
		storetest.Eventually(t, "the replica takes over", func() bool { return replica.Role() == "master" })
		promoted++
		cluster.Heal()
	}
	f.serving()
	l.finish(fmt.Sprintf("%d Cluster failovers", promoted))
}

func TestAPrimaryCutOffFromItsReplicasServesNothingThatTheNewOneServes(t *testing.T) {
	servers := valkeytest.WithSentinels(t)
	f := startFleet(t, servers.DSN())
	defer f.stop()
	l := startTraffic(f, 4)
	for range 5 {
		time.Sleep(500 * time.Millisecond)
		primary := servers.Primary()
		primary.Pause()
		servers.AwaitFailover(primary)
		primary.Resume() // it comes back as what it was, with what was sent to it in the meantime
		time.Sleep(time.Second)
		servers.Heal()
		f.serving()
	}
	l.finish("5 primaries paused until another was promoted")
}

func TestAPrimaryThatGoesOnAfterAPromotionServesNothingThatTheNewOneServes(t *testing.T) {
	servers := valkeytest.WithSentinels(t)
	f := startFleet(t, servers.DSN())
	defer f.stop()
	l := startTraffic(f, 4)
	for range 10 {
		time.Sleep(500 * time.Millisecond)
		primary := servers.Primary()
		servers.FailOver()
		servers.AwaitFailover(primary) // until the Sentinels reach it, it has a replica that confirms
		time.Sleep(time.Second)
		servers.Heal()
		f.serving()
	}
	l.finish("10 failovers of a primary that was well")
}

func TestKillingAServerOnValkeyLosesAndRepeatsNothing(t *testing.T) {
	crash(t, []string{"--redis-dsn", valkeytest.Standalone(t, nil).DSN()}, 30, syscall.SIGKILL, -1)
}

func TestValkeyAwayUnderLoadLosesNothing(t *testing.T) {
	server := valkeytest.Standalone(t, nil)
	f := startFleet(t, server.DSN())
	defer f.stop()
	for _, client := range f.clients {
		client.Timeout = time.Minute // or it would give up what it is in the middle of before Valkey is back
	}
	l := startTraffic(f, 4)
	for _, away := range []struct {
		name       string
		begin, end func()
		time       time.Duration
	}{
		{"stopped", server.Stop, server.Start, 30 * time.Second},
		{"killed", server.Kill, server.Start, time.Second},
		{"paused", server.Pause, server.Resume, 6 * time.Second},
		{"paused for a moment", server.Pause, server.Resume, time.Second},
	} {
		time.Sleep(time.Second)
		rest := f.beginTake()
		away.begin()
		var halfway sync.WaitGroup
		halfway.Go(rest)
		for until := time.Now().Add(away.time); time.Now().Before(until); time.Sleep(200 * time.Millisecond) {
			if away.time < 5*time.Second {
				continue // it may be over before it is noticed
			}
			for _, d := range f.servers {
				if status := d.status(api.SecretPath + "/6fa459ea-ee8a-4ca4-894e-db77e160355e"); status != http.StatusServiceUnavailable {
					t.Errorf("%s: a take gives %d", away.name, status)
				}
				if time.Until(until) < away.time/2 { // it has been noticed
					if status := d.status("/healthy"); status != http.StatusServiceUnavailable {
						t.Errorf("%s: /healthy gives %d", away.name, status)
					}
				}
			}
		}
		away.end()
		halfway.Wait()
		f.serving()
	}
	l.finish("Valkey away four times, for 38 s in all")
	for _, d := range f.servers {
		if d.status("/healthy") != http.StatusOK {
			t.Error("a server is not healthy in the end")
		}
		gone, back := len(d.logged("waiting for Valkey")), len(d.logged("Valkey is there"))
		if gone < 3 || gone > 5 || back != gone && back != gone+1 { // the first is at the start
			t.Errorf("the log says %d times that Valkey is away, and %d times that it is back", gone, back)
		}
	}
}

// beginTake takes the beginning of a secret that is larger than what connections hold, without a claimant's value. What it
// returns takes the rest, which must come.
func (f *fleet) beginTake() (rest func()) {
	f.t.Helper()
	ciphertext := storetest.Bytes(7 << 20)
	id, status := f.create(0, ciphertext)
	if status != http.StatusOK {
		f.t.Fatalf("creating gives %d", status)
	}
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err == nil {
				err = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
			}
			return conn, err
		},
	}}
	response, err := client.Get(f.servers[0].url + api.SecretPath + "/" + id)
	if err != nil {
		f.t.Fatal(err)
	}
	got := make([]byte, 1<<20)
	if _, err := io.ReadFull(response.Body, got); err != nil {
		f.t.Fatal(err)
	}
	return func() {
		defer client.CloseIdleConnections()
		defer response.Body.Close()
		more, err := io.ReadAll(response.Body)
		if got = append(got, more...); err != nil || string(got) != base64.StdEncoding.EncodeToString(ciphertext) {
			f.t.Errorf("%d bytes come: %v", len(got), err)
		}
	}
}

func TestAFullValkeyLosesNothing(t *testing.T) {
	server := valkeytest.Standalone(t, valkeytest.Settings{"maxmemory": "24mb"})
	f := startFleet(t, server.DSN())
	defer f.stop()
	for range 3 {
		var ids []string
		var bodies [][]byte
		full := 0
		for i := 0; full < 20; i++ {
			body := storetest.Bytes([]int{1000, 300_000, 1_000_000}[i%3])
			switch id, status := f.create(i%2, body); status {
			case http.StatusOK:
				ids, bodies = append(ids, id), append(bodies, body)
			case http.StatusInsufficientStorage:
				full++
			default:
				t.Fatalf("creating gives %d", status)
			}
		}
		if drafts := server.MustCommand("--scan", "--pattern", "hakanai:*draft*"); drafts != "" {
			t.Errorf("something is half stored: %s", drafts)
		}
		for i, id := range ids { // from the full store
			if text, status := f.take(i%2, id); status != http.StatusOK || len(text) != (len(bodies[i])+2)/3*4 {
				t.Fatalf("secret %d of %d gives %d and %d bytes", i, len(ids), status, len(text))
			}
		}
		t.Logf("%d secrets fitted", len(ids))
		if len(ids) < 20 {
			t.Error("too few secrets fitted for the test to mean anything")
		}
	}
	storetest.Eventually(t, "taken secrets leave nothing but tombstones", func() bool { // what is left goes after the answer
		for key := range strings.Lines(server.MustCommand("--scan")) {
			if !strings.Contains(key, ":gone:") && !strings.HasPrefix(key, "hakanai:{tokens}") {
				return false
			}
		}
		return true
	})
}

func TestUnsafeSettingsOfValkeyAreNamed(t *testing.T) {
	// Valkey's own defaults, which bring back a secret that was taken.
	server := valkeytest.Standalone(t, valkeytest.Settings{"appendonly": "no", "save": "3600 1"})
	d := startServe(t, []string{"--redis-dsn", server.DSN()})
	d.awaitReady()
	storetest.Eventually(t, "the first token is printed", func() bool { return len(d.logged("hakanai send")) == 1 })
	if lines := d.logged("brings back secrets"); len(lines) != 1 {
		t.Errorf("there is no warning:\n%s", strings.Join(d.notable(), "\n"))
	}
	id, _ := d.create(http.DefaultClient, d.token, []byte("not gone"))
	server.MustCommand("SAVE")
	if _, status := d.take(http.DefaultClient, id); status != http.StatusOK {
		t.Fatalf("taking gives %d", status)
	}
	server.Kill()
	server.Start()
	d.awaitReady()
	if _, status := d.take(http.DefaultClient, id); status != http.StatusOK {
		t.Errorf("the warning is wrong: taking again after a restart gives %d", status)
	}
	d.end(syscall.SIGTERM)

	server = valkeytest.Standalone(t, valkeytest.Settings{"maxmemory-policy": "allkeys-lru", "maxmemory": "100mb"})
	strict := startServe(t, []string{"--redis-dsn", server.DSN(), "--strict-store-check"})
	_ = strict.cmd.Wait()
	if status := strict.cmd.ProcessState.ExitCode(); status != 1 {
		t.Errorf("with --strict-store-check the server ends with %d", status)
	}
	if len(strict.logged("allkeys-lru removes secrets")) != 1 || len(strict.logged("without --strict-store-check")) != 1 {
		t.Errorf("it does not say why:\n%s", strings.Join(strict.notable(), "\n"))
	}
}

func TestASafeValkeyIsNotWarnedAbout(t *testing.T) {
	server := valkeytest.Standalone(t, nil)
	d := startServe(t, []string{"--redis-dsn", server.DSN(), "--strict-store-check"})
	d.awaitReady()
	if lines := d.logged(`"level":"warn"`); len(lines) != 0 {
		t.Errorf("there are warnings:\n%s", strings.Join(lines, "\n"))
	}
	d.end(syscall.SIGTERM)
}

func TestMemoryDoesNotGrowWithSecretsOnValkey(t *testing.T) {
	// While it rewrites its file, its disk may keep a server waiting for longer than that waits.
	f := startFleet(t, valkeytest.Standalone(t, valkeytest.Settings{"auto-aof-rewrite-percentage": "0"}).DSN())
	defer f.stop()
	f.servers[0].awaitReady()
	idle := f.servers[0].peakMemory()
	const size = 8 << 20
	body := createBody(size, "")
	var ids [32]string
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			status := 0
			if ids[i], status = f.servers[0].post(f.clients[0], f.token, body); status != http.StatusOK {
				t.Errorf("creating gives %d", status)
			}
		})
	}
	all.Wait()
	up := f.servers[0].peakMemory() - idle
	for i := range ids {
		all.Go(func() {
			if text, status := f.take(0, ids[i]); status != http.StatusOK || len(text) != base64.StdEncoding.EncodedLen(size) {
				t.Errorf("taking gives %d and %d bytes", status, len(text))
			}
		})
	}
	all.Wait()
	down := f.servers[0].peakMemory() - idle
	t.Logf("above idle: %d MiB after 32 uploads of 8 MiB at once, %d MiB after the downloads", up>>20, down>>20)
	if down > 64<<20 {
		t.Errorf("%d MiB above idle", down>>20)
	}
}
