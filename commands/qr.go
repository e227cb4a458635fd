package commands

import (
	"bytes"
	"fmt"
	"io"

	"github.com/mdp/qrterminal/v3"
)

// maxQR is the longest link that is shown as a QR code, in bytes: one of it still has room in 80 columns (version 14, with its margin).
const maxQR = 458

// quietZone is the white margin that a reader needs, in modules; ISO/IEC 18004 says four, and two do.
const quietZone = 2

// showQR shows a link as a QR code. It brings its own colours, so that it is dark on light on every terminal.
func (p *program) showQR(link string) {
	if len(link) > maxQR {
		p.warn("the link is too long for a QR code")
		return
	}
	var code bytes.Buffer
	qrterminal.GenerateWithConfig(link, qrterminal.Config{
		Level: qrterminal.L, Writer: &code, HalfBlocks: true, QuietZone: quietZone,
	})
	const whiteOnBlack = "\x1b[97;40m"
	for line := range bytes.Lines(code.Bytes()) {
		if line = bytes.TrimRight(line, "\n"); p.errTerminal {
			line = fmt.Appendf(nil, "%s%s%s", whiteOnBlack, line, plain)
		}
		_, _ = io.WriteString(p.err, string(line)+"\n") // there is nobody else to show it to
	}
}
