package commands

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hakanai/httpapi/api"
	"hakanai/store/storetest"
)

// buildProgram builds the real, static binary once, as it is shipped.
var buildProgram = sync.OnceValues(func() (string, error) { return build(os.Getenv("TEST_TAGS")) }) // see task prove

func build(tags string) (string, error) {
	dir, err := os.MkdirTemp("", "hakanai-build")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "hakanai")
	build := exec.Command("go", "build", "-trimpath", "-tags", tags, "-o", path, "hakanai")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("building: %w: %s", err, out)
	}
	return path, err
}

// daemon is a real `hakanai serve`.
type daemon struct {
	t            testing.TB
	cmd          *exec.Cmd
	url          string
	token, admin string        // of the first start of its directory
	silent       chan struct{} // closed when it has said all

	mu  sync.Mutex
	log []string // lines
}

var (
	addressLine = regexp.MustCompile(`"address":"(http://[^"]+)"`)
	tokenLine   = regexp.MustCompile(`^    ([A-Za-z0-9_-]{43})$`)
)

// startDaemon starts the program on a data directory, behind a prefix of other commands if there is one, and waits until
// it listens.
func startDaemon(t testing.TB, dir string, prefix ...string) *daemon {
	t.Helper()
	return startServe(t, []string{"--data-dir", dir}, prefix...)
}

// startServe starts the program with flags, and waits until it listens.
func startServe(t testing.TB, flags []string, prefix ...string) *daemon {
	t.Helper()
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	return startProgram(t, program, flags, prefix...)
}

// startProgram is startServe for a program that was built in another way.
func startProgram(t testing.TB, program string, flags []string, prefix ...string) *daemon {
	t.Helper()
	args := slices.Concat(prefix, []string{program, "serve", "--port", "0"}, flags)
	return start(t, exec.Command(args[0], args[1:]...))
}

// start starts a command that is the program, and waits until it listens.
func start(t testing.TB, cmd *exec.Cmd) *daemon {
	t.Helper()
	d := &daemon{t: t, cmd: cmd, silent: make(chan struct{})}
	stderr, err := d.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	listening := make(chan bool)
	go func() {
		defer close(d.silent)
		defer close(listening)
		d.read(stderr, listening)
	}()
	if <-listening {
		return d
	}
	t.Fatalf("the server has not started:\n%s", d.logged(""))
	return nil
}

// read reads what the server prints, and tells when it listens.
func (d *daemon) read(stderr io.Reader, listening chan<- bool) {
	lines, admin := bufio.NewScanner(stderr), false
	for lines.Scan() {
		d.mu.Lock()
		d.log = append(d.log, lines.Text())
		if strings.HasPrefix(lines.Text(), "Here is ") { // either may be first
			admin = strings.Contains(lines.Text(), "the admin token")
		}
		if found := tokenLine.FindStringSubmatch(lines.Text()); found != nil && admin {
			d.admin = found[1]
		} else if found != nil {
			d.token = found[1]
		}
		found := addressLine.FindStringSubmatch(lines.Text())
		if found != nil {
			d.url = found[1]
		}
		d.mu.Unlock()
		if found != nil {
			listening <- true
		}
	}
}

// logged returns the lines of the log that have a text in them.
func (d *daemon) logged(text string) (lines []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, line := range d.log {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return lines
}

// end sends a signal and returns the exit status, -1 for a killed process.
func (d *daemon) end(signal syscall.Signal) int {
	d.t.Helper()
	if err := d.cmd.Process.Signal(signal); err != nil {
		d.t.Fatal(err)
	}
	<-d.silent // Wait would take its last words away
	_ = d.cmd.Wait()
	return d.cmd.ProcessState.ExitCode()
}

// create stores a ciphertext and returns its id, or the status that was answered; 0 when there was no answer.
func (d *daemon) create(client *http.Client, token string, ciphertext []byte) (id string, status int) {
	return d.post(client, token, bodyOf(ciphertext, ""))
}

// post is create with a body that may be used again: under the race detector, to make a large one takes a second.
func (d *daemon) post(client *http.Client, token, body string) (id string, status int) {
	r, err := http.NewRequest(http.MethodPost, d.url+api.SecretPath, strings.NewReader(body))
	if err != nil {
		d.t.Error(err)
		return "", 0
	}
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(r)
	if err != nil {
		return "", 0
	}
	defer response.Body.Close()
	var created api.CreateResponse
	if response.StatusCode == http.StatusOK && json.NewDecoder(response.Body).Decode(&created) != nil {
		return "", 0
	}
	return created.ID, response.StatusCode
}

// take retrieves a secret. status is 0 when there was no answer.
func (d *daemon) take(client *http.Client, id string) (text []byte, status int) {
	response, err := client.Get(d.url + api.SecretPath + "/" + id)
	if err != nil {
		return nil, 0
	}
	defer response.Body.Close()
	var got bytes.Buffer
	got.Grow(int(max(response.ContentLength, 0)) + bytes.MinRead)
	_, _ = got.ReadFrom(response.Body) // what came before the connection broke counts
	return got.Bytes(), response.StatusCode
}

// journal is what a load has seen: of every secret that was acknowledged, what became of it.
type journal struct {
	mu        sync.Mutex
	open      []string       // acknowledged, and nobody has tried to take it
	uncertain []string       // a take had no answer
	delivered map[string]int // times that bytes came
}

func (j *journal) pick() (id string, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.open) < 10 { // some are left, for what comes after the next crash
		return "", false
	}
	i := rand.IntN(len(j.open))
	id = j.open[i]
	j.open[i] = j.open[len(j.open)-1]
	j.open = j.open[:len(j.open)-1]
	return id, true
}

