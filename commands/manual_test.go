package commands

import (
	"flag"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

var update = flag.Bool("update", false, "write docs/cli.md anew")

const reference = "../docs/cli.md"

func TestManualInDocsIsMadeOfTheDefinitions(t *testing.T) {
	want := newManual((&program{}).app()).markdown()
	if *update {
		if err := os.WriteFile(reference, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/cli.md is not what the definitions say; go test ./commands -run TestManual -update writes it anew")
	}
}

func TestTheManualTellsOfEveryCommandFlagVariableAndStatus(t *testing.T) {
	app := (&program{}).app()
	m := newManual(app)
	texts := map[string]string{"the man page": strings.ReplaceAll(m.roff(""), `\-`, "-"), "docs/cli.md": m.markdown()}
	var look func(name string, commands []*cli.Command)
	look = func(name string, commands []*cli.Command) {
		for _, command := range commands {
			full := name + " " + command.Name
			look(full, command.Subcommands)
			words := []string{full}
			for _, flag := range command.Flags {
				if !slices.Contains(flag.Names(), "help") {
					words = append(words, "--"+flag.Names()[0])
				}
				if documented, ok := flag.(cli.DocGenerationFlag); ok {
					words = append(words, documented.GetEnvVars()...)
				}
			}
			for where, text := range texts {
				for _, word := range words {
					if !strings.Contains(text, word) {
						t.Errorf("%s has nothing on %s of %s", where, word, full)
					}
				}
			}
		}
	}
	look(app.Name, app.Commands)
	for where, text := range texts {
		for _, word := range []string{"HAKANAI_TOKEN", "NO_COLOR", "130", "expires_at", "upload_size_limit", "paths"} {
			if !strings.Contains(text, word) {
				t.Errorf("%s has nothing on %s", where, word)
			}
		}
	}
}

func TestTheManPageIsWellFormed(t *testing.T) {
	lint := exec.Command("mandoc", "-Tlint", "-Wwarning")
	lint.Stdin = strings.NewReader(newManual((&program{}).app()).roff("2025-01-31"))
	if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestWhatIsDocumentedOfJSONIsWhatThereIs(t *testing.T) {
	for _, section := range newManual((&program{}).app()).sections {
		if !strings.HasPrefix(section.title, "JSON") {
			continue
		}
		for _, field := range section.items {
			if field.name == "" || field.name == "-" || field.text == "" {
				t.Errorf("%s: field %q means %q", section.title, field.name, field.text)
			}
		}
	}
}
