package packaging_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// checkout is a repository of its own that has the files of this one, as they are, in one commit. It is made anew so that
// what is tested is what is there, and not what was committed last. Two of them have the same commit.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files := command(t, repository, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for name := range strings.SplitSeq(strings.TrimSuffix(files, "\x00"), "\x00") {
		copyFile(t, filepath.Join(repository, name), filepath.Join(dir, name))
	}
	command(t, dir, "git", "init", "--quiet", "--initial-branch=main")
	command(t, dir, "git", "remote", "add", "origin", "https://git.example/somebody/hakanai.git") // no release without one
	command(t, dir, "git", "add", "--all", "--force")
	command(t, dir, "git", "commit", "--quiet", "--message=All of it")
	return dir
}

// copyFile copies a file with its mode, or a symbolic link. One that git knows and that was removed is left out.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Lstat(from)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if info.Mode().Type() == os.ModeSymlink {
		target, err := os.Readlink(from)
		if err := errors.Join(err, os.Symlink(target, to)); err != nil {
			t.Fatal(err)
		}
		return
	}
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, info.Mode()); err != nil {
		t.Fatal(err)
	}
}

// command runs something that must work, as somebody at a fixed time, and returns what it prints.
func command(t *testing.T, dir string, words ...string) string {
	t.Helper()
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir = dir
	cmd.Env = os.Environ()
	if dir != repository { // whose owner may be another, as somebody's settings of git then know
		cmd.Env = append(cmd.Env, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	}
	cmd.Env = append(cmd.Env, "GITHUB_REPOSITORY=",
		"GIT_AUTHOR_NAME=Somebody", "GIT_AUTHOR_EMAIL=somebody@example.com", "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z",
		"GIT_COMMITTER_NAME=Somebody", "GIT_COMMITTER_EMAIL=somebody@example.com", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z")
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(words, " "), err, said.String(), out.String())
	}
	return out.String()
}

// releaseOf makes in a checkout what is released as a version, for some systems (such as linux_amd64), and returns the
// directory where it is. Building for all of them takes minutes, and shows nothing that these do not.
func releaseOf(t *testing.T, dir, version string, systems ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, ".goreleaser.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	build := config["builds"].([]any)[0].(map[string]any)
	delete(build, "goos")
	delete(build, "goarch")
	build["targets"] = systems
	text, err = yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	some := filepath.Join(t.TempDir(), "some.yaml")
	if err := os.WriteFile(some, text, 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, dir, "git", "tag", version)
	command(t, dir, "go", "tool", "-modfile=tools/goreleaser/go.mod", "goreleaser", "release", "--clean", "--config", some,
		"--skip=publish,announce,sign,docker")
	return filepath.Join(dir, "dist")
}

func TestTheDefinitionOfReleasesIsValid(t *testing.T) {
	command(t, checkout(t), "go", "tool", "-modfile=tools/goreleaser/go.mod", "goreleaser", "check")
}

