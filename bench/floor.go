//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// created is an answer to a create, as long as Hakanai's.
const created = `{"id":"00000000-0000-0000-0000-000000000000"}`

// serveFloor serves what can be no cheaper: it reads the body of a create, and answers a take of /…/N with N bytes.
func serveFloor(stdout io.Writer) error {
	content := bytes.Repeat([]byte("A"), 16<<20)
	return serveBare(stdout, func(w http.ResponseWriter, r *http.Request) error {
		if r.Method == http.MethodPost {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return err
			}
			return answer(w, []byte(created))
		}
		length, err := strconv.Atoi(lastOf(r.URL.Path))
		if err != nil || length > len(content) {
			return fmt.Errorf("no length: %w", err)
		}
		return answer(w, content[:length])
	})
}

// bareInline is the largest body that serveDisk keeps in bbolt.
const bareInline = 16 << 10

// serveDisk is the floor with a disk: what bbolt and the file system alone do, with group commit and an fsync before each
// answer. Small bodies are in bbolt, others in a file each. Nothing is decoded, sealed, checked or overwritten.
func serveDisk(stdout io.Writer, dir string) error {
	db, err := bolt.Open(filepath.Join(dir, "bare.db"), 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType})
	if err != nil {
		return err
	}
	group := startGroup(db)
	folder, err := os.Open(dir) //nolint:gosec // a directory of its own
	if err != nil {
		return err
	}
	var ids atomic.Uint64
	return serveBare(stdout, func(w http.ResponseWriter, r *http.Request) error {
		if r.Method == http.MethodPost {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			id := fmt.Sprintf("00000000-0000-0000-0000-%012d", ids.Add(1))
			value := body
			if len(body) > bareInline {
				value = nil
				if err := writeFile(filepath.Join(dir, id), body, folder); err != nil {
					return err
				}
			}
			if err := group.do(func(b *bolt.Bucket) error { return b.Put(spread(id), value) }); err != nil {
				return err
			}
			return answer(w, []byte(`{"id":"`+id+`"}`))
		}
		id, value := lastOf(r.URL.Path), []byte(nil)
		if err := group.do(func(b *bolt.Bucket) error {
			value = bytes.Clone(b.Get(spread(id)))
			return b.Delete(spread(id))
		}); err != nil {
			return err
		}
		if len(value) == 0 {
			path := filepath.Join(dir, id)
			if value, err = os.ReadFile(path); err != nil { //nolint:gosec // one of its own
				return err
			}
			if err := os.Remove(path); err != nil { //nolint:gosec // one of its own
				return err
			}
		}
		return answer(w, value)
	})
}

// spread makes keys fall all over the index, as hashes do.
func spread(id string) []byte {
	n, _ := strconv.ParseUint(strings.TrimLeft(id, "0-"), 10, 64)
	return binary.BigEndian.AppendUint64(nil, n*0x9e3779b97f4a7c15)
}

func writeFile(path string, body []byte, folder *os.File) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // one of its own
	if err != nil {
		return err
	}
	_, err = file.Write(body)
	return errors.Join(err, unix.Fdatasync(int(file.Fd())), file.Close(), folder.Sync())
}

// group commits changes of bbolt: all that come while the last transaction is being synced share the next.
type group chan change

type change struct {
	run  func(*bolt.Bucket) error
	done chan error
}

func startGroup(db *bolt.DB) group {
	g := make(group, 256)
	go func() {
		for first := range g {
			batch := []change{first}
			for more := true; more; {
				select {
				case c := <-g:
					batch = append(batch, c)
				default:
					more = false
				}
			}
			err := db.Update(func(tx *bolt.Tx) error {
				bucket, err := tx.CreateBucketIfNotExists([]byte("bare"))
				for _, c := range batch {
					err = errors.Join(err, c.run(bucket))
				}
				return err
			})
			for _, c := range batch {
				c.done <- err
			}
		}
	}()
	return g
}

func (g group) do(run func(*bolt.Bucket) error) error {
	c := change{run, make(chan error, 1)}
	g <- c
	return <-c.done
}

// serveBare listens on a free port, says where, and serves until it is killed.
func serveBare(stdout io.Writer, handle func(http.ResponseWriter, *http.Request) error) error {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(stdout, listener.Addr()); err != nil {
		return err
	}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // a measure
		if err := handle(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})}
	return server.Serve(listener)
}

func answer(w http.ResponseWriter, body []byte) error {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, err := w.Write(body) //nolint:gosec // to the one who sent it, who is this program
	return err
}

func lastOf(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
