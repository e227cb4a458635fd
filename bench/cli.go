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
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
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
		if err := leastCost(into, content); err != nil {
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

// leastCost measures what of sending and getting must be: a file is read, put into a payload in base64, sealed, and sent in
// base64 once more; and back. All else, the hash in the link too, is on top.
func leastCost(into results, content []byte) error {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return err
	}
	nonce := make([]byte, aead.NonceSize())
	start := time.Now()
	read, err := io.ReadAll(bytes.NewReader(content))
	if err != nil {
		return err
	}
	payload := base64.StdEncoding.AppendEncode(nil, read)
	sealed := aead.Seal(nil, nonce, payload, nil) //nolint:gosec // nobody keeps it
	body := base64.StdEncoding.AppendEncode(nil, sealed)
	into.add("send 10 MiB", "cpu ms", "least", micros(time.Since(start))/1000)

	start = time.Now()
	read, err = io.ReadAll(bytes.NewReader(body))
	if err != nil {
		return err
	}
	if sealed, err = base64.StdEncoding.AppendDecode(nil, read); err != nil {
		return err
	}
	if payload, err = aead.Open(nil, nonce, sealed, nil); err != nil {
		return err
	}
	got, err := base64.StdEncoding.AppendDecode(nil, payload)
	if err != nil {
		return err
	}
	into.add("get 10 MiB", "cpu ms", "least", micros(time.Since(start))/1000)
	if !bytes.Equal(got, content) {
		return errors.New("the least is not what was measured")
	}
	return nil
}
