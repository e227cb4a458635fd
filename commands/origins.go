package commands

import (
	"strings"

	"github.com/urfave/cli/v2"

	"hakanai/httpapi"
)

// originsFlag is the setting of serve that says whose pages may use it.
func originsFlag(list *originList) cli.Flag {
	return &cli.GenericFlag{
		Name: "cors-allowed-origins", EnvVars: []string{"HAKANAI_CORS_ALLOWED_ORIGINS"}, Value: list, DefaultText: "none: CORS is off",
		Usage: "the `ORIGINS` (such as https://app.example.com, comma-separated) whose pages may use the API from a browser",
	}
}

// originList is a flag's list of origins, as browsers write them.
type originList []string

// Set implements flag.Value. Each call replaces the list.
func (o *originList) Set(text string) error {
	*o = nil
	if text == "" || text == "none" {
		return nil
	}
	for _, entry := range strings.Split(text, ",") {
		origin, err := httpapi.ParseOrigin(strings.TrimSpace(entry))
		if err != nil {
			return err
		}
		*o = append(*o, origin)
	}
	return nil
}

// String implements flag.Value.
func (o *originList) String() string { return strings.Join(*o, ",") }
