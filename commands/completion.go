package commands

import (
	"embed"
	"io"
	"slices"
	"strings"
	"text/template"

	"github.com/urfave/cli/v2"
)

// completions holds a template for each shell. What is made of it knows all commands and flags by itself and never runs
// hakanai: pressing tab does nothing to a secret.
//
//go:embed completions/*
var completions embed.FS //nolint:gochecknoglobals // the only way to embed

func (p *program) completionCommand() *cli.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cli.Command{
		Name:      "completion",
		Usage:     "print what completes commands and flags in a shell",
		ArgsUsage: strings.Join(shells, "|"),
		UsageText: `source <(hakanai completion bash)
hakanai completion bash >~/.local/share/bash-completion/completions/hakanai
hakanai completion zsh >"${fpath[1]}/_hakanai"
hakanai completion fish >~/.config/fish/completions/hakanai.fish`,
		Description: "The script stands by itself: it has to be made again when hakanai is updated, and it never runs hakanai.",
		Action: func(c *cli.Context) error {
			shell := c.Args().First()
			if c.Args().Len() != 1 {
				return usageError("completion takes the name of one shell: %s", strings.Join(shells, ", "))
			}
			if !slices.Contains(shells, shell) {
				return suggest(usageError("there is no completion for %q, only for %s", shell, strings.Join(shells, ", ")), nearest(shell, shells))
			}
			return writeCompletion(p.out, shell, c.App)
		},
	}
}

// node is a command in the tree of them.
type node struct {
	Path     string // such as hakanai admin
	Name     string
	Usage    string
	Commands []node
	Options  []option
	Words    []string // that it takes as its argument
	Runs     bool     // a command that is given after --
}

// tree is the program's commands.
func tree(name, parent, usage string, commands []*cli.Command, flags []cli.Flag) node {
	n := node{Path: strings.TrimSpace(parent + " " + name), Name: name, Usage: usage, Options: append(options(flags), helpOption())}
	for _, command := range commands {
		child := tree(command.Name, n.Path, command.Usage, command.Subcommands, command.Flags)
		child.Runs = strings.Contains(command.ArgsUsage, "-- ")
		if !child.Runs && command.ArgsUsage != "" {
			child.Words = strings.Split(command.ArgsUsage, "|")
		}
		n.Commands = append(n.Commands, child)
	}
	return n
}

// All is the node and what is below it, the root first.
func (n node) All() []node {
	all := []node{n}
	for _, child := range n.Commands {
		all = append(all, child.All()...)
	}
	return all
}

// Function is the name of the node's function in a shell.
func (n node) Function() string { return "_" + strings.NewReplacer(" ", "_", "-", "_").Replace(n.Path) }

// Taking lists the node's options whose value is a FILE or a DIR, or for "" those that take another, as bash's case does.
func (n node) Taking(value string) string {
	var names []string
	for _, o := range n.Options {
		another := o.Value != "" && o.Value != "FILE" && o.Value != "DIR"
		if another && value == "" || value != "" && o.Value == value {
			names = append(names, o.Names...)
		}
	}
	return strings.Join(names, " | ")
}

func writeCompletion(out io.Writer, shell string, app *cli.App) error {
	functions := template.FuncMap{
		"join": strings.Join,
		"trim": func(name string) string { return strings.TrimLeft(name, "-") },
		"long": func(name string) bool { return strings.HasPrefix(name, "--") },
		// Inside single quotes.
		"zsh":  strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `:`, `\:`, `'`, `'\''`).Replace,
		"fish": strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace,
	}
	script, err := template.New(shell).Funcs(functions).ParseFS(completions, "completions/"+shell)
	if err != nil {
		return err
	}
	return script.ExecuteTemplate(out, shell, tree(app.Name, "", app.Usage, app.Commands, app.Flags))
}
