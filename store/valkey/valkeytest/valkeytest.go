//go:build unix

// Package valkeytest runs real Valkey servers (or Redis 7) for tests: alone, with TLS and users, with replicas and
// Sentinels, and as a Cluster. They listen on free ports of the loopback interface, keep their files in the test's own
// directory, and end with the test.
package valkeytest

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hakanai/store/storetest"
)

// Settings are those of a server's configuration file. An empty value leaves a default of this package out.
type Settings map[string]string

// defaults keep the store's promises, as the documentation tells operators.
func defaults() Settings {
	return Settings{
		"appendonly":               "yes",
		"appendfsync":              "always",
		"save":                     `""`,
		"maxmemory-policy":         "noeviction",
		"repl-diskless-sync-delay": "0",
		"repl-timeout":             "60",
	}
}

// Server is a process, which can be killed, paused and started again.
type Server struct {
	Port int
	Dir  string

	tb       testing.TB
	sentinel bool

	mu      sync.Mutex
	process *os.Process
	ended   chan struct{}
	log     []string // the last lines of it
}

// logLines is how many lines of a server's log are shown when its test fails.
const logLines = 60

// Address is where the server listens.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// Socket is the path of the server's unix socket.
func (s *Server) Socket() string { return filepath.Join(s.Dir, "socket") }

// Standalone starts one server. Its DSN is redis://ADDRESS.
func Standalone(tb testing.TB, settings Settings) *Server {
	tb.Helper()
	return newServer(tb, settings, false)
}

// DSN is that of a server alone, without TLS or users.
func (s *Server) DSN() string { return "redis://" + s.Address() }

func newServer(tb testing.TB, settings Settings, sentinel bool) *Server {
	tb.Helper()
	s := &Server{tb: tb, Dir: shortTempDir(tb), sentinel: sentinel}
	tb.Cleanup(func() {
		s.Kill()
		if tb.Failed() {
			tb.Logf("the log of %s:\n%s", s.Address(), s.lastLog())
		}
	})
	var err error
	for range 5 { // somebody else may take the port before the server does
		s.configure(settings)
		if err = s.TryStart(); err == nil {
			return s
		}
	}
	tb.Fatal(err)
	return nil
}

// configure writes a configuration file, with a port that is free just now.
func (s *Server) configure(settings Settings) {
	s.Port = FreePort(s.tb)
	all := Settings{}
	if !s.sentinel {
		all = defaults()
	}
	maps.Copy(all, settings)
	lines := []string{
		"bind 127.0.0.1", "dir " + s.Dir, "daemonize no", "logfile \"\"",
		"unixsocket " + s.Socket(),
	}
	if all["tls-port"] != "" { // the value is where the port goes
		all["tls-port"] = strconv.Itoa(s.Port)
		lines = append(lines, "port 0")
	} else {
		lines = append(lines, "port "+strconv.Itoa(s.Port))
	}
	if all["cluster-enabled"] == "yes" {
		all["cluster-port"] = strconv.Itoa(FreePort(s.tb))
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, value := range strings.Split(all[name], "\n") { // several lines of one name
			if value != "" {
				lines = append(lines, name+" "+value)
			}
		}
	}
	if err := os.WriteFile(s.configuration(), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		s.tb.Fatal(err)
	}
}

func (s *Server) configuration() string { return filepath.Join(s.Dir, "server.conf") }

// Start starts the process, and waits until it takes commands.
func (s *Server) Start() {
	s.tb.Helper()
	if err := s.TryStart(); err != nil {
		s.tb.Fatal(err)
	}
}

