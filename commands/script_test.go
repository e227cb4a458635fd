package commands

import (
	"archive/zip"
	"bufio"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"hakanai": func() { os.Exit(Main(os.Args, os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestCommands runs testdata/*.txt: what a person types, and what comes of it.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("TMPDIR", env.WorkDir+"/.tmp")
			return os.MkdirAll(env.WorkDir+"/.tmp", 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server":  cmdServer,
			"status":  cmdStatus,
			"let":     cmdLet,
			"mode":    cmdMode,
			"same":    cmdSame,
			"field":   cmdField,
			"archive": cmdArchive,
		},
	})
}

// server DIR [FLAG...] starts a server on a data directory, and sets HAKANAI_SERVER, and HAKANAI_TOKEN and ADMIN_TOKEN if
// it is the first start. Its log is at hand as $DIR.log. It must end well when the script does.
func cmdServer(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	cmd := exec.Command("hakanai", append([]string{"serve", "--port", "0", "--data-dir", dir}, args[1:]...)...)
	cmd.Env = append(os.Environ(), "PATH="+ts.Getenv("PATH"))
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	path, err := exec.LookPath("hakanai")
	ts.Check(err)
	cmd.Path, cmd.Err = path, nil
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil && err.Error() != "signal: killed" {
			ts.Fatalf("the server: %v", err)
		}
	})
	log, err := os.Create(dir + ".log")
	ts.Check(err)
	lines, admin := bufio.NewScanner(stderr), false
	for lines.Scan() {
		_, err := log.WriteString(lines.Text() + "\n")
		ts.Check(err)
		admin = admin || strings.Contains(lines.Text(), "the admin token")
		if found := tokenLine.FindStringSubmatch(lines.Text()); found != nil && admin {
			ts.Setenv("ADMIN_TOKEN", found[1])
		} else if found != nil {
			ts.Setenv("HAKANAI_TOKEN", found[1])
			ts.Setenv("TOKEN", found[1])
		}
		if found := addressLine.FindStringSubmatch(lines.Text()); found != nil {
			ts.Setenv("HAKANAI_SERVER", found[1])
			ts.Setenv("SERVER_PID", strconv.Itoa(cmd.Process.Pid))
			ts.Setenv("SERVER_PORT", found[1][strings.LastIndex(found[1], ":")+1:])
			go func() {
				for lines.Scan() {
					_, _ = log.WriteString(lines.Text() + "\n")
				}
				_ = log.Close()
			}()
			return
		}
	}
	ts.Fatalf("the server has not started: %s", ts.ReadFile(dir+".log"))
}

// status N COMMAND... runs a command that must exit with a status.
func cmdStatus(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // Exec returns it bare
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("the exit status is %d, want %d", got, want)
	}
}

// let NAME [N] keeps the whole of standard output, or its line N, in a variable.
func cmdLet(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.TrimSuffix(ts.ReadFile("stdout"), "\n")
	if len(args) > 1 {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		text = strings.Split(text, "\n")[n-1]
	}
	ts.Setenv(args[0], text)
}

// field NAME FIELD keeps a field of the JSON object on standard output in a variable.
func cmdField(ts *testscript.TestScript, _ bool, args []string) {
	var object map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &object))
	text, ok := object[args[1]].(string)
	if !ok {
		ts.Fatalf("there is no %s", args[1])
	}
	ts.Setenv(args[0], text)
}

// archive FILE ENTRY... makes a ZIP archive of NAME=CONTENT, NAME=@FILE and NAME->TARGET, a symbolic link.
func cmdArchive(ts *testscript.TestScript, _ bool, args []string) {
	file, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	archive := zip.NewWriter(file)
	for _, entry := range args[1:] {
		header := &zip.FileHeader{Method: zip.Deflate}
		name, content, link := strings.Cut(entry, "->")
		if link {
			header.SetMode(fs.ModeSymlink | 0o777)
		} else {
			name, content, _ = strings.Cut(entry, "=")
		}
		if from, found := strings.CutPrefix(content, "@"); found {
			content = ts.ReadFile(from)
		}
		header.Name = name
		w, err := archive.CreateHeader(header)
		ts.Check(err)
		_, err = io.WriteString(w, content)
		ts.Check(err)
	}
	ts.Check(archive.Close())
	ts.Check(file.Close())
}

// mode OCTAL FILE checks a file's permissions.
func cmdMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// same FILE FILE compares bytes; stdout is a file too.
func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	if equal := ts.ReadFile(args[0]) == ts.ReadFile(args[1]); equal == neg {
		ts.Fatalf("%s and %s: same is %t", args[0], args[1], equal)
	}
}
