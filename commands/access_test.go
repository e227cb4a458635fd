//go:build unix

package commands

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"hakanai/crypto"
	"hakanai/httpapi"
	"hakanai/httpapi/api"
	"hakanai/store"
	"hakanai/store/storetest"
	"hakanai/store/valkey/valkeytest"
)

// onBothStores runs a test against the program on the embedded store, and on Valkey. place is where the store is.
func onBothStores(t *testing.T, run func(t *testing.T, place []string)) {
	t.Run("embedded", func(t *testing.T) { run(t, []string{"--data-dir", t.TempDir()}) })
	t.Run("valkey", func(t *testing.T) { run(t, []string{"--redis-dsn", valkeytest.Standalone(t, nil).DSN()}) })
}

// startAt starts the program on a store, and waits until it serves.
func startAt(t *testing.T, place []string, flags ...string) *daemon {
	t.Helper()
	d := startServe(t, slices.Concat(place, flags))
	d.awaitReady()
	t.Cleanup(func() {
		asking.CloseIdleConnections() // a server waits for those that nothing was sent on
		if status := d.end(syscall.SIGTERM); status != 0 {
			t.Errorf("the server ended with %d:\n%s", status, strings.Join(d.notable(), "\n"))
		}
	})
	return d
}

// firstTokens waits until the tokens of a new store are printed.
func (d *daemon) firstTokens(admin bool) (user, adminToken string) {
	d.t.Helper()
	storetest.Eventually(d.t, "the tokens are printed", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		user, adminToken = d.token, d.admin
		return user != "" && (!admin || adminToken != "")
	})
	return user, adminToken
}

// answer is what came of a request.
type answer struct {
	status int
	header http.Header
	body   string
}

// asking keeps a connection for each of many that ask at once.
var asking = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 300}}

