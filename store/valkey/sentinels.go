package valkey

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/valkey-io/valkey-go"
)

// sentinels asks all Sentinels of the DSN what they think.
type sentinels struct {
	dsn *DSN

	mu      sync.Mutex
	clients map[string]valkey.Client // by address, for those that were reached
}

func newSentinels(dsn *DSN) *sentinels {
	return &sentinels{dsn: dsn, clients: make(map[string]valkey.Client)}
}

// opinion is what Sentinels think.
type opinion struct {
	primary string
	// replicas are the addresses of those that may be promoted, as far as the Sentinels know, with whether they were in
	// touch with the primary when the Sentinels last looked, which is up to ten seconds ago.
	replicas map[string]bool
	most     bool // most of the Sentinels have answered
}

var errSentinelsSilent = errors.New("no Sentinel answers")

// ask asks every Sentinel. The primary is the one that most of those call so that answer, and a replica is one that may
// be promoted if any of them thinks so.
// Errors: the refusal of a Sentinel; errSentinelsSilent.
func (s *sentinels) ask(ctx context.Context) (opinion, error) {
	type answer struct {
		opinion
		err error
	}
	answers := make(chan answer, len(s.dsn.addresses))
	for _, address := range s.dsn.addresses {
		go func() {
			o, err := s.askOne(ctx, address)
			answers <- answer{o, err}
		}()
	}
	err := errSentinelsSilent
	opinions, votes, answered := make(map[string]opinion), make(map[string]int), 0
	for range s.dsn.addresses {
		a := <-answers
		if a.err != nil {
			if _, refused := valkey.IsValkeyErr(a.err); refused {
				err = a.err
			}
			continue
		}
		answered++
		votes[a.primary]++
		if o, ok := opinions[a.primary]; ok {
			for replica, linked := range o.replicas {
				a.replicas[replica] = a.replicas[replica] || linked
			}
		}
		opinions[a.primary] = a.opinion
	}
	var most opinion
	for primary, o := range opinions {
		if n := votes[primary]; n > votes[most.primary] || n == votes[most.primary] && primary < most.primary {
			most = o
		}
	}
	if answered == 0 {
		return most, err
	}
	most.most = 2*answered > len(s.dsn.addresses)
	return most, nil
}

func (s *sentinels) askOne(ctx context.Context, address string) (o opinion, err error) {
	client, err := s.client(address)
	if err != nil {
		return o, err
	}
	results := client.DoMulti(ctx,
		client.B().SentinelGetMasterAddrByName().Master(s.dsn.master).Build(),
		client.B().SentinelReplicas().Master(s.dsn.master).Build())
	primary, err := results[0].AsStrSlice()
	if err != nil {
		return o, err
	}
	if len(primary) != 2 {
		return o, errors.New("a Sentinel names the primary in a way that is not known")
	}
	o = opinion{primary: net.JoinHostPort(primary[0], primary[1]), replicas: make(map[string]bool)}
	replicas, err := results[1].ToArray()
	if err != nil {
		return o, err
	}
	for _, message := range replicas {
		replica, err := message.AsStrMap()
		if err != nil {
			return o, err
		}
		flags := strings.Split(replica["flags"], ",")
		if replica["slave-priority"] != "0" && !slices.Contains(flags, "s_down") && !slices.Contains(flags, "o_down") {
			o.replicas[net.JoinHostPort(replica["ip"], replica["port"])] = replica["master-link-status"] == "ok"
		}
	}
	return o, nil
}

// client returns the client of one Sentinel, which is connected when it is used for the first time.
func (s *sentinels) client(address string) (valkey.Client, error) {
	s.mu.Lock()
	client := s.clients[address]
	s.mu.Unlock()
	if client != nil {
		return client, nil
	}
	sentinel := s.dsn.options().Sentinel
	client, err := newSmallClient(valkey.ClientOption{
		InitAddress: []string{address}, Dialer: sentinel.Dialer, TLSConfig: sentinel.TLSConfig,
		Username: sentinel.Username, Password: sentinel.Password,
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients[address] = client
	return client, nil
}

func (s *sentinels) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, client := range s.clients {
		client.Close()
	}
	clear(s.clients)
}
