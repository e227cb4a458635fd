package packaging_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// imageStore is where buildah keeps the images of a test: no daemon and no registry is asked.
type imageStore struct {
	t   *testing.T
	env []string
}

func newImageStore(t *testing.T) imageStore {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("images are built and run here by root alone")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "storage.conf")
	text := fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", dir+"/graph", dir+"/run")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return imageStore{t, append(os.Environ(), "CONTAINERS_STORAGE_CONF="+conf, "BUILDAH_ISOLATION=chroot", "TZ=UTC")}
}

// run runs a program on the store, and returns what it prints.
func (s imageStore) run(words ...string) string {
	s.t.Helper()
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir, cmd.Env = "..", s.env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s%s", strings.Join(words, " "), err, out, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// imageConfig is what an image says of how it is run.
type imageConfig struct {
	User         string
	ExposedPorts map[string]struct{}
	Env          []string
	Entrypoint   []string
	Cmd          []string
	Volumes      map[string]struct{}
	WorkingDir   string
	Labels       map[string]string
	Healthcheck  struct{ Test []string }
}

type image struct {
	root   string // its file system
	layers []string
	config imageConfig
}

// open makes a container of the image for an architecture.
func (s imageStore) open(name, architecture string) image {
	s.t.Helper()
	container := s.run("buildah", "from", "--pull-never", "--platform", "linux/"+architecture, name)
	var about struct {
		Docker struct {
			Architecture string
			Config       imageConfig
			RootFS       struct {
				DiffIDs []string `json:"diff_ids"`
			}
		}
	}
	if err := json.Unmarshal([]byte(s.run("buildah", "inspect", container)), &about); err != nil {
		s.t.Fatal(err)
	}
	if about.Docker.Architecture != architecture {
		s.t.Errorf("the image for %s is for %s", architecture, about.Docker.Architecture)
	}
	return image{s.run("buildah", "mount", container), about.Docker.RootFS.DiffIDs, about.Docker.Config}
}

// tree lists a file system: mode, owner and path.
func tree(t *testing.T, root string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		owner := info.Sys().(*syscall.Stat_t)
		all = append(all, fmt.Sprintf("%v %d:%d %s", info.Mode(), owner.Uid, owner.Gid, strings.TrimPrefix(path, root)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTheImage(t *testing.T) {
	store := newImageStore(t)
	lines := strings.Split(store.run("tools/image"), "\n")
	name := lines[len(lines)-1]
	architectures := []string{"amd64", "arm64"}
	images := make(map[string]image)
	for _, architecture := range architectures {
		images[architecture] = store.open(name, architecture)
	}

	for architecture, i := range images {
		t.Run("is the program and nothing else/"+architecture, func(t *testing.T) {
			want := []string{
				"drwxr-xr-x 65532:65532 /data", "drwxr-xr-x 0:0 /usr", "drwxr-xr-x 0:0 /usr/bin", "-rwxr-xr-x 0:0 /usr/bin/hakanai",
			}
			if got := tree(t, i.root); !slices.Equal(got, want) {
				t.Errorf("it holds\n%s", strings.Join(got, "\n"))
			}
			about := store.run("go", "version", "-m", i.root+"/usr/bin/hakanai")
			for _, setting := range []string{"GOARCH=" + architecture, "CGO_ENABLED=0", "vcs.revision=" + i.config.Labels["org.opencontainers.image.revision"]} {
				if !strings.Contains(about, "\t"+setting+"\n") {
					t.Errorf("the program was not built with %s:\n%s", setting, about)
				}
			}
		})
		t.Run("says how it is run/"+architecture, func(t *testing.T) {
			commit := strings.Fields(store.run("git", "log", "-1", "--format=%H %cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ"))
			version := i.config.Labels["org.opencontainers.image.version"]
			want := imageConfig{
				User:         "65532:65532",
				ExposedPorts: map[string]struct{}{"8080/tcp": {}},
				Env: []string{
					"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HAKANAI_DATA_DIR=/data", "HAKANAI_LISTEN_ADDRESS=0.0.0.0",
				},
				Entrypoint: []string{"/usr/bin/hakanai"},
				Cmd:        []string{"serve"},
				Volumes:    map[string]struct{}{"/data": {}},
				Labels: map[string]string{
					"org.opencontainers.image.title":       "Hakanai",
					"org.opencontainers.image.description": "Share a secret once",
					"org.opencontainers.image.licenses":    "Apache-2.0",
					"org.opencontainers.image.version":     version,
					"org.opencontainers.image.revision":    commit[0],
					"org.opencontainers.image.created":     commit[1],
				},
				Healthcheck: struct{ Test []string }{[]string{"CMD", "/usr/bin/hakanai", "healthcheck"}},
			}
			if !reflect.DeepEqual(i.config, want) {
				t.Errorf("it says\n%+v, want\n%+v", i.config, want)
			}
			if !strings.HasPrefix(version, "v") || "hakanai:"+strings.ReplaceAll(version, "+", "-") != name {
				t.Errorf("%s is of version %q", name, version)
			}
		})
	}

	architecture := strings.TrimSpace(store.run("go", "env", "GOARCH"))
	t.Run("is the same when it is built again", func(t *testing.T) {
		store.run("tools/image", "linux/"+architecture)
		if again := store.open("hakanai:latest", architecture); !slices.Equal(again.layers, images[architecture].layers) {
			t.Errorf("first %s, then %s", images[architecture].layers, again.layers)
		}
	})
	t.Run("passes a secret without rights and on a root that is read-only", func(t *testing.T) { passThroughImage(t, images[architecture]) })
}

// command is a command in a container of the image, as strict as one can be: a root that is read-only, a user without
// rights who can gain none, and neither /proc, /dev nor /tmp.
func (i image) command(t *testing.T, volume string, env []string, words ...string) *exec.Cmd {
	t.Helper()
	const enter = `root=$0 volume=$1; shift
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --bind "$volume" "$root/data"
exec chroot --userspec=65532:65532 --groups= "$root" "$@"`
	prefix := []string{"--no-new-privs", "unshare", "--mount", "sh", "-ec", enter, i.root, volume}
	cmd := exec.Command("setpriv", append(prefix, words...)...)
	cmd.Env = slices.Concat(i.config.Env, []string{"HAKANAI_LISTEN_ADDRESS=127.0.0.1"}, env)
	return cmd
}

func passThroughImage(t *testing.T, i image) {
	volume := t.TempDir() // a new volume is as the directory of the image is
	if err := os.Chmod(volume, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(volume, 65532, 65532); err != nil {
		t.Fatal(err)
	}
	s := startServing(t, i.command(t, volume, []string{"HAKANAI_PORT=0"}, append(i.config.Entrypoint, i.config.Cmd...)...))

	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Name:\thakanai", "Uid:\t65532\t65532\t65532\t65532", "Groups:\t ", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1",
	} {
		if !strings.Contains(string(status), want+"\n") {
			t.Errorf("the process is not %q:\n%s", want, status)
		}
	}
	passSecret(t, i.root+"/usr/bin/hakanai", s.url, <-s.tokens)
	if got := tree(t, volume); !slices.Contains(got, "-rw------- 65532:65532 /hakanai.index") {
		t.Errorf("the volume holds\n%s", strings.Join(got, "\n"))
	}
	if info, err := os.Stat(volume); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the volume is open to others: %v %v", info.Mode(), err)
	}

	reset, err := i.command(t, volume, nil, i.config.Entrypoint[0], "admin", "reset", "--user-tokens").Output()
	if err != nil {
		t.Fatalf("no token is made beside the server: %v", err)
	}
	passSecret(t, i.root+"/usr/bin/hakanai", s.url, strings.TrimSpace(string(reset)))

	healthcheck := func() (string, error) {
		cmd := i.command(t, volume, []string{"HAKANAI_PORT=" + s.url[strings.LastIndex(s.url, ":")+1:]}, i.config.Healthcheck.Test[1:]...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := healthcheck(); err != nil || out != "" {
		t.Errorf("it is well, and its health check says %q, %v", out, err)
	}
	elsewhere := i.command(t, volume, []string{"HAKANAI_PORT=0", "HAKANAI_DATA_DIR=/elsewhere"}, append(i.config.Entrypoint, "serve")...)
	if out, err := elsewhere.CombinedOutput(); err == nil || !strings.Contains(string(out), "read-only file system") {
		t.Errorf("its root can be written to: %v\n%s", err, out)
	}
	if status := s.end(syscall.SIGTERM); status != 0 {
		t.Errorf("it ended with %d", status)
	}
	if out, err := healthcheck(); err == nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, "hakanai: error: no server answers") {
		t.Errorf("it has ended, and its health check says %q, %v", out, err)
	}
}

// serving is a real hakanai serve.
type serving struct {
	cmd    *exec.Cmd
	url    string
	tokens chan string // of the first start of its store: one
	silent chan struct{}

	mu  sync.Mutex
	log strings.Builder
}

// startServing starts a command that ends as hakanai serve, and waits until it listens.
func startServing(t *testing.T, cmd *exec.Cmd) *serving {
	t.Helper()
	s := &serving{cmd: cmd, tokens: make(chan string, 1), silent: make(chan struct{})}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.end(syscall.SIGKILL) })
	token, address := regexp.MustCompile(`(?m)^    ([A-Za-z0-9_-]{43})$`), regexp.MustCompile(`"address":"(http://[^"]+)"`)
	listening := make(chan bool, 1)
	go func() {
		defer close(s.silent)
		defer close(s.tokens)
		defer close(listening)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			s.mu.Lock()
			s.log.WriteString(lines.Text() + "\n")
			s.mu.Unlock()
			if found := token.FindStringSubmatch(lines.Text()); found != nil {
				s.tokens <- found[1]
			}
			if found := address.FindStringSubmatch(lines.Text()); found != nil && s.url == "" {
				s.url = found[1]
				listening <- true
			}
		}
	}()
	if !<-listening {
		t.Fatalf("it has not started:\n%s", s.said())
	}
	return s
}

// said is what the server has printed.
func (s *serving) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// end sends a signal, and returns the exit status; -1 if a signal has ended it.
func (s *serving) end(signal os.Signal) int {
	if s.cmd.ProcessState != nil {
		return s.cmd.ProcessState.ExitCode()
	}
	_ = s.cmd.Process.Signal(signal) // it may have ended
	<-s.silent
	_ = s.cmd.Wait() // its status is looked at
	return s.cmd.ProcessState.ExitCode()
}

// passSecret sends a secret with the command line and gets it, which works once.
func passSecret(t *testing.T, program, url, token string, env ...string) {
	t.Helper()
	const secret = "for you alone"
	link, stderr, status := runClient(program, secret, append(env, "HAKANAI_TOKEN="+token), "send", "--server", url)
	if status != 0 {
		t.Fatalf("sending: %s", stderr)
	}
	link = strings.TrimSpace(link)
	if got, stderr, status := runClient(program, "", env, "get", link); got != secret || status != 0 {
		t.Fatalf("it is %q: %s", got, stderr)
	}
	if got, stderr, status := runClient(program, "", env, "get", link); got != "" || status != 3 {
		t.Errorf("the second time it is %q, with status %d: %s", got, status, stderr)
	}
}

func runClient(program, input string, env []string, words ...string) (stdout, stderr string, status int) {
	var out, err strings.Builder
	cmd := exec.Command(program, words...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &err
	_ = cmd.Run() // its status is returned
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}