// ask makes a request with headers, given as name and value in turn.
func (d *daemon) ask(method, path, body string, headers ...string) answer {
	d.t.Helper()
	r, err := http.NewRequest(method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] != "" {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	response, err := asking.Do(r)
	if err != nil {
		d.t.Error(err)
		return answer{}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		d.t.Error(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

func bearerOf(token string) string {
	if token == "" {
		return ""
	}
	return "Bearer " + token
}

// createBody is a request's body for a ciphertext of some size.
func createBody(size int, restrictions string) string {
	if restrictions == "" {
		restrictions = "{}"
	}
	return bodyOf(storetest.Bytes(size), restrictions)
}

// bodyOf is a request's body for a ciphertext, with restrictions unless they are "".
func bodyOf(ciphertext []byte, restrictions string) string {
	if restrictions != "" {
		restrictions = `,"restrictions":` + restrictions
	}
	return `{"data":"` + base64.StdEncoding.EncodeToString(ciphertext) + `","expires_in":3600` + restrictions + `}`
}

// secret creates a secret with restrictions, and returns its path.
func (d *daemon) secret(token, restrictions string) string {
	d.t.Helper()
	a := d.ask(http.MethodPost, api.SecretPath, createBody(100, restrictions), "Authorization", bearerOf(token))
	var created api.CreateResponse
	if a.status != http.StatusOK || json.Unmarshal([]byte(a.body), &created) != nil {
		d.t.Fatalf("creating with %s gives %d %s", restrictions, a.status, a.body)
	}
	return api.SecretPath + "/" + created.ID
}

func TestWhoMayCreateAndHowMuch(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		flags := []string{"--upload-size-limit", "64k", "--trusted-ip-ranges", "198.51.100.0/24", "--enable-admin-token"}
		closed := startServe(t, slices.Concat(place, flags))
		closed.awaitReady()
		user, admin := closed.firstTokens(true)
		if got := closed.logged(user); len(got) > 2 || strings.Contains(strings.Join(got, ""), `"level"`) {
			t.Errorf("the token is in the log: %s", got)
		}
		token := func(request string) string {
			t.Helper()
			a := closed.ask(http.MethodPost, api.AdminTokensPath, request,
				"Authorization", bearerOf(admin), "X-Forwarded-For", "198.51.100.1")
			var made api.TokenResponse
			if a.status != http.StatusOK || json.Unmarshal([]byte(a.body), &made) != nil || len(made.Token) != 43 {
				t.Fatalf("making a token gives %d %s", a.status, a.body)
			}
			return made.Token
		}
		small, large := token(`{"upload_size_limit":1024}`), token(`{"upload_size_limit":131072,"ttl_seconds":3600}`)
		short := token(`{"ttl_seconds":1}`)
		time.Sleep(1100 * time.Millisecond)
		closed.end(syscall.SIGTERM)
		const trusted, stranger = "198.51.100.7", "192.0.2.7"
		bound := func(limit int64) int { return int(api.CiphertextBound(limit)) }
		type row struct {
			name      string
			anonymous bool
			scheme    string
			from      string
			size      int
			want      int
		}
		rows := []row{
			{"no token", false, "", stranger, 10, 401},
			{"no token, from a trusted range", false, "", trusted, 10, 401},
			{"unknown token", false, bearerOf(strings.Repeat("x", 43)), stranger, 10, 401},
			{"unknown token, from a trusted range", false, bearerOf(strings.Repeat("x", 43)), trusted, 10, 401},
			{"expired token", false, bearerOf(short), stranger, 10, 401},
			{"admin token", false, bearerOf(admin), stranger, 10, 401},
			{"another scheme", false, "Basic " + user, stranger, 10, 401},
			{"no scheme", false, user, stranger, 10, 401},
			{"token", false, bearerOf(user), stranger, 10, 200},
			{"token, scheme in lower case", false, "bearer " + user, stranger, 10, 200},
			{"token, at the server's limit", false, bearerOf(user), stranger, bound(64 << 10), 200},
			{"token, over the server's limit", false, bearerOf(user), stranger, bound(64<<10) + 1, 413},
			{"token, over it, from a trusted range", false, bearerOf(user), trusted, 4 * bound(64<<10), 200},
			{"small token at its limit", false, bearerOf(small), stranger, bound(1024), 200},
			{"small token over its limit", false, bearerOf(small), stranger, bound(1024) + 1, 413},
			{"large token over the server's limit", false, bearerOf(large), stranger, bound(128 << 10), 200},
			{"large token over its own", false, bearerOf(large), stranger, bound(128<<10) + 1, 413},
			{"anonymous", true, "", stranger, 10, 200},
			{"anonymous at the limit", true, "", stranger, bound(2 << 10), 200},
			{"anonymous over the limit", true, "", stranger, bound(2<<10) + 1, 413},
			{"anonymous over the limit, from a trusted range", true, "", trusted, bound(2<<10) + 1, 200},
			{"anonymous allowed, token over the anonymous limit", true, bearerOf(user), stranger, bound(64 << 10), 200},
			{"anonymous allowed, unknown token", true, bearerOf("wrong"), stranger, 10, 401},
			{"anonymous allowed, unknown token, trusted range", true, bearerOf("wrong"), trusted, 10, 401},
		}
		check := func(d *daemon, c row) {
			t.Helper()
			a := d.ask(http.MethodPost, api.SecretPath, createBody(c.size, ""), "Authorization", c.scheme, "X-Forwarded-For", c.from)
			if a.status != c.want {
				t.Errorf("%s: %d %s, want %d", c.name, a.status, a.body, c.want)
			}
			if (a.status == 401) != (a.header.Get("WWW-Authenticate") != "") {
				t.Errorf("%s: WWW-Authenticate is %q", c.name, a.header.Get("WWW-Authenticate"))
			}
		}
		for _, anonymous := range []bool{false, true} {
			more := flags
			if anonymous {
				more = append(more, "--allow-anonymous", "--anonymous-size-limit", "2k")
			}
			d := startServe(t, slices.Concat(place, more))
			d.awaitReady()
			for _, c := range rows {
				if c.anonymous == anonymous {
					check(d, c)
				}
			}
			d.end(syscall.SIGTERM)
		}
		open := startAt(t, place, append(flags, "--allow-anonymous", "--anonymous-size-limit", "2k")...)
		for _, c := range []struct{ scheme, from, want string }{
			{"", stranger, `"limits":{"upload":65536,"anonymous":2048,"caller":2048}`},
			{bearerOf(small), stranger, `"limits":{"upload":65536,"anonymous":2048,"caller":1024}`},
			{bearerOf(user), trusted, `"limits":{"upload":65536,"anonymous":2048,"caller":0}`},
			{bearerOf("wrong"), stranger, `"limits":{"upload":65536,"anonymous":2048}`},
		} {
			a := open.ask(http.MethodGet, api.ConfigPath, "", "Authorization", c.scheme, "X-Forwarded-For", c.from)
			if a.status != 200 || !strings.Contains(a.body, c.want) || a.header.Get("Cache-Control") != "private, max-age=300" {
				t.Errorf("the configuration is %d %s %v", a.status, a.body, a.header)
			}
		}
	})
}

func TestWhoIsRefusedIsNotReadToTheEnd(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		d := startAt(t, place, "--upload-size-limit", "1m", "--token-quota", fmt.Sprint(httpapi.QuotaFor(1<<20)))
		user, _ := d.firstTokens(false)
		authorized := "Authorization: Bearer " + user + "\r\n"
		for _, c := range []struct {
			name, headers string
			want          string
		}{
			{"too large", authorized + "Content-Length: 1099511627776\r\n", "413"},
			{"no token", "Content-Length: 1099511627776\r\n", "401"},
		} {
			if sent := d.sendUntilAnswered(c.headers, c.want, 0); sent > 0 {
				t.Errorf("%s: %d bytes were sent", c.name, sent)
			}
		}
		for headers, want := range map[string]string{authorized: "413", "": "401"} {
			if sent := d.sendUntilAnswered(headers+"Transfer-Encoding: chunked\r\n", want, 1<<40); sent > 8<<20 {
				t.Errorf("length not told, %s: %d bytes were taken", want, sent)
			}
		}
	})
}

