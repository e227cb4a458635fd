package commands

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"hakanai/httpapi/api"
)

// What --json prints, one object on a line. Fields may be added; those that are there stay.

// sentResult is what send has done.
type sentResult struct {
	Link         string            `json:"link"`          // without its key if that is apart
	Key          string            `json:"key,omitempty"` // KEY:HASH, with --separate-key
	ID           string            `json:"id"`
	Filename     string            `json:"filename,omitempty"` // of a file; a text has none
	Size         int               `json:"size"`               // bytes of the secret
	ExpiresAt    time.Time         `json:"expires_at"`         // RFC 3339, in UTC
	Restrictions *sentRestrictions `json:"restrictions,omitempty"`
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

// receivedResult is what get has done. A secret that went to a file is not in it.
type receivedResult struct {
	Filename string   `json:"filename,omitempty"` // as the sender has it; a text has none
	Size     int      `json:"size"`               // bytes of the secret
	Text     *string  `json:"text,omitempty"`     // of what was not saved
	Data     []byte   `json:"data,omitempty"`     // the same in base64, where it is not UTF-8
	Paths    []string `json:"paths,omitempty"`    // where it was saved
}

// tokenResult is what token has made.
type tokenResult struct {
	Token           string    `json:"token"`
	ExpiresAt       time.Time `json:"expires_at"`                  // RFC 3339, in UTC
	UploadSizeLimit int64     `json:"upload_size_limit,omitempty"` // bytes; the server's own without it
}

func (p *program) jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print one JSON object for programs instead"}
}

func (p *program) quietFlag() cli.Flag {
	return &cli.BoolFlag{Name: "quiet", Destination: &p.quiet, Usage: "say nothing but errors"}
}

// printJSON prints a result.
func (p *program) printJSON(result any) error {
	encoder := json.NewEncoder(p.out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(result); err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	return nil
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
	p.say("whoever opens the link first gets the secret; unopened, it is gone in %s", (*duration)(&o.ttl))
	for _, line := range describe(o.restrictions) {
		p.say("%s", line)
	}
	if o.separateKey {
		p.say("send the key another way than the link")
	}
	return nil
}
