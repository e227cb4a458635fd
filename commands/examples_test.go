package commands

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"hakanai/crypto"
	"hakanai/httpapi/api"
)

// What the examples of the API's description are about.
const (
	exampleID    = "3f1c9a52-7d64-4b0e-9c28-51e0d6a7b3f4"
	exampleClaim = "7Qb1Zr0nYw5mC2hVfJ8sXk3tLdEoGu9aPi4WqRzNxMY"
)

// TestTheExamplesOfTheAPIAreReal runs the command lines that /docs shows, as a reader would, each on a secret of its own.
// What they retrieve is what the page says, and opens with the key that it tells.
func TestTheExamplesOfTheAPIAreReal(t *testing.T) {
	d := startServe(t, []string{"--data-dir", t.TempDir(), "--enable-admin-token", "--trusted-ip-ranges", "127.0.0.0/8"})
	page := d.docs()
	ran := 0
	for _, example := range page.examples {
		command, want := example.command, "200"
		if strings.Contains(command, exampleID) {
			id := d.createExample(page.first("createSecret"))
			command = strings.Replace(command, exampleID, id, 1)
			if strings.Contains(command, "-X DELETE") { // who has claimed it ends that
				d.run(strings.Replace(page.first("retrieveSecret"), exampleID, id, 1) + " -H '" + api.ClaimHeader + ": " + exampleClaim + "'")
				want = "204"
			}
		}
		body, status := d.run(command)
		if ran++; status != want {
			t.Errorf("%s is answered %s, want %s\n%s", example.operation, status, want, command)
		}
		if example.operation == "retrieveSecret" || example.operation == "openLink" {
			page.wantOpens(t, body)
		}
	}
	if ran < 12 {
		t.Errorf("there are only %d examples", ran)
	}
}

// docsPage is what the page /docs shows.
type docsPage struct {
	text     string
	examples []docsExample
}

type docsExample struct{ operation, command string }

func (d *daemon) docs() (page docsPage) {
	d.t.Helper()
	response, err := http.Get(d.url + "/docs")
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	page.text = string(text)
	for _, operation := range regexp.MustCompile(`(?s)<article class="operation" id="([^"]+)">(.*?)</article>`).FindAllStringSubmatch(page.text, -1) {
		for _, command := range regexp.MustCompile(`(?s)<pre class="shell"[^>]*>(.*?)</pre>`).FindAllStringSubmatch(operation[2], -1) {
			page.examples = append(page.examples, docsExample{operation[1], html.UnescapeString(command[1])})
		}
	}
	return page
}

// first is an operation's first command.
func (p docsPage) first(operation string) string {
	for _, example := range p.examples {
		if example.operation == operation {
			return example.command
		}
	}
	return "false"
}

// wantOpens opens what was retrieved.
func (p docsPage) wantOpens(t *testing.T, body string) {
	t.Helper()
	if !strings.Contains(html.UnescapeString(p.text), ">"+body+"</pre>") {
		t.Errorf("the page does not show %s", body)
	}
	told := regexp.MustCompile(`#([A-Za-z0-9_-]{43}:[A-Za-z0-9_-]{22})`).FindStringSubmatch(p.text)
	if told == nil {
		t.Fatal("the page tells no key")
	}
	fragment, err := crypto.ParseFragment(told[1])
	if err != nil {
		t.Fatal(err)
	}
	ciphertext, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		t.Fatal(err)
	}
	if content, err := crypto.Open(ciphertext, fragment); err != nil || string(content.Data) != "Hello, Hakanai!" {
		t.Errorf("it opens to %q (%v)", content.Data, err)
	}
}

func (d *daemon) createExample(command string) (id string) {
	d.t.Helper()
	body, _ := d.run(command)
	var created api.CreateResponse
	if err := json.Unmarshal([]byte(body), &created); err != nil {
		d.t.Fatalf("%s\nprints %s", command, body)
	}
	return created.ID
}

// run runs a command line of curl in a shell, and returns the answer's body and status.
func (d *daemon) run(command string) (body, status string) {
	d.t.Helper()
	shell := exec.Command("sh", "-c", strings.Replace(command, "curl", `curl --silent --show-error --write-out '\n%{http_code}'`, 1))
	shell.Env = append(os.Environ(), "HAKANAI_SERVER="+d.url, "HAKANAI_TOKEN="+d.token, "HAKANAI_ADMIN_TOKEN="+d.admin, "no_proxy=*")
	shell.Stderr = os.Stderr
	out, err := shell.Output()
	if err != nil {
		d.t.Fatalf("%s\n%v", command, err)
	}
	at := strings.LastIndexByte(string(out), '\n')
	return strings.TrimSpace(string(out[:at])), string(out[at+1:])
}