// sendUntilAnswered posts a body without end, but of no more than most bytes, until there is an answer, whose status it
// checks. It tells how many bytes the system took.
func (d *daemon) sendUntilAnswered(headers, want string, most int64) (sent int64) {
	d.t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer connection.Close()
	_, _ = fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n", api.SecretPath, headers)
	var taken atomic.Int64
	go func() {
		chunk := []byte("10000\r\n" + strings.Repeat("A", 1<<16) + "\r\n")
		if most > 0 {
			_, _ = io.WriteString(connection, "9\r\n{\"data\":\"\r\n")
		}
		for taken.Load() < most {
			n, err := connection.Write(chunk)
			if taken.Add(int64(n)); err != nil {
				return
			}
		}
	}()
	_ = connection.SetReadDeadline(time.Now().Add(20 * time.Second))
	buffer := make([]byte, len("HTTP/1.1 200"))
	if _, err := io.ReadFull(connection, buffer); err != nil || string(buffer[9:]) != want {
		d.t.Errorf("%q: %q, %v, want %s", headers, buffer, err, want)
	}
	return taken.Load()
}

func TestTheAdminAPI(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		const trusted, stranger = "198.51.100.7", "192.0.2.7"
		without := startServe(t, place)
		without.awaitReady()
		user, _ := without.firstTokens(false)
		if a := without.ask(http.MethodPost, api.AdminTokensPath, "{}", "X-Forwarded-For", trusted); a.status != 404 {
			t.Errorf("where it is not enabled it gives %d", a.status)
		}
		without.end(syscall.SIGTERM)

		d := startAt(t, place, "--enable-admin-token", "--trusted-ip-ranges", "198.51.100.0/24,2001:db8::/32")
		storetest.Eventually(t, "the admin token is printed", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.admin != "" })
		for _, c := range []struct {
			name, method, token, from, body string
			want                            int
		}{
			{"from a stranger", "POST", d.admin, stranger, "{}", 403},
			{"from a stranger without a token", "POST", "", stranger, "{}", 403},
			{"from nobody knows where", "POST", d.admin, "unknown", "{}", 403},
			{"no token", "POST", "", trusted, "{}", 401},
			{"wrong token", "POST", "wrong", trusted, "{}", 401},
			{"a user's token", "POST", user, trusted, "{}", 401},
			{"no body", "POST", d.admin, trusted, "", 400},
			{"no JSON", "POST", d.admin, trusted, "{", 400},
			{"limit of nothing", "POST", d.admin, trusted, `{"upload_size_limit":0}`, 400},
			{"negative limit", "POST", d.admin, trusted, `{"upload_size_limit":-1}`, 400},
			{"limit in words", "POST", d.admin, trusted, `{"upload_size_limit":"1m"}`, 400},
			{"life of nothing", "POST", d.admin, trusted, `{"ttl_seconds":0}`, 400},
			{"life of a fraction", "POST", d.admin, trusted, `{"ttl_seconds":1.5}`, 400},
			{"endless life", "POST", d.admin, trusted, `{"ttl_seconds":9223372036854775807}`, 400},
			{"null", "POST", d.admin, trusted, "null", 400},
			{"a list", "POST", d.admin, trusted, "[]", 400},
			{"two objects", "POST", d.admin, trusted, "{}{}", 400},
			{"unknown field", "POST", d.admin, trusted, `{"upload_limit":5}`, 400},
			{"a field in other letters", "POST", d.admin, trusted, `{"TTL_seconds":5}`, 400},
			{"a field twice", "POST", d.admin, trusted, `{"ttl_seconds":5,"ttl_seconds":50}`, 400},
			{"too much of a body", "POST", d.admin, trusted, "{" + strings.Repeat(" ", 5000) + "}", 400},
			{"another method", "GET", d.admin, trusted, "", 405},
			{"all defaults", "POST", d.admin, trusted, "{}", 200},
			{"nulls", "POST", d.admin, trusted, `{"upload_size_limit":null,"ttl_seconds":null}`, 200},
			{"both", "POST", d.admin, trusted, `{"upload_size_limit":5,"ttl_seconds":60}`, 200},
			{"from IPv6", "POST", d.admin, "2001:db8::1", "{}", 200},
		} {
			a := d.ask(c.method, api.AdminTokensPath, c.body, "Authorization", bearerOf(c.token), "X-Forwarded-For", c.from)
			if a.status != c.want {
				t.Errorf("%s: %d %s, want %d", c.name, a.status, a.body, c.want)
			}
			var made api.TokenResponse
			if a.status == 200 && (json.Unmarshal([]byte(a.body), &made) != nil || d.secret(made.Token, "") == "") {
				t.Errorf("%s: the token is not good: %s", c.name, a.body)
			}
		}
		if lines := d.logged(d.admin); len(lines) != 1 || strings.Contains(lines[0], "{") {
			t.Errorf("the admin token is printed %d times: %s", len(lines), lines)
		}
	})
}

