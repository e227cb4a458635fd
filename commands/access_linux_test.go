package commands

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hakanai/httpapi/api"
	"hakanai/store/storetest"
)

// Linux tells how much memory a process had, and has short paths for long ones.

func TestALargeSecretTakesLittleMemory(t *testing.T) {
	t.Parallel()
	onBothStores(t, func(t *testing.T, place []string) {
		d := startAt(t, place, "--trusted-ip-ranges", "198.51.100.0/24")
		user, _ := d.firstTokens(false)
		const pieces, piece = 200, 1 << 20
		text := []byte(base64.StdEncoding.EncodeToString(storetest.Bytes(3 * piece / 4)))
		parts := []io.Reader{strings.NewReader(`{"data":"`)}
		for range pieces * 4 / 3 {
			parts = append(parts, bytes.NewReader(text))
		}
		parts = append(parts, strings.NewReader(`","expires_in":60}`))
		r, err := http.NewRequest(http.MethodPost, d.url+api.SecretPath, io.MultiReader(parts...))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", bearerOf(user))
		r.Header.Set("X-Forwarded-For", "198.51.100.1")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if answer, _ := io.ReadAll(response.Body); response.StatusCode != 200 {
			t.Fatalf("creating gives %d %s", response.StatusCode, answer)
		}
		peak := d.peakMemory()
		t.Logf("the server had %d KiB", peak>>10)
		if peak > 96<<20 {
			t.Errorf("the server had %d KiB", peak>>10)
		}
	})
}

func TestTheOperatorReachesAServerWithALongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 40))
	place := []string{"--data-dir", dir}
	d := startAt(t, place)
	user, _ := d.firstTokens(false)
	stdout, stderr, status := run(t, slices.Concat([]string{"admin", "reset", "--user-tokens"}, place)...)
	if status != 0 || len(strings.TrimSpace(stdout)) != 43 || !strings.Contains(stderr, dir) {
		t.Fatalf("a reset ends with %d: %s", status, stderr)
	}
	for token, want := range map[string]int{user: 401, strings.TrimSpace(stdout): 200} {
		if a := d.ask(http.MethodPost, api.SecretPath, createBody(1, ""), "Authorization", bearerOf(token)); a.status != want {
			t.Errorf("then a token gives %d, want %d", a.status, want)
		}
	}
}
