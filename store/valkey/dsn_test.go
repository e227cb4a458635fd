package valkey

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDSNsAreUnderstood(t *testing.T) {
	for text, want := range map[string]DSN{
		"redis://localhost":               {addresses: []string{"localhost:6379"}},
		"valkey://localhost:7000/":        {addresses: []string{"localhost:7000"}},
		"REDIS://localhost/3":             {addresses: []string{"localhost:6379"}, database: 3},
		"redis://localhost?db=3":          {addresses: []string{"localhost:6379"}, database: 3},
		"redis://[::1]":                   {addresses: []string{"[::1]:6379"}},
		"redis://[fe80::1%25eth0]:7000":   {addresses: []string{"[fe80::1%25eth0]:7000"}},
		"redis://:pass@h":                 {addresses: []string{"h:6379"}, password: "pass"},
		"redis://me:pa%3Fs%23s%25@h":      {addresses: []string{"h:6379"}, user: "me", password: "pa?s#s%"},
		"redis://me:p@ss:w/rd@h":          {addresses: []string{"h:6379"}, user: "me", password: "p@ss:w/rd"},
		"redis://a,b:7001":                {addresses: []string{"a:6379", "b:7001"}},
		"redis://a?addr=b:1&addr=c":       {addresses: []string{"a:6379", "b:1", "c:6379"}},
		"unix:///run/valkey.sock":         {addresses: []string{"/run/valkey.sock"}, unix: true},
		"unix://me:pass@/run/v.sock?db=1": {addresses: []string{"/run/v.sock"}, unix: true, user: "me", password: "pass", database: 1},
		"redis://a,b:1/2?master=main":     {addresses: []string{"a:26379", "b:1"}, master: "main", database: 2},
		"redis://me:x@a?master=m&sentinel_user=s&sentinel_password=p%40": {
			addresses: []string{"a:26379"}, user: "me", password: "x", master: "m", sentinelUser: "s", sentinelPassword: "p@",
		},
	} {
		got, err := ParseDSN(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if a, b := fmt.Sprintf("%+v", visible(got)), fmt.Sprintf("%+v", visible(&want)); a != b {
			t.Errorf("%s is read as\n%s, want\n%s", text, a, b)
		}
	}
	for _, text := range []string{"rediss://h", "valkeys://h?server_name=valkey.example.com"} {
		got, err := ParseDSN(text)
		if err != nil || got.tls == nil {
			t.Errorf("%s: %v, TLS %v", text, err, got)
		}
	}
}

// visible is a DSN in a type that prints all of itself.
func visible(d *DSN) any {
	type plain DSN
	return plain(*d)
}

func TestDSNsThatCannotBeUnderstoodAreExplainedWithoutTheirPasswords(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const password = "hunter2"
	for text, want := range map[string]string{
		"hunter2":                    "must begin with redis://",
		"localhost:6379":             "must begin with redis://",
		"http://:hunter2@h":          "scheme must be",
		"redis://":                   "address 1: it has no host",
		"redis://:hunter2@":          "it has no host",
		"redis://a,,b":               "address 2: it has no host",
		"redis://:hunter2@h:0":       "port must be from 1 to 65535",
		"redis://:hunter2@h:65536":   "port must be from 1 to 65535",
		"redis://:hunter2@h:port":    "port must be from 1 to 65535",
		"redis://me:hunter2":         "port must be from 1 to 65535",
		"redis://h:1:hunter2":        "HOST or HOST:PORT",
		"redis://::1":                "with [ ] around an IPv6 address",
		"redis://a b":                "a character that no host has",
		"redis://:hunter2@h/x":       "database must be a number",
		"redis://:hunter2@h/-1":      "database must be a number",
		"redis://:hunter2@h/0/1":     "database must be a number",
		"redis://hunter2@h":          "a user and no password",
		"redis://me:hunter2%zz@h":    "percent-encoded",
		"redis://me:hunter2#1@h":     "%23",
		"redis://me:hunter2?x@h":     "%3F",
		"redis://h?pass%zz=hunter2":  "not well formed",
		"redis://h?password=hunter2": "an option that is not known",
		"redis://h?master=m&sentinel_password=hun&ter2hunter2": "an & in a password is written %26",
		"redis://h?db=1&db=2":                        "db is given more than once",
		"redis://h?master=":                          "option master is empty",
		"redis://h?sentinel_password=x":              "need master=NAME",
		"redis://h?master=m&sentinel_user=x":         "needs sentinel_password",
		"redis://a,b/1":                              "has database 0 alone",
		"redis://h?ca=x.pem":                         "need TLS",
		"rediss://h?ca=/missing.pem":                 "no such file",
		"rediss://h?ca=" + empty:                     "no PEM certificate",
		"rediss://h?cert=" + empty:                   "belong together",
		"rediss://h?key=" + empty + "&cert=" + empty: "options cert and key",
		"unix://run/valkey.sock":                     "absolute path",
		"unix:///a%zz":                               "not well formed",
		"unix:///a?addr=b":                           "no other address",
	} {
		_, err := ParseDSN(text)
		if err == nil {
			t.Errorf("%s is understood", text)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q does not say %q", text, err, want)
		}
		if strings.Contains(err.Error(), password) {
			t.Errorf("%s: %q holds the password", text, err)
		}
	}
}

func TestADSNNeverPrintsItsPasswords(t *testing.T) {
	d, err := ParseDSN("rediss://me:hunter2@a,b/1?master=m&sentinel_user=s&sentinel_password=hunter2")
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(d) //nolint:staticcheck // that it encodes nothing is what is tested
	if err != nil {
		t.Fatal(err)
	}
	holder := struct{ DSN *DSN }{d}
	for _, printed := range []string{
		d.String(), fmt.Sprintf("%v %+v %#v %s %q", d, d, d, d, d), fmt.Sprintf("%v %+v %#v", holder, holder, holder),
		fmt.Sprintf("%v %+v", *d, *d), string(encoded),
	} {
		if strings.Contains(printed, "hunter2") {
			t.Errorf("%s", printed)
		}
	}
}

func FuzzParseDSN(f *testing.F) {
	for _, text := range []string{
		"redis://localhost:6379", "rediss://me:pass@a,b:1/0?master=main&sentinel_user=u&sentinel_password=p",
		"unix://:p@/run/valkey.sock?db=2", "redis://[::1]:1?addr=h:2", "valkeys://h?server_name=x", "redis://:%@h",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "ca=") || strings.Contains(text, "cert=") {
			return // it names files
		}
		d, err := ParseDSN(text)
		if err != nil {
			return
		}
		if len(d.addresses) == 0 || d.database < 0 || d.unix && d.tls != nil {
			t.Errorf("%q is read as %+v", text, visible(d))
		}
		if len(d.password) > 6 && !strings.Contains(strings.Join(d.addresses, ",")+d.master, d.password) &&
			strings.Contains(d.String(), d.password) {
			t.Errorf("%q prints its password: %s", text, d)
		}
		d.options()
	})
}