func TestRestrictionsKeepOthersOut(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		d := startAt(t, place, "--country-header", "cf-ipcountry", "--asn-header", "x-asn")
		user, _ := d.firstTokens(false)
		phrase := crypto.HashPassphrase([]byte("open sesame"))
		all := fmt.Sprintf(`{"allowed_ips":["192.0.2.0/24","2001:db8::1"],"allowed_countries":["DE","FR"],"allowed_asns":[64500,0],`+
			`"passphrase_hash":%q}`, phrase)
		var refusals []answer
		for _, c := range []struct {
			restrictions               string
			from, country, asn, phrase string
			want                       int
		}{
			{`{"allowed_ips":["192.0.2.1"]}`, "192.0.2.1", "", "", "", 200},
			{`{"allowed_ips":["192.0.2.1"]}`, "192.0.2.2", "", "", "", 403},
			{`{"allowed_ips":["192.0.2.1"]}`, "unknown", "", "", "", 403},
			{`{"allowed_ips":["192.0.2.1"]}`, "192.0.2.1, 192.0.2.2", "", "", "", 403},
			{`{"allowed_ips":["192.0.2.1"]}`, "::ffff:192.0.2.1", "", "", "", 200},
			{`{"allowed_ips":["192.0.2.9/24","10.0.0.0/8"]}`, "192.0.2.200", "", "", "", 200},
			{`{"allowed_ips":["2001:db8::/32"]}`, "2001:db8:1::5", "", "", "", 200},
			{`{"allowed_ips":["2001:db8::/32"]}`, "2001:db9::5", "", "", "", 403},
			{`{"allowed_ips":["0.0.0.0/0"]}`, "2001:db9::5", "", "", "", 403},
			{`{"allowed_ips":["127.0.0.1"]}`, "", "", "", "", 200}, // a client on this machine, without a proxy
			{`{"allowed_ips":["127.0.0.0/8"]}`, "", "", "", "", 200},
			{`{"allowed_ips":["0.0.0.0/0","::/0"]}`, "", "", "", "", 403}, // or a proxy that has forgotten the header
			{`{"allowed_ips":["0.0.0.0/0"]}`, ",", "", "", "", 403},
			{`{"allowed_countries":["DE"]}`, "192.0.2.1", "DE", "", "", 200},
			{`{"allowed_countries":["DE"]}`, "192.0.2.1", "de", "", "", 200},
			{`{"allowed_countries":["DE"]}`, "192.0.2.1", "FR", "", "", 403},
			{`{"allowed_countries":["DE"]}`, "192.0.2.1", "", "", "", 403},
			{`{"allowed_asns":[64500]}`, "192.0.2.1", "", "64500", "", 200},
			{`{"allowed_asns":[64500]}`, "192.0.2.1", "", "AS64500", "", 200},
			{`{"allowed_asns":[64500]}`, "192.0.2.1", "", "64501", "", 403},
			{`{"allowed_asns":[0]}`, "192.0.2.1", "", "", "", 403},
			{`{"allowed_asns":[4294967295]}`, "192.0.2.1", "", "4294967295", "", 200},
			{`{"passphrase_hash":"` + phrase + `"}`, "192.0.2.1", "", "", phrase, 200},
			{`{"passphrase_hash":"` + phrase + `"}`, "192.0.2.1", "", "", "", 401},
			{`{"passphrase_hash":"` + phrase + `"}`, "192.0.2.1", "", "", strings.Repeat("0", 64), 401},
			{`{"passphrase_hash":"` + phrase + `"}`, "192.0.2.1", "", "", "open sesame", 401},
			{`{"passphrase_hash":"` + phrase + `"}`, "192.0.2.1", "", "", strings.ToUpper(phrase), 401},
			{all, "192.0.2.1", "DE", "64500", phrase, 200},
			{all, "2001:db8::1", "FR", "0", phrase, 200},
			{all, "192.0.3.1", "DE", "64500", phrase, 403},
			{all, "192.0.2.1", "CH", "64500", phrase, 403},
			{all, "192.0.2.1", "DE", "1", phrase, 403},
			{all, "192.0.2.1", "DE", "64500", "", 401},
			{`{"allowed_ips":[],"allowed_countries":null}`, "unknown", "", "", "", 200},
		} {
			path := d.secret(user, c.restrictions)
			headers := []string{"X-Forwarded-For", c.from, "Cf-Ipcountry", c.country, "X-Asn", c.asn, api.PassphraseHeader, c.phrase}
			a := d.ask(http.MethodGet, path, "", headers...)
			if asJSON := d.ask(http.MethodGet, path, "", append(headers, "Accept", "application/json")...); a.status != 200 {
				asJSON.header.Del("Date")
				refusals = append(refusals, asJSON)
			}
			if a.status != c.want {
				t.Errorf("%s from %s %s %s %s: %d, want %d", c.restrictions, c.from, c.country, c.asn, c.phrase, a.status, c.want)
			}
			if a.status == 200 {
				continue
			}
			a.header.Del("Date")
			refusals = append(refusals, a)
			right := d.ask(http.MethodGet, path, "", "X-Forwarded-For", "192.0.2.1", "Cf-Ipcountry", "DE", "X-Asn", "64500",
				api.PassphraseHeader, phrase)
			if strings.Contains(c.restrictions, "192.0.2") && right.status != 200 {
				t.Errorf("%s: the refusal has cost the secret: %d", c.restrictions, right.status)
			}
		}
		first := make(map[string]answer)
		for _, a := range refusals {
			kind := fmt.Sprint(a.status, a.header.Get("Content-Type"))
			if _, ok := first[kind]; !ok {
				first[kind] = a
			}
			if same := first[kind]; a.body != same.body || fmt.Sprint(a.header) != fmt.Sprint(same.header) {
				t.Errorf("two refusals of status %d differ:\n%s %v\n%s %v", a.status, a.body, a.header, same.body, same.header)
			}
		}
		if len(first) != 4 {
			t.Errorf("there are refusals of %d kinds, not of two statuses in text and JSON", len(first))
		}
		for body, want := range map[string]int{
			`{"allowed_ips":["x"]}`: 400, `{"allowed_ips":["192.0.2.0/33"]}`: 400, `{"allowed_ips":"192.0.2.1"}`: 400,
			`{"allowed_countries":["de"]}`: 400, `{"allowed_countries":["XX"]}`: 400, `{"allowed_countries":["DEU"]}`: 400,
			`{"allowed_asns":[-1]}`: 400, `{"allowed_asns":[4294967296]}`: 400, `{"allowed_asns":["1"]}`: 400, `{"allowed_asns":[1.5]}`: 400,
			`{"passphrase_hash":""}`: 400, `{"passphrase_hash":"` + strings.ToUpper(phrase) + `"}`: 400, `{"passphrase_hash":"` + phrase[1:] + `"}`: 400,
			`{"allowed_planets":["earth"]}`: 400, `[]`: 400, `"x"`: 400, `null`: 200, `{"passphrase_hash":null}`: 200,
			`{"allowed_ips":["192.0.2.1"],"allowed_ips":[]}`: 400, `{"Allowed_IPs":["192.0.2.1"]}`: 400,
			`{"allowed_asns":[` + strings.Repeat("1,", 255) + `1]}`: 200, `{"allowed_asns":[` + strings.Repeat("1,", 256) + `1]}`: 400,
			`{"allowed_ips":["::1"` + strings.Repeat(`,"::1"`, 256) + `]}`:     400,
			`{"allowed_countries":["DE"` + strings.Repeat(`,"DE"`, 256) + `]}`: 400,
		} {
			a := d.ask(http.MethodPost, api.SecretPath, createBody(10, body), "Authorization", bearerOf(user))
			if a.status != want {
				t.Errorf("restrictions of %s give %d %s, want %d", body, a.status, a.body, want)
			}
		}
	})
}