// TryStart is Start for any goroutine.
func (s *Server) TryStart() error {
	args := []string{s.configuration()}
	if s.sentinel {
		args = append(args, "--sentinel")
	}
	command := exec.Command(Program(s.tb, "server"), args...)
	bound(command)
	output, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	command.Stderr = command.Stdout
	if err := command.Start(); err != nil {
		return err
	}
	ready, ended := make(chan bool, 1), make(chan struct{})
	go func() {
		lines := bufio.NewScanner(output)
		for lines.Scan() {
			line := lines.Text()
			s.mu.Lock()
			s.log = append(s.log[max(0, len(s.log)-logLines+1):], line)
			s.mu.Unlock()
			if strings.Contains(line, "eady to accept connections") || strings.Contains(line, "Sentinel ID is") {
				select {
				case ready <- true:
				default:
				}
			}
		}
		_, _ = io.Copy(io.Discard, output)
		_ = command.Wait()
		close(ended)
	}()
	s.mu.Lock()
	s.process, s.ended = command.Process, ended
	s.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-ended:
		return fmt.Errorf("the server ended at its start:\n%s", s.lastLog())
	case <-time.After(30 * time.Second):
		return errors.New("the server is not ready after 30 s")
	}
}

func (s *Server) lastLog() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log, "\n")
}

// Kill ends the process at once, as a power cut would. It can be started again.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Stop ends the process in order.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

func (s *Server) end(signal os.Signal) {
	s.mu.Lock()
	process, ended := s.process, s.ended
	s.process = nil
	s.mu.Unlock()
	if process == nil {
		return
	}
	_ = process.Signal(signal)
	_ = process.Signal(syscall.SIGCONT) // a paused one cannot end in order
	<-ended
}

// Pause stops the process where it is, as a stalled machine would. Resume lets it go on.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume ends a pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		s.tb.Fatal("the server does not run")
	}
	if err := s.process.Signal(signal); err != nil {
		s.tb.Fatal(err)
	}
}

// Running tells whether the process is there.
func (s *Server) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process != nil
}

// Command sends one command, its words separated by spaces, and returns the reply as the command line tool prints it.
func (s *Server) Command(words ...string) (string, error) { return s.ask("", words...) }

// ask is Command with standard input: lines of commands that one connection sends, where there are no words.
func (s *Server) ask(input string, words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, Program(s.tb, "cli"), append([]string{"-s", s.Socket()}, words...)...)
	command.Stdin = strings.NewReader(input)
	out, err := command.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// MustCommand is Command for what has to succeed.
func (s *Server) MustCommand(words ...string) string {
	s.tb.Helper()
	out, err := s.Command(words...)
	if err != nil || strings.HasPrefix(out, "ERR") || strings.HasPrefix(out, "(error)") {
		s.tb.Fatalf("%s: %s (%v)", strings.Join(words, " "), out, err)
	}
	return out
}

// Program finds Valkey's or Redis' program of a kind: server or cli.
func Program(tb testing.TB, kind string) string {
	for _, name := range []string{"valkey-", "redis-"} {
		if path, err := exec.LookPath(name + kind); err == nil {
			return path
		}
	}
	tb.Fatal("valkey-" + kind + " is missing; install valkey-server (8) or redis-server (7)")
	return ""
}

// FreePort finds a port that nobody listens on, outside the range that outgoing connections use.
func FreePort(tb testing.TB) int {
	for range 1000 {
		port := 10000 + mathrand.IntN(22000)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		_ = listener.Close()
		return port
	}
	tb.Fatal("no port is free")
	return 0
}

