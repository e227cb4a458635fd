//go:build unix

package commands

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"hakanai/crypto"
	"hakanai/httpapi"
	"hakanai/httpapi/api"
	"hakanai/store"
	"hakanai/store/storetest"
	"hakanai/store/valkey"
	"hakanai/store/valkey/valkeytest"
)

// flood does something n times, by many at once.
func flood(n int, do func(i int)) {
	var all sync.WaitGroup
	var next atomic.Int64
	for range 200 {
		all.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				do(i)
			}
		})
	}
	all.Wait()
}

// statuses counts answers by status.
type statuses struct {
	mu sync.Mutex
	n  map[int]int
}

func (s *statuses) add(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == nil {
		s.n = make(map[int]int)
	}
	s.n[status]++
}

// run runs the program to its end, with nothing on standard input.
func run(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, program, args...)
	var out, complaint bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaint
	_ = command.Run() // the status tells
	return out.String(), complaint.String(), command.ProcessState.ExitCode()
}

// openPlace opens the store itself, which no server has open if it is embedded.
func openPlace(t *testing.T, place []string) store.Store {
	t.Helper()
	at := storePlace{dataDir: place[1], replicas: valkey.Auto}
	if place[0] == "--redis-dsn" {
		dsn, err := valkey.ParseDSN(place[1])
		if err != nil {
			t.Fatal(err)
		}
		at.dsn = dsn
	}
	secrets, err := at.open(zerolog.Nop(), func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := untilUp(t.Context(), secrets.Check); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = secrets.Close() })
	return secrets
}

func TestTokensOfANewStoreLiveAsLongAsIsSaid(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		d := startServe(t, slices.Concat(place, []string{"--enable-admin-token", "--trusted-ip-ranges", "198.51.100.0/24"}))
		d.awaitReady()
		user, admin := d.firstTokens(true)
		a := d.ask(http.MethodPost, api.AdminTokensPath, "{}", "Authorization", bearerOf(admin), "X-Forwarded-For", "198.51.100.1")
		var made api.TokenResponse
		if err := json.Unmarshal([]byte(a.body), &made); err != nil {
			t.Fatal(a.body)
		}
		d.end(syscall.SIGTERM)
		secrets := openPlace(t, place)
		for name, token := range map[string]string{"the first token": user, "one that was asked for": made.Token} {
			known, err := secrets.Token(t.Context(), store.UserToken, sha256.Sum256([]byte(token)))
			if err != nil || known.UploadSizeLimit != 0 || known.TTL > 30*24*time.Hour || known.TTL < 30*24*time.Hour-time.Minute {
				t.Errorf("%s is %+v, %v", name, known, err)
			}
		}
	})
}