func TestWithoutHeadersThereAreNoCountriesAndSystems(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		d := startAt(t, place, "--trusted-proxies", "none")
		user, _ := d.firstTokens(false)
		for _, restrictions := range []string{`{"allowed_countries":["DE"]}`, `{"allowed_asns":[1]}`} {
			if a := d.ask(http.MethodPost, api.SecretPath, createBody(10, restrictions), "Authorization", bearerOf(user)); a.status != 501 {
				t.Errorf("%s gives %d %s", restrictions, a.status, a.body)
			}
		}
		if a := d.ask(http.MethodGet, api.ConfigPath, ""); !strings.Contains(a.body, `"restrictions":{"country":false,"asn":false}`) {
			t.Errorf("the configuration is %s", a.body)
		}
		// And nobody who connects directly passes for somebody else.
		path := d.secret(user, `{"allowed_ips":["192.0.2.1"]}`)
		for _, header := range []string{
			"X-Forwarded-For", "X-Real-Ip", "Forwarded", "Cf-Connecting-Ip", "True-Client-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "Via",
		} {
			for _, value := range []string{"192.0.2.1", "for=192.0.2.1", "192.0.2.1, 127.0.0.1"} {
				if a := d.ask(http.MethodGet, path, "", header, value); a.status != 403 {
					t.Errorf("with %s: %s a direct caller gets %d", header, value, a.status)
				}
			}
		}
		path = d.secret(user, `{"allowed_ips":["127.0.0.1"]}`)
		if a := d.ask(http.MethodGet, path, "", "X-Forwarded-For", "192.0.2.1"); a.status != 200 {
			t.Errorf("the right caller gets %d", a.status)
		}
	})
}