func (j *journal) note(change func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change()
}

// load creates and takes secrets until the server is gone.
func (j *journal) load(d *daemon, token string) {
	var creating, taking sync.WaitGroup
	gone := make(chan struct{})
	for range 2 {
		client := &http.Client{Transport: &http.Transport{}}
		creating.Go(func() {
			for {
				id, status := d.create(client, token, storetest.Bytes(100+rand.IntN(50_000)))
				if status != http.StatusOK {
					return
				}
				j.note(func() { j.open = append(j.open, id) })
			}
		})
		taking.Go(func() {
			// A connection for each, so that Go repeats nothing.
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for {
				select {
				case <-gone:
					return
				default:
				}
				id, ok := j.pick()
				if !ok {
					time.Sleep(time.Millisecond)
					continue
				}
				text, status := d.take(client, id)
				switch {
				case len(text) > 0 && status == http.StatusOK:
					j.note(func() { j.delivered[id]++ })
				case status == 0:
					j.note(func() { j.uncertain = append(j.uncertain, id) })
					return
				default:
					j.note(func() { d.t.Errorf("a secret that nobody took gives %d", status) })
				}
			}
		})
	}
	creating.Wait()
	close(gone)
	taking.Wait()
}

// crash runs a load and ends the server in the middle of it, round after round, and looks at what is left. place are the
// flags that say where the secrets are.
func crash(t *testing.T, place []string, rounds int, signal syscall.Signal, wantStatus int) {
	d := startServe(t, place)
	storetest.Eventually(t, "the first token is printed", func() bool { return len(d.logged("hakanai send")) == 1 })
	token := d.token
	j := &journal{delivered: make(map[string]int)}
	for range rounds {
		var loading sync.WaitGroup
		loading.Go(func() { j.load(d, token) })
		time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
		if status := d.end(signal); status != wantStatus {
			t.Errorf("the server ended with %d, want %d", status, wantStatus)
		}
		loading.Wait()
		d = startServe(t, place)
		d.awaitReady()
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	delivered, untried := len(j.delivered), len(j.open)
	if delivered < rounds || untried == 0 {
		t.Errorf("too little has happened for the test to mean anything")
	}
	for _, id := range j.open {
		if text, status := d.take(client, id); status != http.StatusOK || len(text) == 0 {
			t.Errorf("an acknowledged secret gives %d", status)
		}
		j.delivered[id]++
	}
	forfeit := 0
	for _, id := range j.uncertain {
		text, status := d.take(client, id)
		switch {
		case status == http.StatusOK && len(text) > 0:
			j.delivered[id]++
		case status == http.StatusGone:
			forfeit++
		default:
			t.Errorf("a secret whose take had no answer gives %d", status)
		}
	}
	storetest.Report(t, "%d rounds of %s: %d delivered, %d never tried and all there, %d without an answer, of them lost on their way: %d",
		rounds, signal, delivered, untried, len(j.uncertain), forfeit)
	for id, times := range j.delivered {
		if times > 1 {
			t.Errorf("a secret was delivered %d times", times)
		}
		if _, status := d.take(client, id); status != http.StatusGone {
			t.Errorf("a delivered secret gives %d", status)
		}
	}
	if status := d.end(syscall.SIGTERM); status != 0 {
		t.Errorf("the server ended with %d", status)
	}
}

// blobFiles lists the files that hold ciphertext. Those that nobody needs are kept for some seconds, and then emptied.
func blobFiles(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(dir, "secrets"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(files, func(file os.DirEntry) bool {
		info, err := file.Info()
		return err == nil && info.Size() == 0
	})
}

func TestKillingTheServerLosesAndRepeatsNothing(t *testing.T) {
	crashEmbedded(t, syscall.SIGKILL, -1)
}

func TestStoppingTheServerUnderLoadLosesNothing(t *testing.T) {
	crashEmbedded(t, syscall.SIGTERM, 0)
}

func crashEmbedded(t *testing.T, signal syscall.Signal, wantStatus int) {
	const rounds = 100
	dir := t.TempDir()
	crash(t, []string{"--data-dir", dir}, rounds, signal, wantStatus)
	// What was being created when the server died, and what was sent when it was not acknowledged, is all that may be
	// there: its ids are lost. Everything else has left no file.
	if files := blobFiles(t, dir); len(files) > 2*rounds {
		t.Errorf("%d files are left", len(files))
	}
}

func TestAKilledServerLeavesNoFileOfWhatWasNotAcknowledged(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	// Uploads that have begun, have written, and will never end.
	var begun sync.WaitGroup
	for range 10 {
		begun.Add(1)
		r, w := io.Pipe()
		go func() {
			request, _ := http.NewRequest(http.MethodPost, d.url+api.SecretPath, r)
			request.Header.Set("Authorization", "Bearer "+d.token)
			if response, err := http.DefaultTransport.RoundTrip(request); err == nil {
				response.Body.Close()
			}
		}()
		go func() {
			_, _ = io.WriteString(w, `{"data":"`+strings.Repeat("QUJD", 100_000))
			begun.Done()
		}()
	}
	begun.Wait()
	storetest.Eventually(t, "drafts are on disk", func() bool { return len(blobFiles(t, dir)) == 10 })
	d.end(syscall.SIGKILL)
	d = startDaemon(t, dir)
	if files := blobFiles(t, dir); len(files) != 0 {
		t.Errorf("%d files are left", len(files))
	}
	d.end(syscall.SIGTERM)
}

// peakMemory is VmHWM, in bytes.
func (d *daemon) peakMemory() int {
	d.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	found := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(status)
	if found == nil {
		d.t.Fatal("there is no VmHWM")
	}
	kilobytes, err := strconv.Atoi(string(found[1]))
	if err != nil {
		d.t.Fatal(err)
	}
	return kilobytes << 10
}

func TestMemoryDoesNotGrowWithSecrets(t *testing.T) {
	const secrets, size, limit = 32, 8 << 20, 64 << 20 // above what an idle server has
	dir := t.TempDir()
	d := startDaemon(t, dir)
	d.awaitReady()
	idle := d.peakMemory()
	ciphertext := storetest.Bytes(size)
	body := bodyOf(ciphertext, "")
	ids := make([]string, secrets)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			id, status := d.post(http.DefaultClient, d.token, body)
			if status != http.StatusOK {
				t.Errorf("creating: %d", status)
			}
			ids[i] = id
		})
	}
	all.Wait()
	peak := d.peakMemory() - idle
	t.Logf("%d uploads of %d MiB at once: %d MiB above idle", secrets, size>>20, peak>>20)
	if peak > limit {
		t.Errorf("uploads took %d bytes", peak)
	}
	if status := d.end(syscall.SIGTERM); status != 0 {
		t.Errorf("the server ended with %d", status)
	}

	d = startDaemon(t, dir)
	d.awaitReady()
	idle = d.peakMemory()
	want := base64.StdEncoding.EncodeToString(ciphertext)
	for _, id := range ids {
		all.Go(func() {
			if text, status := d.take(http.DefaultClient, id); status != http.StatusOK || string(text) != want {
				t.Errorf("taking: %d, %d bytes", status, len(text))
			}
		})
	}
	all.Wait()
	peak = d.peakMemory() - idle
	t.Logf("%d downloads: %d MiB above idle", secrets, peak>>20)
	if peak > limit {
		t.Errorf("downloads took %d bytes", peak)
	}
	storetest.Eventually(t, "nothing is left in files", func() bool { return len(blobFiles(t, dir)) == 0 }) // the last byte is answered first
	d.end(syscall.SIGTERM)
}