// shortTempDir makes a directory whose path is short enough for a unix socket in it.
func shortTempDir(tb testing.TB) string {
	dir, err := os.MkdirTemp("", "valkey")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TLS is a server that speaks TLS alone, and lets in one user alone, who may do what the store needs and no more.
type TLS struct {
	*Server
	CA, Cert, Key  string // PEM files; Cert is for clients too
	Name           string // that is in the certificate, besides the address
	User, Password string
}

// Permissions are those that the store needs, as an ACL rule.
const Permissions = "~hakanai:* resetchannels -@all +hello +auth +ping +client|setname +select +role +time " +
	"+config|get +cluster|slots +cluster|shards +cluster|info +evalsha +eval +wait +waitaof +get +pttl +hget +hset +hmget " +
	"+hdel +hlen +hexists +hincrby +hsetnx +exists +set +del +unlink +rename +pexpire +pexpireat +pexpiretime +zadd +zrem " +
	"+zrange +zrangebyscore +zremrangebyscore +zcard +zcount +incr +decr"

// SentinelPermissions are those that it needs at a Sentinel.
const SentinelPermissions = "resetchannels &* -@all +hello +auth +ping +client|setname +subscribe +psubscribe +unsubscribe +punsubscribe " +
	"+sentinel|sentinels +sentinel|replicas +sentinel|get-master-addr-by-name"

// StandaloneTLS starts one.
func StandaloneTLS(tb testing.TB, settings Settings) *TLS {
	tb.Helper()
	ca, cert, key := certificates(tb, tb.TempDir())
	t := &TLS{CA: ca, Cert: cert, Key: key, Name: serverName, User: "hakanai", Password: "p@ss/word?#:%"}
	all := Settings{
		"tls-port": "yes", "tls-cert-file": cert, "tls-key-file": key, "tls-ca-cert-file": ca, "tls-auth-clients": "no",
		"user": "default off\n" + t.User + " on >" + t.Password + " " + Permissions +
			"\nadmin on nopass ~* +@all",
	}
	maps.Copy(all, settings)
	t.Server = newServer(tb, all, false)
	return t
}

// DSN is that of the user, with the authority.
func (t *TLS) DSN() string {
	return "rediss://" + url.UserPassword(t.User, t.Password).String() + "@" + t.Address() + "?ca=" + t.CA
}

const serverName = "valkey.test"

// certificates makes an authority and a certificate for 127.0.0.1 and serverName.
func certificates(tb testing.TB, dir string) (ca, cert, key string) {
	tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{serverName},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		tb.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			tb.Fatal(err)
		}
		return path
	}
	cert = write("cert.pem", "CERTIFICATE", der)
	return cert, cert, write("key.pem", "PRIVATE KEY", keyDER)
}

// WithReplica starts a server with a replica, and nobody to promote that.
func WithReplica(tb testing.TB) (primary, replica *Server) {
	tb.Helper()
	primary = newServer(tb, nil, false)
	replica = newServer(tb, Settings{"replicaof": "127.0.0.1 " + strconv.Itoa(primary.Port)}, false)
	storetest.Eventually(tb, "the replica confirms what is written", func() bool { return primary.confirmed(1) && replica.settled() })
	return primary, replica
}

// Replicated is a primary with replicas, watched by three Sentinels.
type Replicated struct {
	Servers   []*Server // which of them is the primary changes
	Sentinels []*Server
	tb        testing.TB
}

// MasterName is what the Sentinels call the primary.
const MasterName = "main"

// WithSentinels starts a primary with two replicas and three Sentinels.
func WithSentinels(tb testing.TB) *Replicated {
	tb.Helper()
	r := &Replicated{tb: tb}
	primary := newServer(tb, nil, false)
	r.Servers = append(r.Servers, primary)
	for range 2 {
		r.Servers = append(r.Servers, newServer(tb, Settings{"replicaof": "127.0.0.1 " + strconv.Itoa(primary.Port)}, false))
	}
	r.awaitReplicas()
	for range 3 {
		r.Sentinels = append(r.Sentinels, newServer(tb, Settings{
			"sentinel": fmt.Sprintf("monitor %s 127.0.0.1 %d 2\ndown-after-milliseconds %[1]s 1000\nfailover-timeout %[1]s 3000\n"+
				"parallel-syncs %[1]s 2", MasterName, primary.Port),
		}, true))
	}
	storetest.Eventually(tb, "the Sentinels know each other and both replicas", func() bool {
		for _, sentinel := range r.Sentinels {
			out, _ := sentinel.Command("SENTINEL", "MASTER", MasterName)
			if !strings.Contains(out, "num-other-sentinels\n2") || !strings.Contains(out, "num-slaves\n2") {
				return false
			}
		}
		return true
	})
	return r
}

// DSN names the Sentinels.
func (r *Replicated) DSN() string {
	addresses := make([]string, 0, len(r.Sentinels))
	for _, sentinel := range r.Sentinels {
		addresses = append(addresses, sentinel.Address())
	}
	return "redis://" + strings.Join(addresses, ",") + "/0?master=" + MasterName
}

