package commands

import (
	"os"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"hakanai/httpapi"
)

// maxLegalText bounds a text of the operator's, which is kept in memory.
const maxLegalText = 256 << 10

// pageFlags are the settings of serve that say what its pages show, and what is published about who runs it.
func pageFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{
			Name: "show-token-input", EnvVars: []string{"HAKANAI_SHOW_TOKEN_INPUT"},
			Usage: "let the web page ask for a token even where none is needed",
		},
		&cli.StringFlag{
			Name: "impressum-file", EnvVars: []string{"HAKANAI_IMPRESSUM_FILE"}, DefaultText: "none",
			Usage: "the plain text in `FILE` becomes the page /impressum",
		},
		&cli.StringFlag{
			Name: "privacy-file", EnvVars: []string{"HAKANAI_PRIVACY_FILE"}, DefaultText: "none",
			Usage: "the plain text in `FILE` becomes the page /privacy",
		},
	}
}

// readLegal reads the texts, so that a file that is missing shows at the start and not to a visitor.
func readLegal(c *cli.Context, options *httpapi.Options) error {
	for name, text := range map[string]*string{"impressum-file": &options.Impressum, "privacy-file": &options.Privacy} {
		path := c.String(name)
		if path == "" {
			continue
		}
		content, err := os.ReadFile(path) //nolint:gosec // the operator names it
		if err != nil {
			return usageError("--%s cannot be read: %w", name, err)
		}
		*text = strings.TrimSpace(strings.TrimPrefix(string(content), "\ufeff"))
		switch {
		case len(content) > maxLegalText:
			return usageError("--%s has more than %d bytes", name, maxLegalText)
		case !utf8.Valid(content) || strings.ContainsRune(*text, 0):
			return usageError("--%s is not plain text in UTF-8", name)
		case *text == "":
			return usageError("--%s is empty", name)
		}
	}
	return nil
}