func TestTwoBuildsOfACommitAreTheSameBytes(t *testing.T) {
	var sums [2]map[string]string
	for i := range sums {
		dir := checkout(t)
		if i == 1 { // other machines have other times, zones and modes
			t.Setenv("TZ", "Asia/Tokyo")
			command(t, dir, "chmod", "-R", "go=", ".")
			command(t, dir, "find", ".", "-path", "./.git", "-prune", "-o", "-type", "f", "-exec", "touch", "-d", "2020-01-01", "{}", "+")
			command(t, dir, "git", "update-index", "--refresh")
		}
		dist := releaseOf(t, dir, "v1.2.3", "linux_amd64", "windows_arm64")
		sums[i] = map[string]string{}
		err := filepath.WalkDir(dist, func(file string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || slices.Contains([]string{"config.yaml", "metadata.json", "artifacts.json"}, entry.Name()) {
				return err // what goreleaser notes for itself is not released
			}
			content, err := os.ReadFile(file)
			sum := sha256.Sum256(content)
			sums[i][strings.TrimPrefix(file, dist+"/")] = hex.EncodeToString(sum[:])
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			lookAtReleased(t, dist, sums[0])
		}
	}
	if len(sums[0]) != len(sums[1]) {
		t.Errorf("one has %d files, the other %d", len(sums[0]), len(sums[1]))
	}
	for name, sum := range sums[0] {
		if sums[1][name] != sum {
			t.Errorf("%s is not the same", name)
		}
	}
}

// lookAtReleased checks that all is there, that the checksums are right, and what archives and lists have in them.
func lookAtReleased(t *testing.T, dist string, sums map[string]string) {
	t.Helper()
	released := []string{
		"hakanai_1.2.3_linux_amd64.tar.gz", "hakanai_1.2.3_windows_arm64.zip", "hakanai_1.2.3_amd64.deb",
		"hakanai-1.2.3-1.x86_64.rpm", "hakanai_1.2.3_linux_amd64.cdx.json", "hakanai_1.2.3_windows_arm64.cdx.json",
	}
	checksums, err := os.ReadFile(filepath.Join(dist, "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(checksums), "\n"); got != len(released) {
		t.Errorf("%d files have checksums:\n%s", got, checksums)
	}
	for _, name := range released {
		if sums[name] == "" || !strings.Contains(string(checksums), sums[name]+"  "+name+"\n") {
			t.Errorf("%s has no checksum, or a wrong one:\n%s", name, checksums)
		}
	}

	for name, program := range map[string]string{released[0]: "hakanai", released[1]: "hakanai.exe"} {
		found := unpackedNames(t, filepath.Join(dist, name))
		top := strings.TrimSuffix(strings.TrimSuffix(name, ".zip"), ".tar.gz")
		for _, want := range []string{
			program, "LICENSE", "NOTICE", "README.md", "CHANGELOG.md", "SECURITY.md", "docs/cli.md", "man/hakanai.1",
			"third-party-licenses.txt", "completions/bash", "completions/zsh", "completions/fish",
		} {
			if !slices.Contains(found, path.Join(top, want)) {
				t.Errorf("%s has no %s: %q", name, want, found)
			}
		}
	}

	var list struct {
		BOMFormat string
		Metadata  struct {
			Component struct{ Name, Version string }
		}
		// what is linked in
		Components []struct{ Name string }
	}
	text, err := os.ReadFile(filepath.Join(dist, released[4]))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	component := list.Metadata.Component
	if list.BOMFormat != "CycloneDX" || component.Name != "hakanai" || component.Version != "v1.2.3" {
		t.Errorf("the list is of %+v", list.Metadata)
	}
	for _, want := range []string{"std", "github.com/valkey-io/valkey-go", "github.com/urfave/cli/v2"} {
		if !slices.ContainsFunc(list.Components, func(c struct{ Name string }) bool { return c.Name == want }) {
			t.Errorf("the list lacks %s", want)
		}
	}

	licenses, err := os.ReadFile(filepath.Join(dist, "../.release/third-party-licenses.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list.Components {
		if c.Name != "std" && !strings.Contains(string(licenses), "\n======== "+c.Name+"@") {
			t.Errorf("the license of %s is not there", c.Name)
		}
	}

	program := filepath.Join(dist, "hakanai_linux_amd64_v1/hakanai")
	if got := command(t, dist, program, "--version"); !strings.Contains(got, "v1.2.3 (commit ") || strings.Contains(got, "changed") {
		t.Errorf("its version is %q", got)
	}
	if got := command(t, dist, "go", "version", "-m", program); !strings.Contains(got, "CGO_ENABLED=0") || !strings.Contains(got, "-trimpath=true") {
		t.Errorf("it was not built as it should be:\n%s", got)
	}
}

// unpackedNames are the files in an archive.
func unpackedNames(t *testing.T, file string) (names []string) {
	t.Helper()
	if strings.HasSuffix(file, ".zip") {
		archive, err := zip.OpenReader(file)
		if err != nil {
			t.Fatal(err)
		}
		defer archive.Close()
		for _, f := range archive.File {
			names = append(names, f.Name)
		}
		return names
	}
	content, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	unpacked, err := gzip.NewReader(content)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(unpacked)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uname != "root" || header.ModTime.UTC().Format("2006-01-02") != "2026-01-02" {
			t.Errorf("%s is of %s, %s", header.Name, header.Uname, header.ModTime)
		}
		names = append(names, header.Name)
	}
}