func TestRefusalsConsumeNothing(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		d := startAt(t, place, "--country-header", "cf-ipcountry", "--asn-header", "x-asn")
		user, _ := d.firstTokens(false)
		phrase := crypto.HashPassphrase([]byte("open sesame"))
		for name, restrictions := range map[string]string{
			"address": `{"allowed_ips":["192.0.2.1"]}`, "country": `{"allowed_countries":["DE"]}`, "system": `{"allowed_asns":[1]}`,
			"passphrase missing": `{"passphrase_hash":"` + phrase + `"}`, "passphrase wrong": `{"passphrase_hash":"` + phrase + `"}`,
		} {
			given := ""
			if name == "passphrase wrong" {
				given = crypto.HashPassphrase([]byte("open, please"))
			}
			path := d.secret(user, restrictions)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for range 1000 / 8 {
						a := d.ask(http.MethodGet, path, "", "X-Forwarded-For", "203.0.113.1", api.PassphraseHeader, given)
						if a.status != 401 && a.status != 403 && (given == "" || a.status != 429) {
							t.Errorf("%s: %d", name, a.status)
						}
					}
				})
			}
			all.Wait()
			a := d.ask(http.MethodGet, path, "", "X-Forwarded-For", "192.0.2.1", "Cf-Ipcountry", "DE", "X-Asn", "1", api.PassphraseHeader, phrase)
			if a.status != 200 {
				t.Errorf("%s: after 1,000 refusals the right caller gets %d", name, a.status)
			}
		}
	})
}

func TestGuessingIsSlowed(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		first := startAt(t, place)
		servers := []*daemon{first}
		if place[0] == "--redis-dsn" {
			servers = append(servers, startAt(t, place))
		}
		var user string
		storetest.Eventually(t, "a token is printed", func() bool {
			for _, d := range servers {
				d.mu.Lock()
				user += d.token
				d.mu.Unlock()
			}
			return user != ""
		})
		right, wrong := crypto.HashPassphrase([]byte("open sesame")), crypto.HashPassphrase([]byte("open, please"))
		guess := func(i int, path, from, hash string) answer {
			return servers[i%len(servers)].ask(http.MethodGet, path, "", "X-Forwarded-For", from, api.PassphraseHeader, hash)
		}
		path := first.secret(user, `{"passphrase_hash":"`+right+`"}`)
		var all sync.WaitGroup
		var evaluated, slowed atomic.Int64
		for i := range 200 { // at once, over all servers, from one network
			all.Go(func() {
				switch a := guess(i, path, fmt.Sprintf("192.0.2.%d", i), wrong); a.status {
				case 401:
					evaluated.Add(1)
				case 429:
					slowed.Add(1)
					if a.header.Get("Retry-After") == "" {
						t.Error("429 does not say when to try again")
					}
				default:
					t.Errorf("a guess gives %d", a.status)
				}
			})
		}
		all.Wait()
		if evaluated.Load() != 5 || slowed.Load() != 195 {
			t.Errorf("%d guesses were heard and %d slowed", evaluated.Load(), slowed.Load())
		}
		if a := guess(0, path, "192.0.2.77", right); a.status != 429 {
			t.Errorf("the right passphrase is heard from a network that has guessed: %d", a.status)
		}
		if a := guess(1, path, "192.0.2.77", ""); a.status != 401 {
			t.Errorf("a request without a passphrase gives %d", a.status)
		}
		if a := guess(1, path, "192.0.3.1", right); a.status != 200 {
			t.Errorf("the recipient, elsewhere, gets %d", a.status)
		}

		// From one provider's networks, and then from everywhere.
		path = first.secret(user, `{"passphrase_hash":"`+right+`"}`)
		for _, c := range []struct {
			from string
			want int64
		}{{"2001:db8:0:%x::1", 50}, {"2001:%x::1", 50}, {"2002:%x::1", 0}} {
			evaluated.Store(0)
			for i := range 250 {
				all.Go(func() {
					if a := guess(i, path, fmt.Sprintf(c.from, i<<8), wrong); a.status == 401 {
						evaluated.Add(1)
					}
				})
				if i%50 == 0 {
					all.Wait()
				}
			}
			all.Wait()
			if evaluated.Load() != c.want {
				t.Errorf("from networks like %s %d guesses were heard, want %d", c.from, evaluated.Load(), c.want)
			}
		}

		// Right ones cost nothing.
		path = first.secret(user, `{"passphrase_hash":"`+right+`","allowed_ips":["192.0.2.0/24"]}`)
		for range 20 {
			if a := guess(0, path, "192.0.3.1", right); a.status != 403 {
				t.Errorf("from outside: %d", a.status)
			}
		}
		if a := guess(0, path, "192.0.2.1", right); a.status != 200 {
			t.Errorf("the recipient gets %d", a.status)
		}
	})
}