func TestOnlyHashesAreStored(t *testing.T) {
	embedded := t.TempDir()
	server := valkeytest.Standalone(t, nil)
	for _, c := range []struct {
		name, dir string
		place     []string
		encode    func([]byte) []byte // of a hash, as it is stored
		sealed    bool                // what stands before a secret
	}{
		{"embedded", embedded, []string{"--data-dir", embedded}, func(b []byte) []byte { return b }, true},
		{"valkey", server.Dir, []string{"--redis-dsn", server.DSN()}, func(b []byte) []byte { return []byte(hex.EncodeToString(b)) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := startAt(t, c.place, "--enable-admin-token", "--trusted-ip-ranges", "198.51.100.0/24")
			user, admin := d.firstTokens(true)
			phrase := crypto.HashPassphrase([]byte("open sesame"))
			path := d.secret(user, `{"passphrase_hash":"`+phrase+`"}`)
			id := uuid.MustParse(strings.TrimPrefix(path, api.SecretPath+"/"))
			wrong := crypto.HashPassphrase([]byte("open, please"))
			d.ask(http.MethodGet, path, "", api.PassphraseHeader, wrong, "X-Forwarded-For", "203.0.113.77")
			stored := contents(t, c.dir)
			raw, err := hex.DecodeString(phrase)
			if err != nil {
				t.Fatal(err)
			}
			for what, text := range map[string]string{
				"the token": user, "the admin token": admin, "the passphrase's hash": phrase, "its bytes": string(raw),
				"those in base64": base64.StdEncoding.EncodeToString(raw), "a wrong passphrase's hash": wrong, "the id": id.String(),
				"its bytes ": string(id[:]), "its hex": hex.EncodeToString(id[:]), "the guesser's network": "203.0.113",
			} {
				if bytes.Contains(stored, []byte(text)) {
					t.Errorf("%s is in the store", what)
				}
			}
			mac := hmac.New(sha256.New, id[:])
			mac.Write([]byte(phrase))
			verifier := mac.Sum(nil)
			hash := sha256.Sum256([]byte(user))
			if !bytes.Contains(stored, c.encode(hash[:])) {
				t.Error("the token's hash is not found, so that nothing else would be")
			}
			if found := bytes.Contains(stored, []byte(base64.StdEncoding.EncodeToString(verifier))); found == c.sealed {
				t.Errorf("that the verifier is found is %t", found)
			}
			if a := d.ask(http.MethodGet, path, "", api.PassphraseHeader, hex.EncodeToString(verifier)); a.status != 401 {
				t.Errorf("what is stored is good as a passphrase: %d", a.status)
			}
			if a := d.ask(http.MethodPost, api.SecretPath, createBody(1, ""), "Authorization", bearerOf(hex.EncodeToString(hash[:]))); a.status != 401 {
				t.Errorf("what is stored is good as a token: %d", a.status)
			}
			if a := d.ask(http.MethodGet, path, "", api.PassphraseHeader, phrase); a.status != 200 {
				t.Errorf("the right passphrase gives %d", a.status)
			}
		})
	}
}

// contents is what all files of a directory hold. Valkey's have every command in them that has changed something.
func contents(t *testing.T, dir string) (all []byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		all = append(append(all, []byte(filepath.Base(path)+"\n")...), b...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestOneByteOverTheLimitIsRefusedBeforeItIsSealed(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		d := startAt(t, place, "--upload-size-limit", "10000")
		user, _ := d.firstTokens(false)
		t.Setenv("HAKANAI_TOKEN", user)
		for _, flags := range [][]string{{"--as-file"}, nil} {
			for size, want := range map[int]int{10_000: 0, 10_001: 1} {
				file := filepath.Join(t.TempDir(), "secret")
				if err := os.WriteFile(file, bytes.Repeat([]byte("x"), size), 0o600); err != nil {
					t.Fatal(err)
				}
				before := len(d.logged(`"route":"` + api.SecretPath + `"`))
				_, stderr, status := run(t, slices.Concat([]string{"send", "--server", d.url, "-f", file}, flags)...)
				if (status == 0) != (want == 0) {
					t.Errorf("sending %d bytes %s ends with %d: %s", size, flags, status, stderr)
				}
				if asked := len(d.logged(`"route":"`+api.SecretPath+`"`)) > before; asked != (want == 0) {
					t.Errorf("sending %d bytes %s has asked the server to store something: %t", size, flags, asked)
				}
			}
		}
	})
}

func TestWrongAdminTokensAreSlowed(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		d := startAt(t, place, "--enable-admin-token", "--trusted-ip-ranges", "198.51.0.0/16")
		_, admin := d.firstTokens(true)
		try := func(token, from string) answer {
			return d.ask(http.MethodPost, api.AdminTokensPath, "{}", "Authorization", bearerOf(token), "X-Forwarded-For", from)
		}
		for range 20 { // right ones cost nothing
			if a := try(admin, "198.51.100.1"); a.status != 200 {
				t.Fatalf("the admin token gives %d", a.status)
			}
		}
		var got statuses
		flood(1000, func(i int) {
			a := try(fmt.Sprintf("wrong-%d", i), fmt.Sprintf("198.51.100.%d", i%250))
			if got.add(a.status); a.status == 429 && a.header.Get("Retry-After") == "" {
				t.Error("429 does not say when to try again")
			}
		})
		if got.n[401] != 10 || got.n[429] != 990 {
			t.Errorf("1,000 wrong admin tokens give %v", got.n)
		}
		if a := try(admin, "198.51.100.1"); a.status != 429 {
			t.Errorf("the right one from there gives %d", a.status)
		}
		if a := try(admin, "198.51.101.1"); a.status != 200 {
			t.Errorf("the right one from elsewhere gives %d", a.status)
		}
	})
}

