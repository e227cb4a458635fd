package commands

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"hakanai/store/valkey"
	"hakanai/telemetry"
)

// category is a part of serve's settings.
type category struct {
	title string
	flags []cli.Flag
}

// inCategories gives each flag its category, and returns all of them.
func inCategories(categories ...category) (all []cli.Flag) {
	for _, c := range categories {
		for _, flag := range c.flags {
			switch f := flag.(type) {
			case *cli.BoolFlag:
				f.Category = c.title
			case *cli.IntFlag:
				f.Category = c.title
			case *cli.StringFlag:
				f.Category = c.title
			case *cli.GenericFlag:
				f.Category = c.title
			}
		}
		all = append(all, c.flags...)
	}
	return all
}

// settings are the values of flags, as text.
type settings map[string]string

// defaultSettings are those that flags have before anything is read.
func defaultSettings(flags []cli.Flag) settings {
	defaults := make(settings)
	for _, flag := range flags {
		switch f := flag.(type) {
		case *cli.BoolFlag:
			defaults[f.Name] = strconv.FormatBool(f.Value)
		case cli.DocGenerationFlag:
			defaults[flag.Names()[0]] = f.GetValue()
		}
	}
	return defaults
}

// changed are the settings that are not the defaults, as a log may show them. Types of our own mask themselves; of the
// library's texts those are shown that are known to hold no secret.
func (defaults settings) changed(c *cli.Context) settings {
	changed := make(settings)
	for _, flag := range c.Command.Flags {
		name := flag.Names()[0]
		value := fmt.Sprint(c.Generic(name))
		if value == defaults[name] || name == "help" {
			continue
		}
		if _, isText := flag.(*cli.StringFlag); isText && !slices.Contains(plainSettings(), name) {
			value = maskedText(name, value)
		}
		changed[name] = value
	}
	if os.Getenv(telemetry.EndpointVariable) != "" { // it has no flag
		changed[telemetry.EndpointVariable] = "set"
	}
	return changed
}

// strayVariables are those of the environment that look like settings and are none: somebody has mistyped them. What
// Kubernetes makes of a service that is called hakanai is not meant for the server.
func strayVariables(c *cli.Context, environment []string) (stray []string) {
	known := []string{"HAKANAI_TOKEN", "HAKANAI_SERVICE_HOST", "HAKANAI_SERVICE_PORT"}
	var collect func(commands []*cli.Command)
	collect = func(commands []*cli.Command) {
		for _, command := range commands {
			collect(command.Subcommands)
			for _, o := range options(command.Flags) {
				known = append(known, o.Variables...)
			}
		}
	}
	collect(c.App.Commands)
	for _, entry := range environment {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "HAKANAI_") && !strings.HasPrefix(name, "HAKANAI_PORT_") && !slices.Contains(known, name) {
			stray = append(stray, name)
		}
	}
	return stray
}

// plainSettings are the texts that hold no secret.
func plainSettings() []string {
	return strings.Fields("listen data-dir redis-wait-replicas trusted-ip-header country-header asn-header impressum-file privacy-file")
}

// maskedText is what is shown of a text that may hold a secret.
func maskedText(name, value string) string {
	if name == "redis-dsn" {
		if dsn, err := valkey.ParseDSN(value); err == nil {
			return dsn.String()
		}
	}
	return "set"
}