func TestNobodyFillsTheStore(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		d := startAt(t, place, "--allow-anonymous", "--anonymous-quota", "200k", "--token-quota", "20m")
		user, _ := d.firstTokens(false)
		create := func(token string, size int) (path string, a answer) {
			a = d.ask(http.MethodPost, api.SecretPath, createBody(size, ""), "Authorization", bearerOf(token))
			var created api.CreateResponse
			_ = json.Unmarshal([]byte(a.body), &created)
			return api.SecretPath + "/" + created.ID, a
		}
		var paths []string
		for range 10 {
			path, a := create("", 20<<10-store.Overhead)
			if a.status != 200 {
				t.Fatalf("creating gives %d %s", a.status, a.body)
			}
			paths = append(paths, path)
		}
		if _, a := create("", 1); a.status != 429 || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "by callers without a token") {
			t.Errorf("over the quota: %d %s %v", a.status, a.body, a.header)
		}
		if _, a := create(user, 20<<10-store.Overhead); a.status != 200 {
			t.Errorf("with a token: %d", a.status)
		}
		d.ask(http.MethodGet, paths[0], "")
		storetest.Eventually(t, "what was taken has freed its share", func() bool {
			_, a := create("", 20<<10-store.Overhead)
			return a.status == 200
		})
		if _, a := create("", 1); a.status != 429 {
			t.Errorf("over the quota again: %d", a.status)
		}
		fitted := 0
		for range 25 {
			switch _, a := create(user, 1<<20-store.Overhead); a.status {
			case 200:
				fitted++
			case 429:
				if !strings.Contains(a.body, "with your token") {
					t.Errorf("over the token's quota: %s", a.body)
				}
			default:
				t.Errorf("creating with the token gives %d", a.status)
			}
		}
		if fitted != 19 { // and 20 KiB that are there
			t.Errorf("%d MiB fitted into the token's quota of 20", fitted)
		}
	})
}

