package commands

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"hakanai/crypto"
	"hakanai/files"
)

// From here on the server has the secret no more: whatever goes wrong, it must end up somewhere, and the person must
// know where.

// hand gives the content to the person or program that is to have it.
func (p *program) hand(content crypto.Content, o getOptions) error {
	switch {
	case o.exec:
		return p.run(content, o)
	case o.toStdout, !content.IsFile() && o.filename == "":
		if o.extract {
			p.say("it is a text, and no archive")
		}
		if o.toStdout && p.outTerminal && content.IsFile() && !isText(content.Data) {
			p.warn("the file is not for a terminal: it is saved instead")
			return p.save(content, o)
		}
		return p.show(content.Data, o.json)
	case o.extract && files.IsArchive(content.Data):
		return p.extract(content, o)
	case o.extract:
		p.say("it is no archive: it is saved as it is")
	}
	return p.save(content, o)
}

// show prints a text.
func (p *program) show(text []byte, asJSON bool) error {
	var err error
	if asJSON {
		err = p.printJSON(textResult(text))
	} else {
		err = p.print(text)
	}
	if err != nil {
		return p.rescue(text, files.SafeName(""), err)
	}
	return nil
}

func textResult(data []byte) receivedResult {
	result := receivedResult{Size: len(data)}
	if text := string(data); isText(data) {
		result.Text = &text
	} else {
		result.Data = data
	}
	return result
}

// save saves a file under its own name, or the one that the user chose.
func (p *program) save(content crypto.Content, o getOptions) error {
	name := o.filename
	if name == "" {
		name = files.SafeName(content.Filename)
	}
	path, err := files.Save(o.dir, name, content.Data)
	if err != nil {
		return p.rescue(content.Data, name, fmt.Errorf("saving the secret: %w", err))
	}
	if o.json {
		return p.printSaved(content, path)
	}
	if filepath.Base(path) != name {
		p.say("%s is there already, and stays as it is", filepath.Join(o.dir, name))
	}
	p.say("saved %s (%d bytes)", path, len(content.Data))
	return nil
}

// extract unpacks an archive, or saves it whole if that cannot be.
func (p *program) extract(content crypto.Content, o getOptions) error {
	paths, err := files.Extract(o.dir, content.Data)
	switch {
	case err == nil && o.json:
		return p.printSaved(content, paths...)
	case err == nil:
		for _, path := range paths {
			p.say("saved %s", path)
		}
		return nil
	}
	err = fmt.Errorf("unpacking the archive: %w", err)
	name := files.SafeName(content.Filename)
	path, saveErr := files.Save(o.dir, name, content.Data)
	if saveErr != nil {
		return p.rescue(content.Data, name, errors.Join(err, saveErr))
	}
	return withHint(err, "nothing of it was unpacked; the archive itself is in "+path)
}

// printSaved tells a program where a file is.
func (p *program) printSaved(content crypto.Content, paths ...string) error {
	err := p.printJSON(receivedResult{Filename: content.Filename, Size: len(content.Data), Paths: paths})
	if err != nil {
		return withHint(err, "the secret is not lost: it is in "+strings.Join(paths, ", "))
	}
	return nil
}

// rescue saves in another place what could not be handed on or saved, or prints it.
func (p *program) rescue(data []byte, name string, cause error) error {
	places := []string{os.TempDir()}
	for _, find := range []func() (string, error){os.Getwd, os.UserHomeDir} {
		if place, err := find(); err == nil {
			places = append(places, place)
		}
	}
	for _, place := range places {
		if path, err := files.Save(place, files.SafeName(name), data); err == nil {
			return withHint(cause, "the secret is not lost: it is in "+path)
		}
	}
	if err := p.print(data); err != nil {
		return errors.Join(cause, err, errors.New("the secret is lost: there is no place for it"))
	}
	return withHint(cause, "the secret is not lost: it went to standard output")
}

// print writes a text to standard output: byte for byte, but for a terminal without what would steer it.
func (p *program) print(data []byte) error {
	if p.outTerminal {
		text := visible(data)
		defer clear(text)
		data = text
	}
	if _, err := p.out.Write(data); err != nil {
		return fmt.Errorf("printing the secret: %w", err)
	}
	if p.outTerminal && !bytes.HasSuffix(data, []byte("\n")) {
		_, _ = io.WriteString(p.out, "\n")
	}
	return nil
}

// withoutCredentials is an environment without what is for this program alone.
func withoutCredentials(environment []string) []string {
	return slices.DeleteFunc(environment, func(setting string) bool {
		name, _, _ := strings.Cut(setting, "=")
		return name == passphraseVariable || name == requirePassphraseVariable || name == tokenVariable
	})
}

// run hands the secret to a command, and ends with its exit status.
func (p *program) run(content crypto.Content, o getOptions) error {
	command := exec.Command(o.command[0], o.command[1:]...) //nolint:gosec,noctx // the user's own; a signal is for the command
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(content.Data), p.out, p.err
	command.Env = withoutCredentials(os.Environ())
	name := files.SafeName(content.Filename)
	if o.variable != "" {
		if bytes.IndexByte(content.Data, 0) >= 0 {
			return p.rescue(content.Data, name, errors.New("a variable cannot hold the secret: it has a NUL byte"))
		}
		command.Stdin = p.in
		command.Env = append(command.Env, o.variable+"="+strings.TrimSuffix(string(content.Data), "\n"))
	}
	// Of what comes from a terminal, an interrupt or its end, the command hears itself; get has caught it, and waits.
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	defer signal.Stop(terminate)
	if err := command.Start(); err != nil {
		return p.rescue(content.Data, name, fmt.Errorf("running the command: %w", err))
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case s := <-terminate:
			_ = command.Process.Signal(s) // it may have ended just now
		case <-ended:
		}
	}()
	err := command.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if status := exit.ExitCode(); status >= 0 {
		return exitStatus(status)
	}
	p.warn("the command had the secret, and was ended: %s", err)
	const killed = 128 // what shells add to a signal
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitStatus(killed + int(status.Signal()))
	}
	return exitStatus(statusFailed)
}
