package commands

import (
	"bufio"
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
			"server": cmdServer,
			"status": cmdStatus,
			"let":    cmdLet,
			"mode":   cmdMode,
			"same":   cmdSame,
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