func TestTokensAreResetWhileServersRun(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		program, err := buildProgram()
		if err != nil {
			t.Fatal(err)
		}
		reset := func(flags ...string) []string {
			t.Helper()
			command := exec.Command(program, slices.Concat([]string{"admin", "reset"}, flags, place)...)
			var stderr bytes.Buffer
			command.Stderr = &stderr
			out, err := command.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, &stderr)
			}
			return strings.Fields(string(out))
		}
		try := func(d *daemon, user string) int {
			return d.ask(http.MethodPost, api.SecretPath, createBody(1, ""), "Authorization", bearerOf(user)).status
		}
		tryAdmin := func(d *daemon, admin string) int {
			return d.ask(http.MethodPost, api.AdminTokensPath, "{}", "Authorization", bearerOf(admin)).status
		}
		d := startServe(t, slices.Concat(place, []string{"--enable-admin-token", "--trusted-ip-ranges", "127.0.0.0/8"}))
		d.awaitReady()
		user, admin := d.firstTokens(true)
		path := d.secret(user, "")

		fresh := reset("--user-tokens")
		if len(fresh) != 1 || try(d, user) != 401 || try(d, fresh[0]) != 200 || tryAdmin(d, admin) != 200 {
			t.Errorf("after a reset of user tokens: old %d, new %d, admin %d", try(d, user), try(d, fresh[0]), tryAdmin(d, admin))
		}
		freshAdmin := reset("--admin-token")
		if len(freshAdmin) != 1 || tryAdmin(d, admin) != 401 || tryAdmin(d, freshAdmin[0]) != 200 || try(d, fresh[0]) != 200 {
			t.Errorf("after a reset of the admin token: old %d, new %d", tryAdmin(d, admin), tryAdmin(d, freshAdmin[0]))
		}
		if a := d.ask(http.MethodGet, path, ""); a.status != 200 {
			t.Errorf("the resets have cost a secret: %d", a.status)
		}
		if status := d.end(syscall.SIGTERM); status != 0 {
			t.Errorf("the server ended with %d", status)
		}
		both := reset("--admin-token", "--user-tokens") // with no server
		if len(both) != 2 {
			t.Fatalf("a reset of both prints %s", both)
		}
		d = startAt(t, place, "--enable-admin-token", "--trusted-ip-ranges", "127.0.0.0/8")
		if tryAdmin(d, freshAdmin[0]) != 401 || tryAdmin(d, both[0]) != 200 || try(d, fresh[0]) != 401 || try(d, both[1]) != 200 {
			t.Error("a reset without a server has not replaced both")
		}
	})
}

func TestASecretOfExactlyTheLimitFitsHoweverItIsSealed(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		const limit = 10_000
		d := startAt(t, place, "--upload-size-limit", fmt.Sprint(limit))
		user, _ := d.firstTokens(false)
		longest := strings.Repeat("n", 255)
		padded := func(size int, filename string) []byte {
			t.Helper()
			ciphertext, _, err := crypto.Seal(rand.Reader, crypto.Content{Data: storetest.Bytes(size), Filename: filename})
			if err != nil {
				t.Fatal(err)
			}
			return ciphertext
		}
		unpadded := func(size int, filename string) []byte { // as existing clients seal
			name := "null"
			if filename != "" {
				name = fmt.Sprintf("%q", filename)
			}
			payload := fmt.Sprintf(`{"data":%q,"filename":%s}`, base64.StdEncoding.EncodeToString(storetest.Bytes(size)), name)
			return storetest.Bytes(12 + len(payload) + 16)
		}
		for name, ciphertext := range map[string][]byte{
			"text, padded": padded(limit, ""), "file, padded": padded(limit, longest),
			"text, unpadded": unpadded(limit, ""), "file, unpadded": unpadded(limit, longest),
		} {
			if _, status := d.create(http.DefaultClient, user, ciphertext); status != http.StatusOK {
				t.Errorf("%s, of exactly the limit: %d", name, status)
			}
		}
		for name, ciphertext := range map[string][]byte{
			"text, padded": padded(2*limit, ""), "file, padded": padded(2*limit, longest),
			"text, unpadded": unpadded(2*limit, ""), "file, unpadded": unpadded(2*limit, longest),
		} {
			if _, status := d.create(http.DefaultClient, user, ciphertext); status != http.StatusRequestEntityTooLarge {
				t.Errorf("%s, over the bound: %d", name, status)
			}
		}
	})
}

func TestRestrictionsLastAsLongAsTheSecret(t *testing.T) {
	t.Parallel()
	onBothStores(t, func(t *testing.T, place []string) {
		d := startAt(t, place, "--upload-size-limit", "20m")
		user, _ := d.firstTokens(false)
		for _, c := range []struct{ size, secrets int }{{100, 100}, {100_000, 60}, {13_000_000, 5}} {
			size := c.size
			body := strings.Replace(createBody(size, `{"allowed_ips":["192.0.2.1"]}`), `"expires_in":3600`, `"expires_in":3`, 1)
			var all sync.WaitGroup
			for range c.secrets {
				all.Go(func() {
					a := d.ask(http.MethodPost, api.SecretPath, body, "Authorization", bearerOf(user))
					var created api.CreateResponse
					if a.status != 200 || json.Unmarshal([]byte(a.body), &created) != nil {
						t.Errorf("creating gives %d", a.status)
						return
					}
					for refused := 0; ; refused++ {
						a = d.ask(http.MethodGet, api.SecretPath+"/"+created.ID, "", "X-Forwarded-For", "192.0.2.2")
						if a.status == 404 && refused > 0 {
							return
						}
						if a.status != 403 {
							t.Errorf("%d bytes: the wrong caller gets %d after %d refusals", size, a.status, refused)
							return
						}
					}
				})
			}
			all.Wait()
		}
	})
}