func TestTenThousandGuessesAreAFew(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		d := startAt(t, place)
		user, _ := d.firstTokens(false)
		right, wrong := crypto.HashPassphrase([]byte("open sesame")), crypto.HashPassphrase([]byte("open, please"))
		for _, c := range []struct {
			name string
			from func(i int) string
			want int
		}{
			{"one network", func(i int) string { return fmt.Sprintf("192.0.2.%d", i%250) }, 5},
			{"500 networks", func(i int) string { return fmt.Sprintf("11.%d.%d.1", i%500/2, i%2) }, 100},
		} {
			path := d.secret(user, `{"passphrase_hash":"`+right+`"}`)
			link := strings.Replace(path, api.SecretPath, api.LinkPath, 1)
			var got statuses
			flood(10_000, func(i int) { // by both ways to a secret
				at := []string{path, link}[i/7%2]
				got.add(d.ask(http.MethodGet, at, "", "X-Forwarded-For", c.from(i), api.PassphraseHeader, wrong, "User-Agent", "hakanai-x").status)
			})
			if got.n[401] > c.want || got.n[401] < 5 || got.n[401]+got.n[429] != 10_000 {
				t.Errorf("from %s 10,000 guesses give %v", c.name, got.n)
			}
			if got.n[401] < 100 { // there is some of the reserve left
				if a := d.ask(http.MethodGet, link, "", "X-Forwarded-For", "203.0.113.1", api.PassphraseHeader, right, "User-Agent", "hakanai-x"); a.status != 200 {
					t.Errorf("the recipient, elsewhere, gets %d", a.status)
				}
			}
		}
	})
}

func TestAFloodOfSecretsStopsAtTheQuota(t *testing.T) {
	t.Parallel()
	onBothStores(t, func(t *testing.T, place []string) {
		const fit = 255
		quota := fmt.Sprint(fit * (store.Overhead + 1))
		d := startAt(t, place, "--allow-anonymous", "--anonymous-quota", quota)
		user, _ := d.firstTokens(false)
		const life = 4 * time.Second
		body := strings.Replace(createBody(1, ""), `"expires_in":3600`, fmt.Sprintf(`"expires_in":%d`, int(life.Seconds())), 1)
		start := time.Now()
		var got statuses
		flood(10_000, func(i int) {
			got.add(d.ask(http.MethodPost, api.SecretPath, body).status)
			if i%1000 == 0 {
				if a := d.ask(http.MethodPost, api.SecretPath, body, "Authorization", bearerOf(user)); a.status != 200 {
					t.Errorf("who has a token gets %d", a.status)
				}
			}
		})
		took := time.Since(start)
		if took < life-time.Second && got.n[200] != fit || got.n[200]+got.n[429] != 10_000 {
			t.Errorf("10,000 creates give %v", got.n)
		}
		t.Logf("10,000 creates in %s", took)
		time.Sleep(time.Until(start.Add(took + life + 5*time.Second)))
		got = statuses{}
		body = createBody(1, "")
		flood(fit+20, func(int) { got.add(d.ask(http.MethodPost, api.SecretPath, body).status) })
		if got.n[200] != fit || got.n[429] != 20 {
			t.Errorf("after all has expired, %d creates give %v", fit+20, got.n)
		}
	})
}

