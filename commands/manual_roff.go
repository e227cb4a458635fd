package commands

import (
	"fmt"
	"strings"
)

// roff gives the manual as a man page (man(7), in what groff and mandoc both know).
func (m manual) roff(date string) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH HAKANAI 1 \"%s\" \"hakanai\" \"User Commands\"\n", date)
	b.WriteString(".SH NAME\nhakanai \\- share a secret once\n.SH SYNOPSIS\n.nf\n")
	for _, p := range m.commands {
		b.WriteString(roffLine(strings.TrimSpace(`\fB` + roffText(p.name) + `\fR ` + roffText(p.synopsis))))
	}
	b.WriteString(".fi\n.SH COMMANDS\n")
	for _, p := range m.commands {
		p.roff(&b)
	}
	for _, s := range m.sections {
		s.roff(&b)
	}
	return b.String()
}

func (p page) roff(b *strings.Builder) {
	fmt.Fprintf(b, ".SS %s\n", strings.TrimSpace(roffText(p.name)+" "+roffText(p.synopsis)))
	b.WriteString(roffLines(roffText(sentence(p.usage))))
	if p.description != "" {
		b.WriteString(".PP\n")
		for line := range strings.SplitSeq(p.description, "\n") {
			b.WriteString(roffLines(roffText(line)))
		}
	}
	b.WriteString(".PP\nExamples:\n.PP\n.RS 4\n.nf\n")
	for _, example := range p.examples {
		b.WriteString(roffLine(roffText(example)))
	}
	b.WriteString(".fi\n.RE\n")
	for _, o := range p.flags {
		names := make([]string, 0, len(o.Names))
		for _, name := range o.Names {
			names = append(names, `\fB`+roffText(name)+`\fR`)
		}
		title := strings.Join(names, ", ")
		if o.Value != "" {
			title += ` \fI` + roffText(o.Value) + `\fR`
		}
		b.WriteString(".TP\n" + roffLine(title) + roffLines(roffText(sentence(o.Usage))))
		if o.Default != "" {
			b.WriteString(roffLine(roffText("Default: " + o.Default + ".")))
		}
		if len(o.Variables) > 0 {
			b.WriteString(roffLine(`Variable: \fB` + roffText(strings.Join(o.Variables, ", ")) + `\fR.`))
		}
	}
}

func (s section) roff(b *strings.Builder) {
	fmt.Fprintf(b, ".SH %s\n", roffText(strings.ToUpper(s.title)))
	for i, paragraph := range s.paragraphs {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		b.WriteString(roffLines(roffMarked(paragraph)))
	}
	for _, t := range s.items {
		b.WriteString(".TP\n" + roffLine(`\fB`+roffText(t.name)+`\fR`) + roffLines(roffMarked(t.text)))
	}
}

// roffText escapes a text.
func roffText(text string) string {
	return strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`, `"`, `\(dq`).Replace(text)
}

// roffMarked escapes a text in which `code` is marked.
func roffMarked(text string) string {
	var b strings.Builder
	for i, part := range strings.Split(text, "`") {
		if part = roffText(part); i%2 == 1 {
			part = `\fB` + part + `\fR`
		}
		b.WriteString(part)
	}
	return b.String()
}

// roffLine makes a line that is no request, whatever it begins with.
func roffLine(text string) string {
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text + "\n"
}

// roffLines makes as many lines of a text as keep it readable in its source.
func roffLines(text string) string {
	const width = 78
	var b strings.Builder
	for _, line := range wrap(text, width) {
		b.WriteString(roffLine(line))
	}
	return b.String()
}

// sentence makes one of a usage: they are written without a capital and a full stop.
func sentence(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
