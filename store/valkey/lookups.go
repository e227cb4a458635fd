package valkey

import (
	"sync"

	"hakanai/store"
)

// lookups let those who look the same token up at the same time share a question to Valkey. Nobody gets the answer to one
// that was asked before they came: a token that has just been removed is known no more, to whoever comes then.
type lookups struct {
	mu      sync.Mutex
	waiting map[string]*lookup // not asked yet: who comes may join
	asked   map[string]*lookup // the last that was
}

// lookup is one question.
type lookup struct {
	done  chan struct{} // closed when there is an answer
	token store.Token
	err   error
}

func newLookups() *lookups {
	return &lookups{waiting: make(map[string]*lookup), asked: make(map[string]*lookup)}
}

// share joins the question that waits for the one before it to be answered, or asks one.
func (l *lookups) share(key string, ask func() (store.Token, error)) (store.Token, error) {
	l.mu.Lock()
	mine, joined := l.waiting[key]
	if joined {
		l.mu.Unlock()
		<-mine.done
		return mine.token, mine.err
	}
	mine = &lookup{done: make(chan struct{})}
	if before := l.asked[key]; before != nil {
		l.waiting[key] = mine
		l.mu.Unlock()
		<-before.done
		l.mu.Lock()
		delete(l.waiting, key)
	}
	l.asked[key] = mine
	l.mu.Unlock()

	mine.token, mine.err = ask()
	l.mu.Lock()
	if l.asked[key] == mine {
		delete(l.asked, key)
	}
	l.mu.Unlock()
	close(mine.done)
	return mine.token, mine.err
}
