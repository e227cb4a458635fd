package commands

import (
	"fmt"
	"strings"
)

// markdown gives the manual as docs/cli.md.
func (m manual) markdown() string {
	var b strings.Builder
	b.WriteString("# The command line\n\n" +
		"This page is made from the program's own definitions, as are `hakanai man` and `hakanai COMMAND --help`.\n\n" +
		"What was asked for goes to standard output, everything else to standard error. Flags may come before or after other\n" +
		"arguments.\n")
	for _, p := range m.commands {
		p.markdown(&b)
	}
	for _, s := range m.sections {
		s.markdown(&b)
	}
	return b.String()
}

func (p page) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n", p.name, markdownText(sentence(p.usage)))
	if p.description != "" {
		b.WriteString("\n" + markdownText(p.description) + "\n")
	}
	fmt.Fprintf(b, "\n```sh\n%s\n```\n\n", strings.Join(append([]string{strings.TrimSpace("# " + p.name + " " + p.synopsis)}, p.examples...), "\n"))
	if len(p.flags) == 0 {
		return
	}
	b.WriteString("| flag | what it does | default | variable |\n|---|---|---|---|\n")
	for _, o := range p.flags {
		title := "`" + strings.Join(o.Names, "`, `") + "`"
		if o.Value != "" {
			title += " " + o.Value
		}
		variables := ""
		if len(o.Variables) > 0 {
			variables = "`" + strings.Join(o.Variables, "`, `") + "`"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", title, markdownText(o.Usage), markdownText(o.Default), variables)
	}
}

func (s section) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n", s.title)
	for _, paragraph := range s.paragraphs {
		b.WriteString("\n" + paragraph + "\n")
	}
	if len(s.items) > 0 {
		b.WriteString("\n")
	}
	for _, t := range s.items {
		mark := "`" // of a word that is typed
		if strings.Contains(t.name, " ") {
			mark = "**"
		}
		fmt.Fprintf(b, "- %s%s%s: %s\n", mark, t.name, mark, t.text)
	}
}

// markdownText escapes a text that has no marks in it.
func markdownText(text string) string {
	return strings.NewReplacer("*", `\*`, "_", `\_`, "<", `\<`, "|", `\|`, "$", `\$`, "`", "\\`").Replace(text)
}