func TestACrashLeavesNothingOnAnAccount(t *testing.T) {
	t.Parallel()
	onBothStores(t, func(t *testing.T, place []string) {
		const fit, size, life = 40, 1000, 2 * time.Second
		flags := []string{"--allow-anonymous", "--anonymous-quota", fmt.Sprint(fit * (store.Overhead + size))}
		body := strings.Replace(createBody(size, ""), `"expires_in":3600`, fmt.Sprintf(`"expires_in":%d`, int(life.Seconds())), 1)
		for range 2 {
			d := startServe(t, slices.Concat(place, flags))
			d.awaitReady()
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() { // until the server is gone
					client := &http.Client{Transport: &http.Transport{}}
					for {
						response, err := client.Post(d.url+api.SecretPath, "application/json", strings.NewReader(body))
						if err != nil {
							return
						}
						var created api.CreateResponse
						_ = json.NewDecoder(response.Body).Decode(&created)
						_ = response.Body.Close()
						if _, status := d.take(client, created.ID); status == 0 {
							return
						}
					}
				})
			}
			time.Sleep(300 * time.Millisecond)
			d.end(syscall.SIGKILL)
			all.Wait()
		}
		time.Sleep(life)
		d := startAt(t, place, flags...)
		time.Sleep(5 * time.Second) // the embedded store removes what has expired once a second
		var got statuses
		body = createBody(size, "")
		flood(fit+5, func(int) { got.add(d.ask(http.MethodPost, api.SecretPath, body).status) })
		if got.n[200] != fit || got.n[429] != 5 {
			t.Errorf("where %d fit, %d creates give %v", fit, fit+5, got.n)
		}
	})
}

func TestEverySettingOfAccessHasAFlagAndAVariable(t *testing.T) {
	settings := [][3]string{
		{"upload-size-limit", "HAKANAI_UPLOAD_SIZE_LIMIT", "20k"},
		{"allow-anonymous", "HAKANAI_ALLOW_ANONYMOUS", "true"},
		{"anonymous-size-limit", "HAKANAI_ANONYMOUS_UPLOAD_SIZE_LIMIT", "1k"},
		{"anonymous-quota", "HAKANAI_ANONYMOUS_QUOTA", fmt.Sprint(httpapi.QuotaFor(1024))},
		{"token-quota", "HAKANAI_TOKEN_QUOTA", fmt.Sprint(httpapi.QuotaFor(20 << 10))},
		{"enable-admin-token", "HAKANAI_ENABLE_ADMIN_TOKEN", "true"},
		{"trusted-ip-ranges", "HAKANAI_TRUSTED_IP_RANGES", "198.51.100.0/24,2001:db8::/32"},
		{"trusted-ip-header", "HAKANAI_TRUSTED_IP_HEADER", "x-caller"},
		{"trusted-proxies", "HAKANAI_TRUSTED_PROXIES", "127.0.0.1"},
		{"country-header", "HAKANAI_COUNTRY_HEADER", "x-country"},
		{"asn-header", "HAKANAI_ASN_HEADER", "x-system"},
		{"show-token-input", "HAKANAI_SHOW_TOKEN_INPUT", "true"},
	}
	check := func(t *testing.T, place []string, flags ...string) {
		d := startAt(t, place, flags...)
		user, admin := d.firstTokens(true)
		const trusted, stranger = "198.51.100.9", "192.0.2.9"
		want := `{"showTokenInput":true,"features":{"leases":true,"impressum":false,"privacy":false,"restrictions":{"country":true,"asn":true}},` +
			`"limits":{"upload":20480,"anonymous":1024,"caller":1024}`
		if a := d.ask(http.MethodGet, api.ConfigPath, "", "X-Caller", stranger); !strings.HasPrefix(a.body, want) {
			t.Errorf("the configuration is %s", a.body)
		}
		if a := d.ask(http.MethodPost, api.AdminTokensPath, "{}", "X-Caller", trusted, "Authorization", bearerOf(admin)); a.status != 200 {
			t.Errorf("from a trusted range the admin token gives %d", a.status)
		}
		if a := d.ask(http.MethodPost, api.AdminTokensPath, "{}", "X-Forwarded-For", trusted, "Authorization", bearerOf(admin)); a.status != 403 {
			t.Errorf("with another header the admin token gives %d", a.status)
		}
		restrictions := `{"allowed_countries":["DE"],"allowed_asns":[7]}`
		path := d.secret(user, restrictions)
		for _, c := range []struct {
			country, asn string
			want         int
		}{{"FR", "7", 403}, {"DE", "8", 403}, {"DE", "7", 200}} {
			if a := d.ask(http.MethodGet, path, "", "X-Caller", stranger, "X-Country", c.country, "X-System", c.asn); a.status != c.want {
				t.Errorf("from %s and %s: %d", c.country, c.asn, a.status)
			}
		}
		for _, c := range []struct{ token, limit string }{{"", "1k"}, {user, "20k"}} {
			var limit size
			if err := limit.Set(c.limit); err != nil {
				t.Fatal(err)
			}
			bound := int(api.CiphertextBound(int64(limit)))
			create := func(size int) int {
				return d.ask(http.MethodPost, api.SecretPath, createBody(size, ""), "Authorization", bearerOf(c.token), "X-Caller", stranger).status
			}
			if got := create(bound + 1); got != 413 {
				t.Errorf("over the limit of %s: %d", c.limit, got)
			}
			first, second := create(bound), create(bound) // the quota is that of one, and a little
			for range 10 {
				second = max(second, create(bound))
			}
			if first != 200 || second != 429 {
				t.Errorf("within the limit of %s: %d, and the quota: %d", c.limit, first, second)
			}
		}
	}
	t.Run("flags", func(t *testing.T) {
		var flags []string
		for _, s := range settings {
			flags = append(flags, "--"+s[0]+"="+s[2])
		}
		onBothStores(t, func(t *testing.T, place []string) { check(t, place, flags...) })
	})
	t.Run("variables", func(t *testing.T) {
		for _, s := range settings {
			t.Setenv(s[1], s[2])
		}
		onBothStores(t, func(t *testing.T, place []string) { check(t, place) })
	})
}