// onSmallDisk is a prefix that gives a command a disk of its own, of a size, in its own mount namespace.
func onSmallDisk(dir, size string) []string {
	flags := "-m"
	if os.Getuid() != 0 {
		flags = "-rm"
	}
	return []string{"unshare", flags, "sh", "-c", `mount -t tmpfs -o size=` + size + ` tmpfs "$0" && exec "$@"`, dir}
}

func TestAFullDiskLosesNothing(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir, onSmallDisk(dir, "8m")...)
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 64, MaxIdleConnsPerHost: 64}}
	first := 0
	for round := range 5 {
		ciphertexts := make(map[string][]byte)
		status := 0
		for len(ciphertexts) < 10_000 {
			ciphertext := storetest.Bytes(1 + rand.IntN([]int{200_000, 1000}[round%2]))
			var id string
			if id, status = d.create(client, d.token, ciphertext); status != http.StatusOK {
				break
			}
			ciphertexts[id] = ciphertext
		}
		if status != http.StatusInsufficientStorage {
			t.Fatalf("a full disk gives %d", status)
		}
		for range 100 {
			if _, status := d.create(client, d.token, storetest.Bytes(500_000)); status != http.StatusInsufficientStorage {
				t.Fatalf("a full disk gives %d", status)
			}
		}
		// Down to the last byte: small ones may still fit, and then they too are there.
		for range 10_000 {
			ciphertext := storetest.Bytes(100)
			id, status := d.create(client, d.token, ciphertext)
			if status != http.StatusOK {
				break
			}
			ciphertexts[id] = ciphertext
		}
		var all sync.WaitGroup
		for id, ciphertext := range ciphertexts { // all at once: each needs room in the index
			all.Go(func() {
				text, status := d.take(client, id)
				if status != http.StatusOK || string(text) != base64.StdEncoding.EncodeToString(ciphertext) {
					t.Errorf("taking from a full disk gives %d", status)
				}
				if _, status := d.take(client, id); status != http.StatusGone {
					t.Errorf("a second time it gives %d", status)
				}
			})
		}
		all.Wait()
		t.Logf("round %d: %d secrets fitted, and all were there", round, len(ciphertexts))
		if round == 0 {
			first = len(ciphertexts)
		}
		if len(ciphertexts) < 10 || first < 10 {
			t.Errorf("only %d fitted", len(ciphertexts))
		}
		storetest.Eventually(t, "there is room again", func() bool {
			id, status := d.create(client, d.token, []byte("x"))
			if status == http.StatusOK {
				_, status = d.take(client, id)
			}
			return status == http.StatusOK
		})
	}
	if status := d.end(syscall.SIGTERM); status != 0 {
		t.Errorf("the server ended with %d", status)
	}
}

