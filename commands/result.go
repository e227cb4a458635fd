package commands

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/urfave/cli/v2"

	"hakanai/httpapi/api"
)

// What --json prints, one object on a line. Fields may be added; those that are there stay. The manual takes its words
// for them from the tags.

// sentResult is what send has done.
type sentResult struct {
	Link         string            `json:"link" doc:"without its key if that goes apart"`
	Key          string            `json:"key,omitempty" doc:"KEY:HASH, with --separate-key"`
	ID           string            `json:"id" doc:"the secret's, as it is in the link"`
	Filename     string            `json:"filename,omitempty" doc:"of a file; a text has none"`
	Size         int64             `json:"size" doc:"bytes of the secret"`
	ExpiresAt    time.Time         `json:"expires_at" doc:"RFC 3339, in UTC"`
	Restrictions *sentRestrictions `json:"restrictions,omitempty" doc:"allowed_ips, allowed_countries, allowed_asns: lists; passphrase: whether one is needed"`
}

type sentRestrictions struct {
	api.Restrictions
	Passphrase bool `json:"passphrase"`
}

// restrict says who may retrieve the secret. The passphrase's hash is nobody's business.
func (r *sentResult) restrict(restrictions api.Restrictions) {
	if restrictions.None() {
		return
	}
	r.Restrictions = &sentRestrictions{Restrictions: restrictions, Passphrase: restrictions.PassphraseHash != nil}
	r.Restrictions.PassphraseHash = nil
}

// receivedResult is what get has done.
type receivedResult struct {
	Filename string   `json:"filename,omitempty" doc:"as the sender has it, so that it can be anything; a text has none"`
	Size     int      `json:"size" doc:"bytes of the secret"`
	Text     *string  `json:"text,omitempty" doc:"of a secret that was not saved"`
	Data     []byte   `json:"data,omitempty" doc:"the same in base64, where it is not UTF-8 or has a NUL byte"`
	Paths    []string `json:"paths,omitempty" doc:"where it was saved: of an archive that was unpacked, what is new in the directory"`
}

// tokenResult is what token has made.
type tokenResult struct {
	Token           string    `json:"token" doc:"the new token"`
	ExpiresAt       time.Time `json:"expires_at" doc:"RFC 3339, in UTC"`
	UploadSizeLimit int64     `json:"upload_size_limit,omitempty" doc:"bytes; without it the server's own limit"`
}

func (p *program) jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print one JSON object for programs instead"}
}

func (p *program) quietFlag() cli.Flag {
	return &cli.BoolFlag{Name: "quiet", Destination: &p.quiet, Usage: "say nothing but errors"}
}

// printJSON prints a result.
func (p *program) printJSON(result any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(result)
	if err == nil {
		_, err = io.WriteString(p.out, escapeUnprintable(text.String()))
	}
	if err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	return nil
}

// escapeUnprintable escapes in JSON what JSON itself leaves and terminals obey, such as changes of direction.
func escapeUnprintable(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch high, low := utf16.EncodeRune(r); {
		case r == '\n' || r == ' ' || unicode.IsPrint(r):
			b.WriteRune(r)
		case high != unicode.ReplacementChar:
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// showSent prints the link: alone for programs, set off from the rest for people.
func (p *program) showSent(sent sentResult, o sendOptions) error {
	text := sent.Link + "\n"
	switch {
	case o.json:
		if err := p.printJSON(sent); err != nil {
			return err
		}
		text = ""
	case p.outTerminal && o.separateKey:
		text = "\nLink:\n\n    " + sent.Link + "\n\nKey:\n\n    " + sent.Key + "\n\n"
	case p.outTerminal:
		text = "\n    " + sent.Link + "\n\n"
	case o.separateKey:
		text += sent.Key + "\n"
	}
	if _, err := io.WriteString(p.out, text); err != nil {
		return fmt.Errorf("printing the link: %w", err)
	}
	if o.qrCode {
		p.showQR(sent.Link)
	}
	p.say("the first to open the link gets the secret; unopened, it is gone in %s", (*duration)(&o.ttl))
	for _, line := range describe(o.restrictions) {
		p.say("%s", line)
	}
	switch {
	case o.separateKey && (p.outTerminal || o.json):
		p.say("send the key another way than the link")
	case o.separateKey:
		p.say("the second line is the key: send it another way than the link")
	}
	return nil
}