func TestNothingButGetConsumes(t *testing.T) {
	onBothStores(t, func(t *testing.T, place []string) {
		d := startAt(t, place)
		user, _ := d.firstTokens(false)
		for _, malformed := range []string{
			"x", "1", strings.Repeat("a", 36), uuid.NewString() + "0", strings.ReplaceAll(uuid.NewString(), "-", ""), "{" + uuid.NewString() + "}",
		} {
			for _, at := range []string{api.SecretPath, api.LinkPath} {
				if a := d.ask(http.MethodGet, at+"/"+malformed, "", "User-Agent", "hakanai-x"); a.status != 400 {
					t.Errorf("%s/%s gives %d", at, malformed, a.status)
				}
			}
		}
		path := d.secret(user, "")
		link := strings.Replace(path, api.SecretPath, api.LinkPath, 1)
		for _, at := range []string{path, link, path + "/", link + "/", path + "/x", strings.ToUpper(path), "/" + path} {
			for _, method := range []string{"HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "get", "GET"} {
				if method == "GET" && (at == path || at == link) {
					continue
				}
				if a := d.ask(method, at, "", "User-Agent", "hakanai-x"); a.status == 200 {
					t.Errorf("%s %s gives 200", method, at)
				}
			}
		}
		d.ask(http.MethodGet, path, "", "Range", "bytes=0-1")
		d.ask(http.MethodGet, link, "", "User-Agent", "Mozilla/5.0", "Accept", "text/html")
		if a := d.ask(http.MethodGet, path, ""); a.status != 200 {
			t.Errorf("then GET gives %d", a.status)
		}
		if a := d.ask(http.MethodGet, link, "", "User-Agent", "hakanai-x"); a.status != 410 {
			t.Errorf("and once more %d", a.status)
		}
	})
}

