//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cli measures the command line: how long the shortest answer takes, and the CPU of sending and getting a file of 10 MiB
// beside what that must cost.
func (b *bench) cli() error {
	dir, err := b.folder()
	if err != nil {
		return err
	}
	s, err := b.serve(&place{name: "embedded", flags: []string{"--data-dir", filepath.Join(dir, "store")}})
	if err != nil {
		return err
	}
	content := make([]byte, 10<<20)
	_, _ = rand.Read(content) // never fails
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return err
	}
	least, err := newLeastCost(content)
	if err != nil {
		return err
	}
	for round := range b.rounds*4 + 1 {
		into := b.results
		if round == 0 {
			into = results{}
		}
		if _, err := b.command(into, s, "hakanai --version", "--version"); err != nil {
			return err
		}
		link, err := b.command(into, s, "send 10 MiB", "send", "--quiet", "--server", "http://"+s.address, "--file", file)
		if err != nil {
			return err
		}
		got, err := b.command(into, s, "get 10 MiB", "get", "--to-stdout", strings.TrimSpace(string(link)))
		if err != nil {
			return err
		}
		if !bytes.Equal(got, content) {
			return errors.New("hakanai get gives something else than was sent")
		}
		if err := least.measure(into); err != nil {
			return err
		}
	}
	return nil
}

// command runs Hakanai, and returns what it prints.
func (b *bench) command(into results, s *server, what string, args ...string) ([]byte, error) {
	var output, complaint bytes.Buffer
	command := exec.CommandContext(context.Background(), b.hakanai[0], args...) //nolint:gosec // what was built
	command.Env = append(os.Environ(), "HAKANAI_TOKEN="+s.token)
	command.Stdout, command.Stderr = &output, &complaint
	start := time.Now()
	err := command.Run()
	into.add(what, "ms", "cli", micros(time.Since(start))/1000)
	if err != nil {
		return nil, fmt.Errorf("hakanai %s: %w: %s", args[0], err, complaint.Bytes())
	}
	into.add(what, "cpu ms", "cli", micros(command.ProcessState.UserTime()+command.ProcessState.SystemTime())/1000)
	return output.Bytes(), nil
}

// leastCost is what of sending and getting must be, and no more: AES-GCM, base64 of the standard library, and copying. A
// file is copied in, becomes base64, is sealed, becomes base64 once more, and is copied out; and all of it back. The memory
// is there beforehand and of the right size, so that nothing is made, grown, zeroed or collected; starting a process,
// hashing and the network are on top.
type leastCost struct {
	aead  cipher.AEAD
	nonce []byte

	content, read, payload, body, sent []byte
}

func newLeastCost(content []byte) (*leastCost, error) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	payload := base64.StdEncoding.EncodedLen(len(content)) + aead.Overhead() + 2 // decoding may want more room than it fills
	body := base64.StdEncoding.EncodedLen(payload)
	return &leastCost{
		aead: aead, nonce: make([]byte, aead.NonceSize()), content: content,
		read: make([]byte, len(content), len(content)+2), payload: make([]byte, payload), body: make([]byte, body), sent: make([]byte, body),
	}, nil
}

// measure adds the CPU of one round.
func (l *leastCost) measure(into results) error {
	runtime.LockOSThread() // whose CPU it is
	defer runtime.UnlockOSThread()
	start, err1 := threadCPU()
	l.send()
	sent, err2 := threadCPU()
	clear(l.read)
	begin, err3 := threadCPU()
	err4 := l.get()
	got, err5 := threadCPU()
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	if !bytes.Equal(l.read, l.content) {
		return errors.New("the least is not what was measured")
	}
	into.add("send 10 MiB", "cpu ms", "least", micros(sent-start)/1000)
	into.add("get 10 MiB", "cpu ms", "least", micros(got-begin)/1000)
	return nil
}

func threadCPU() (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano()), err
}

func (l *leastCost) send() {
	copy(l.read, l.content)
	l.payload = base64.StdEncoding.AppendEncode(l.payload[:0], l.read)
	l.payload = l.aead.Seal(l.payload[:0], l.nonce, l.payload, nil)
	l.body = base64.StdEncoding.AppendEncode(l.body[:0], l.payload)
	copy(l.sent, l.body)
}

func (l *leastCost) get() (err error) {
	copy(l.body, l.sent)
	if l.payload, err = base64.StdEncoding.AppendDecode(l.payload[:0], l.body); err != nil {
		return err
	}
	if l.payload, err = l.aead.Open(l.payload[:0], l.nonce, l.payload, nil); err != nil {
		return err
	}
	if l.read, err = base64.StdEncoding.AppendDecode(l.read[:0], l.payload); err != nil {
		return err
	}
	copy(l.sent, l.read)
	return nil
}
