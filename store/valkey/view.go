package valkey

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/valkey-io/valkey-go"
)

// view is who is written to, and how many replicas must confirm what may not be lost: all that may be promoted. After a
// promotion, the old primary and its other replicas may go on for a while without knowing of it.
type view struct {
	shards []shard
}

// shard is one primary. Outside a Cluster there is one, which has all slots.
type shard struct {
	first, last uint16 // slots
	primary     string // HOST:PORT, as the client knows it
	confirming  int    // replicas
	volatile    int    // of them, those that can confirm what is in their memory and no more
}

const lastSlot = 16383

// one is the view of what is no Cluster.
func one(primary string, confirming, volatile int) view {
	return view{[]shard{{0, lastSlot, primary, confirming, volatile}}}
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
	return slices.ContainsFunc(v.shards, func(s shard) bool { return s.confirming > 0 })
}

// nodeAnswer is what one node of a Cluster says.
type nodeAnswer struct {
	shards   []shard             // without what must be confirmed
	replicas map[string][]string // of each primary, those that have not failed, and those that are online at it
	online   map[string]bool     // replicas of the node itself
	err      error
}

var (
	errNoNode   = errors.New("no node of the Cluster is known")
	errOddSlots = errors.New("it answers CLUSTER SLOTS in a way that is not known")
)

// askNode asks one node of a Cluster.
func askNode(ctx context.Context, node valkey.Client, address string) (a nodeAnswer) {
	results := node.DoMulti(ctx, node.B().ClusterInfo().Build(), node.B().ClusterSlots().Build(), node.B().Role().Build())
	info, err := results[0].ToString()
	if err != nil {
		return nodeAnswer{err: err}
	}
	if !strings.Contains(info, "cluster_state:ok") {
		return nodeAnswer{err: errors.New("the Cluster says that it is not well")}
	}
	slots, err := results[1].ToArray()
	if err != nil {
		return nodeAnswer{err: err}
	}
	if a = readSlots(slots, address); a.err != nil {
		return a
	}
	role, err := results[2].ToArray()
	if err != nil {
		return nodeAnswer{err: err}
	}
	if len(role) == 3 { // of a primary
		connected, err := role[2].ToArray()
		if err != nil {
			return nodeAnswer{err: errOddRole}
		}
		if a.online, err = readReplicas(connected); err != nil {
			return nodeAnswer{err: err}
		}
		a.replicas[address] = slices.AppendSeq(a.replicas[address], maps.Keys(a.online))
	}
	return a
}

// readSlots reads the answer to CLUSTER SLOTS. It leaves out replicas that have failed.
func readSlots(slots []valkey.ValkeyMessage, asked string) nodeAnswer {
	a := nodeAnswer{replicas: make(map[string][]string)}
	for _, message := range slots {
		entry, err := message.ToArray()
		if err != nil || len(entry) < 3 {
			return nodeAnswer{err: errOddSlots}
		}
		first, err1 := entry[0].AsInt64()
		last, err2 := entry[1].AsInt64()
		if errors.Join(err1, err2) != nil || first < 0 || last > lastSlot {
			return nodeAnswer{err: errOddSlots}
		}
		addresses := make([]string, 0, len(entry)-2) // of the primary, and of its replicas
		for _, node := range entry[2:] {
			address, err := readNode(node, asked)
			if err != nil {
				return nodeAnswer{err: err}
			}
			addresses = append(addresses, address)
		}
		a.shards = append(a.shards, shard{first: uint16(first), last: uint16(last), primary: addresses[0]})
		a.replicas[addresses[0]] = append(a.replicas[addresses[0]], addresses[1:]...)
	}
	return a
}

// readNode reads the address of a node. One that does not know its own name is meant as it was asked.
func readNode(message valkey.ValkeyMessage, asked string) (string, error) {
	node, err := message.ToArray()
	if err != nil || len(node) < 2 {
		return "", errOddSlots
	}
	port, err := node[1].AsInt64()
	if err != nil {
		return "", errOddSlots
	}
	host, err := node[0].ToString()
	if err != nil || host == "" {
		host, _, _ = net.SplitHostPort(asked)
	}
	return net.JoinHostPort(host, strconv.FormatInt(port, 10)), nil
}

// merge makes one view of what several nodes say. They may not all have heard of the last change: every replica that
// anybody knows of must confirm.
func merge(answers []nodeAnswer, settings *replicas) view {
	known := make(map[string]map[string]bool)
	for _, a := range answers {
		for primary, replicas := range a.replicas {
			if known[primary] == nil {
				known[primary] = make(map[string]bool)
			}
			for _, replica := range replicas {
				known[primary][replica] = true
			}
		}
	}
	v := view{slices.Clone(answers[0].shards)}
	for i, s := range v.shards {
		v.shards[i].confirming = len(known[s.primary])
		v.shards[i].volatile = settings.volatile(known[s.primary])
	}
	return v
}
