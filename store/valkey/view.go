package valkey

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/valkey-io/valkey-go"
)

// view is who is written to, and how many replicas may be promoted in its place. All of them must confirm what may not
// be lost: after a promotion, the old primary and its other replicas may go on for a while without knowing of it.
type view struct {
	shards []shard
}

// shard is one primary. Outside a Cluster there is one, which has all slots.
type shard struct {
	first, last uint16 // slots
	primary     string // HOST:PORT, as the client knows it
	promotable  int    // replicas
}

const lastSlot = 16383

// one is the view of what is no Cluster.
func one(primary string, promotable int) view {
	return view{[]shard{{0, lastSlot, primary, promotable}}}
}

// of finds the shard of a slot.
func (v view) of(slot uint16) (shard, bool) {
	if len(v.shards) == 1 {
		return v.shards[0], true
	}
	for _, s := range v.shards {
		if s.first <= slot && slot <= s.last {
			return s, true
		}
	}
	return shard{}, false
}

// replicated tells whether there is any replica.
func (v view) replicated() bool {
	return slices.ContainsFunc(v.shards, func(s shard) bool { return s.promotable > 0 })
}

var errOddSlots = errors.New("it answers CLUSTER SLOTS in a way that is not known")

// readSlots reads the answer to CLUSTER SLOTS. It leaves out replicas that have failed.
func readSlots(slots []valkey.ValkeyMessage, asked string) (v view, err error) {
	for _, message := range slots {
		entry, err := message.ToArray()
		if err != nil || len(entry) < 3 {
			return view{}, errOddSlots
		}
		first, err1 := entry[0].AsInt64()
		last, err2 := entry[1].AsInt64()
		primary, err3 := entry[2].ToArray()
		if errors.Join(err1, err2, err3) != nil || len(primary) < 2 || first < 0 || last > lastSlot {
			return view{}, errOddSlots
		}
		port, err := primary[1].AsInt64()
		if err != nil {
			return view{}, errOddSlots
		}
		host, err := primary[0].ToString()
		if err != nil || host == "" { // a node that does not know its own name is meant as it was asked
			host, _, _ = net.SplitHostPort(asked)
		}
		v.shards = append(v.shards, shard{
			uint16(first), uint16(last), net.JoinHostPort(host, strconv.FormatInt(port, 10)), len(entry) - 3,
		})
	}
	return v, nil
}

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
	options := s.dsn.options()
	sentinel := options.Sentinel
	client, err := valkey.NewClient(valkey.ClientOption{
		InitAddress: []string{address}, ForceSingleClient: true, Dialer: sentinel.Dialer, TLSConfig: sentinel.TLSConfig,
		Username: sentinel.Username, Password: sentinel.Password, ClientName: clientName,
		ClientSetInfo: valkey.DisableClientSetInfo, DisableCache: true, DisableRetry: true,
		ReadBufferEachConn: sentinelBuffer, WriteBufferEachConn: sentinelBuffer, ConnWriteTimeout: unanswered,
	})
	if err != nil {
		if client != nil {
			client.Close()
		}
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