// Primary is the server that most Sentinels call the primary.
func (r *Replicated) Primary() *Server {
	votes := make(map[string]int)
	for _, sentinel := range r.Sentinels {
		out, _ := sentinel.Command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MasterName)
		votes[out]++
	}
	for _, server := range r.Servers {
		if votes[fmt.Sprintf("127.0.0.1\n%d", server.Port)] >= 2 {
			return server
		}
	}
	return nil
}

// Replicas are all servers but the primary.
func (r *Replicated) Replicas() []*Server {
	primary := r.Primary()
	return slices.DeleteFunc(slices.Clone(r.Servers), func(s *Server) bool { return s == primary })
}

// AwaitFailover waits until another server than the old one is the primary, and says so itself.
func (r *Replicated) AwaitFailover(old *Server) *Server {
	r.tb.Helper()
	var primary *Server
	storetest.Eventually(r.tb, "a replica becomes the primary", func() bool {
		primary = r.Primary()
		return primary != nil && primary != old && primary.Role() == "master"
	})
	return primary
}

// Role is what the server says it is: master, slave, or nothing when it does not answer.
func (s *Server) Role() string {
	out, err := s.Command("ROLE")
	if err != nil {
		return ""
	}
	role, _, _ := strings.Cut(out, "\n")
	return role
}

// FailOver makes the Sentinels promote a replica though the primary is well: it goes on until they reach it.
func (r *Replicated) FailOver() {
	r.tb.Helper()
	storetest.Eventually(r.tb, "a Sentinel begins a failover", func() bool {
		out, err := r.Sentinels[mathrand.IntN(len(r.Sentinels))].Command("SENTINEL", "FAILOVER", MasterName)
		return err == nil && out == "OK"
	})
}

// Heal starts what is down, and waits until the primary has all the others as replicas and the Sentinels agree on it.
// Sentinels make a primary that has come back a replica too, but only after ten seconds: Heal does it at once.
func (r *Replicated) Heal() {
	r.tb.Helper()
	for _, server := range slices.Concat(r.Servers, r.Sentinels) {
		if !server.Running() {
			server.Start()
		}
	}
	storetest.Eventually(r.tb, "the Sentinels agree on a primary, and the others are its replicas", func() bool {
		primary := r.agreed()
		if primary == nil || primary.Role() != "master" {
			return false
		}
		for _, server := range r.Servers {
			if server != primary && server.Role() == "master" {
				_, _ = server.Command("REPLICAOF", "127.0.0.1", strconv.Itoa(primary.Port))
			}
		}
		return r.replicating() && r.agreed() == primary
	})
}

// agreed is the server that all Sentinels call the primary, if they see it and its replicas well, and change nothing.
func (r *Replicated) agreed() *Server {
	var primary string
	for _, sentinel := range r.Sentinels {
		out, _ := sentinel.Command("SENTINEL", "MASTER", MasterName)
		replicas, _ := sentinel.Command("SENTINEL", "REPLICAS", MasterName)
		lines := strings.Split(out, "\n")
		value := func(name string) string {
			if i := slices.Index(lines, name); i >= 0 && i+1 < len(lines) {
				return lines[i+1]
			}
			return ""
		}
		port := value("port")
		if value("flags") != "master" || strings.Count(replicas, "flags\nslave\n") != len(r.Servers)-1 ||
			primary != "" && primary != port {
			return nil
		}
		primary = port
	}
	for _, server := range r.Servers {
		if strconv.Itoa(server.Port) == primary {
			return server
		}
	}
	return nil
}

func (r *Replicated) awaitReplicas() {
	r.tb.Helper()
	storetest.Eventually(r.tb, "one primary has all the others as replicas", r.replicating)
}

// settled tells whether what a server has in memory is on its disk. After a replica has been synchronised anew it is not,
// for a while: until its file is rewritten, a restart takes it back to what it had before.
func (s *Server) settled() bool {
	out, _ := s.Command("INFO", "persistence")
	return strings.Contains(out, "aof_rewrite_in_progress:0") && strings.Contains(out, "aof_rewrite_scheduled:0")
}