func TestTooFewFileDescriptorsLoseNothing(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir, "sh", "-c", `ulimit -n 64 && exec "$@"`, "sh")
	var all sync.WaitGroup
	var mu sync.Mutex
	var ids []string
	for range 200 {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
			if id, status := d.create(client, d.token, storetest.Bytes(100_000)); status == http.StatusOK {
				mu.Lock()
				defer mu.Unlock()
				ids = append(ids, id)
			}
		})
	}
	all.Wait()
	t.Logf("%d of 200 were acknowledged", len(ids))
	for _, id := range ids {
		if _, status := d.take(http.DefaultClient, id); status != http.StatusOK {
			t.Errorf("an acknowledged secret gives %d", status)
		}
	}
	if id, status := d.create(http.DefaultClient, d.token, []byte("after")); status != http.StatusOK || id == "" {
		t.Errorf("afterwards a create gives %d", status)
	}
	d.end(syscall.SIGTERM)
}

func TestCreateAndClaimAreOnDiskBeforeTheyAreAnswered(t *testing.T) {
	dir := t.TempDir()
	trace := filepath.Join(t.TempDir(), "trace")
	d := startDaemon(t, dir, "strace", "-D", "-f", "-y", "-s", "40", "-e", "trace=read,write,fdatasync,fsync", "-o", trace)
	// On a connection that has been used, the server reads a request's first byte by itself: hard to find in the trace.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	id, status := d.create(client, d.token, storetest.Bytes(1000))
	if status != http.StatusOK {
		t.Fatalf("creating: %d", status)
	}
	if _, status := d.take(client, id); status != http.StatusOK {
		t.Fatalf("taking: %d", status)
	}
	d.end(syscall.SIGTERM)
	var raw []byte
	storetest.Eventually(t, "the trace is whole", func() bool {
		var err error
		raw, err = os.ReadFile(trace)
		return err == nil && regexp.MustCompile(`(?m)^`+strconv.Itoa(d.cmd.Process.Pid)+` +\+\+\+ exited with 0`).Match(raw)
	})
	synced := func(from, to, path string) bool {
		_, after, found := bytes.Cut(raw, []byte(from))
		if !found {
			t.Fatalf("%q is not in the trace", from)
		}
		between, _, found := bytes.Cut(after, []byte(to))
		if !found {
			t.Fatalf("%q is not in the trace", to)
		}
		return regexp.MustCompile(`f(data)?sync\(\d+<` + path + `>(\) += 0| <unfinished)`).Match(between)
	}
	for _, path := range []string{dir + "/secrets/[0-9a-f]{16}.segment", dir + "/secrets", dir + "/hakanai.index"} {
		if !synced(`"POST /api/v1/secret`, `"HTTP/1.1 200`, path) {
			t.Errorf("a create is answered before %s is on disk", path)
		}
	}
	if !synced(`"GET /api/v1/secret`, `"HTTP/1.1 200`, dir+"/hakanai.index") {
		t.Error("a claim is answered before it is on disk")
	}
}