func TestWhileTheStoreIsDownNothingIsCounted(t *testing.T) {
	server := valkeytest.Standalone(t, nil)
	d := startAt(t, []string{"--redis-dsn", server.DSN()}, "--enable-admin-token", "--trusted-ip-ranges", "198.51.100.0/24", "--allow-anonymous")
	user, admin := d.firstTokens(true)
	phrase := crypto.HashPassphrase([]byte("open sesame"))
	path := d.secret(user, `{"passphrase_hash":"`+phrase+`"}`)
	ask := map[string]func() answer{
		"a token's check": func() answer {
			return d.ask(http.MethodPost, api.SecretPath, createBody(1, ""), "Authorization", bearerOf(user))
		},
		"an anonymous create": func() answer { return d.ask(http.MethodPost, api.SecretPath, createBody(1, "")) },
		"an admin token": func() answer {
			return d.ask(http.MethodPost, api.AdminTokensPath, "{}", "Authorization", bearerOf(admin), "X-Forwarded-For", "198.51.100.1")
		},
		"a guess": func() answer {
			return d.ask(http.MethodGet, path, "", api.PassphraseHeader, crypto.HashPassphrase([]byte("open, please")))
		},
		"the recipient": func() answer { return d.ask(http.MethodGet, path, "", api.PassphraseHeader, phrase) },
	}
	server.Kill()
	for range 12 {
		for name, request := range ask {
			if a := request(); a.status != 503 || a.header.Get("Retry-After") == "" {
				t.Errorf("%s gives %d %s", name, a.status, a.body)
			}
		}
	}
	server.Start()
	storetest.Eventually(t, "the store is up", func() bool { return ask["an anonymous create"]().status == 200 })
	for name, want := range map[string]int{"a token's check": 200, "an admin token": 200, "a guess": 401} {
		if a := ask[name](); a.status != want {
			t.Errorf("then %s gives %d", name, a.status)
		}
	}
	if a := ask["the recipient"](); a.status != 200 {
		t.Errorf("then the recipient gets %d", a.status)
	}
}

// withReplica starts a Valkey with a replica, and returns it with the flags of a store that waits for that.
func withReplica(t *testing.T) (primary, replica *valkeytest.Server, place []string) {
	t.Helper()
	primary, replica = valkeytest.WithReplica(t)
	return primary, replica, []string{"--redis-dsn", primary.DSN(), "--redis-wait-replicas", "1"}
}

func TestFirstTokensAreShownThoughTheirStoringWasNotConfirmed(t *testing.T) {
	t.Parallel()
	primary, replica, place := withReplica(t)
	replica.Pause()
	d := startAt(t, place, "--enable-admin-token", "--trusted-ip-ranges", "127.0.0.1")
	storetest.Eventually(t, "tokens are stored", func() bool {
		return primary.MustCommand("ZCARD", "hakanai:{tokens}:u") == "1" && primary.MustCommand("ZCARD", "hakanai:{tokens}:a") == "1"
	})
	time.Sleep(2 * time.Second) // whoever waited for the first storing has given up
	if lines := d.logged("shown this once"); len(lines) > 0 {
		t.Errorf("tokens are shown that a failover could forget: %s", lines)
	}
	replica.Resume()
	user, admin := d.firstTokens(true)
	if a := d.ask(http.MethodPost, api.SecretPath, createBody(1, ""), "Authorization", bearerOf(user)); a.status != 200 {
		t.Errorf("the token gives %d", a.status)
	}
	if a := d.ask(http.MethodPost, api.AdminTokensPath, "{}", "Authorization", bearerOf(admin)); a.status != 200 {
		t.Errorf("the admin token gives %d", a.status)
	}
}

func TestAResetGoesOnUntilItIsConfirmed(t *testing.T) {
	t.Parallel()
	_, replica, place := withReplica(t)
	d := startAt(t, place)
	d.firstTokens(false)
	replica.Pause()
	resume := time.AfterFunc(3*time.Second, replica.Resume)
	defer resume.Stop()
	stdout, stderr, status := run(t, slices.Concat([]string{"admin", "reset", "--user-tokens"}, place)...)
	if status != 0 {
		t.Fatalf("the reset ends with %d: %s", status, stderr)
	}
	if a := d.ask(http.MethodPost, api.SecretPath, createBody(1, ""), "Authorization", bearerOf(strings.TrimSpace(stdout))); a.status != 200 {
		t.Errorf("the new token gives %d", a.status)
	}
}

func TestAResetOnAnUnsafeStoreIsRefused(t *testing.T) {
	server := valkeytest.Standalone(t, valkeytest.Settings{"appendonly": "no", "save": "60 1", "maxmemory-policy": "allkeys-lru"})
	start := time.Now()
	_, stderr, status := run(t, "admin", "reset", "--user-tokens", "--strict-store-check", "--redis-dsn", server.DSN())
	if status != 1 || !strings.Contains(stderr, "can lose secrets") || !strings.Contains(stderr, "without --strict-store-check") {
		t.Errorf("a reset ends with %d: %s", status, stderr)
	}
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("it took %s", took)
	}
}