// confirmed tells whether so many replicas have what a server writes now. A primary sends nothing to one that it calls
// online until that has acknowledged what it began with, which may be a second later. Forgetting all functions, of which
// there are none, is a write that needs no key: any primary of a Cluster does it.
func (s *Server) confirmed(replicas int) bool {
	out, err := s.ask(fmt.Sprintf("FUNCTION FLUSH\nWAIT %d 2000\n", replicas))
	return err == nil && out == fmt.Sprintf("OK\n%d", replicas)
}

// replicating tells whether one server is a primary, and the others its replicas and up to date.
func (r *Replicated) replicating() bool {
	var primaries []*Server
	for _, server := range r.Servers {
		out, _ := server.Command("INFO", "replication")
		if strings.Contains(out, "role:master") {
			primaries = append(primaries, server)
		} else if !strings.Contains(out, "master_link_status:up") || !server.settled() {
			return false
		}
	}
	return len(primaries) == 1 && primaries[0].confirmed(len(r.Servers)-1)
}

// Cluster is three primaries with a replica each.
type Cluster struct {
	Servers []*Server
	tb      testing.TB
}

// NewCluster starts one.
func NewCluster(tb testing.TB) *Cluster {
	tb.Helper()
	c := &Cluster{tb: tb}
	args := []string{"--cluster", "create"}
	for range 6 {
		server := newServer(tb, Settings{
			"cluster-enabled": "yes", "cluster-node-timeout": "1000", "cluster-replica-validity-factor": "0",
		}, false)
		c.Servers = append(c.Servers, server)
		args = append(args, server.Address())
	}
	args = append(args, "--cluster-replicas", "1", "--cluster-yes")
	if out, err := exec.Command(Program(tb, "cli"), args...).CombinedOutput(); err != nil {
		tb.Fatalf("making the Cluster: %v\n%s", err, out)
	}
	c.awaitWell()
	return c
}

// DSN names all nodes.
func (c *Cluster) DSN() string {
	addresses := make([]string, 0, len(c.Servers))
	for _, server := range c.Servers {
		addresses = append(addresses, server.Address())
	}
	return "redis://" + strings.Join(addresses, ",")
}

// Primaries are the nodes that are written to now.
func (c *Cluster) Primaries() (primaries []*Server) {
	for _, server := range c.Servers {
		if server.Role() == "master" {
			primaries = append(primaries, server)
		}
	}
	return primaries
}

// ReplicaOf is the node that stands in for a primary.
func (c *Cluster) ReplicaOf(primary *Server) *Server {
	c.tb.Helper()
	for _, server := range c.Servers {
		out, _ := server.Command("ROLE")
		if strings.HasPrefix(out, "slave\n") && strings.Contains(out, "\n"+strconv.Itoa(primary.Port)+"\n") {
			return server
		}
	}
	c.tb.Fatalf("%s has no replica", primary.Address())
	return nil
}

// Heal starts what is down, and waits until all is well.
func (c *Cluster) Heal() {
	c.tb.Helper()
	for _, server := range c.Servers {
		if !server.Running() {
			server.Start()
		}
	}
	c.awaitWell()
}

// awaitWell waits until every node says that the Cluster is well, and each of three primaries has its replica.
func (c *Cluster) awaitWell() {
	c.tb.Helper()
	storetest.Eventually(c.tb, "the Cluster is well", func() bool {
		primaries := 0
		for _, server := range c.Servers {
			state, _ := server.Command("CLUSTER", "INFO")
			if !strings.Contains(state, "cluster_state:ok") || !strings.Contains(state, "cluster_known_nodes:6") {
				return false
			}
			replication, _ := server.Command("INFO", "replication")
			switch {
			case strings.Contains(replication, "role:master") && server.confirmed(1):
				primaries++
			case strings.Contains(replication, "master_link_status:up") && server.settled():
			default:
				return false
			}
		}
		return primaries == 3
	})
}
