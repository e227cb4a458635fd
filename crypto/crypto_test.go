package crypto

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

type vector struct {
	Name       string
	Content    []byte  `json:"content_base64"`
	Filename   *string `json:"filename"`
	Key        string  `json:"key_hex"`
	Nonce      string  `json:"nonce_hex"`
	Payload    string  `json:"payload_json"`
	Ciphertext []byte  `json:"ciphertext_base64"`
	Fragment   string  `json:"fragment"`
}

func readVectors(t testing.TB) (vectors []vector, passphrases []struct {
	Passphrase string
	Header     string `json:"header_value"`
},
) {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	file := struct {
		Vectors     any
		Passphrases any
	}{&vectors, &passphrases}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(vectors) == 0 || len(passphrases) == 0 {
		t.Fatal("there are no vectors")
	}
	return vectors, passphrases
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSealsAsTheVectorsSay(t *testing.T) {
	vectors, _ := readVectors(t)
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			o := &once{key: Key(unhex(t, v.Key)), nonce: [nonceSize]byte(unhex(t, v.Nonce))}
			ciphertext, fragment, err := o.seal(append(make([]byte, nonceSize), v.Payload...))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(ciphertext, v.Ciphertext) {
				t.Errorf("ciphertext is %x, want %x", ciphertext, v.Ciphertext)
			}
			if fragment.Encode() != v.Fragment {
				t.Errorf("fragment is %s, want %s", fragment.Encode(), v.Fragment)
			}
		})
	}
}

func TestOpensAsTheVectorsSay(t *testing.T) {
	vectors, _ := readVectors(t)
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			fragment, err := ParseFragment(v.Fragment)
			if err != nil {
				t.Fatal(err)
			}
			content, err := Open(v.Ciphertext, fragment)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(content.Data, v.Content) {
				t.Errorf("content is %q, want %q", content.Data, v.Content)
			}
			want := ""
			if v.Filename != nil {
				want = *v.Filename
			}
			if content.Filename != want || content.IsFile() != (v.Filename != nil) {
				t.Errorf("file name is %q, want %q", content.Filename, want)
			}
		})
	}
}

func TestHashesPassphrasesAsTheVectorsSay(t *testing.T) {
	_, passphrases := readVectors(t)
	for _, p := range passphrases {
		if got := HashPassphrase([]byte(p.Passphrase)); got != p.Header {
			t.Errorf("%q hashes to %s, want %s", p.Passphrase, got, p.Header)
		}
	}
}

func seal(t testing.TB, content Content) ([]byte, Fragment) {
	t.Helper()
	ciphertext, fragment, err := Seal(rand.Reader, content)
	if err != nil {
		t.Fatal(err)
	}
	return ciphertext, fragment
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

func TestWhatIsSealedOpens(t *testing.T) {
	names := []string{"", "a", "report.pdf", "最終 – \"quoted\" <&>\\\u2028.txt", "\x00\x1b[2J", strings.Repeat("n", 255)}
	for _, size := range []int{0, 1, 2, 3, 100, 3071, 3072, 3073, 4096, 100_003, 1 << 20} {
		for _, name := range names {
			want := randomBytes(size)
			ciphertext, fragment := seal(t, Content{Data: want, Filename: name})
			got, err := Open(ciphertext, fragment)
			if err != nil || !bytes.Equal(got.Data, want) || got.Filename != name {
				t.Errorf("%d bytes named %q came back as %d bytes named %q (%v)", size, name, len(got.Data), got.Filename, err)
			}
		}
	}
}

func TestWhatIsSealedAsItIsReadOpens(t *testing.T) {
	for _, size := range []int{0, 1, 2, 3, pieceSize - 1, pieceSize, pieceSize + 1, 3*pieceSize + 2} {
		for _, expected := range []int64{-1, 0, int64(size) - 1, int64(size), int64(size) + 1, 1 << 20} {
			for way, through := range map[string]func(io.Reader) io.Reader{"halves": iotest.HalfReader, "with the end": iotest.DataErrReader} {
				want := randomBytes(size)
				ciphertext, fragment, err := SealFrom(rand.Reader, Source{
					Reader: through(bytes.NewReader(want)), Size: expected, Filename: func() string { return "file" },
				})
				if err != nil {
					t.Fatal(err)
				}
				got, err := Open(ciphertext, fragment)
				if err != nil || !bytes.Equal(got.Data, want) || got.Filename != "file" {
					t.Errorf("%d bytes in %s, of %d, came back as %d named %q (%v)", size, way, expected, len(got.Data), got.Filename, err)
				}
			}
		}
	}
}

func TestWhatBreaksOffIsNotSealed(t *testing.T) {
	for _, cause := range []error{io.ErrUnexpectedEOF, errors.New("broken")} {
		for _, size := range []int{0, 10, pieceSize, pieceSize + 10} {
			source := io.MultiReader(bytes.NewReader(make([]byte, size)), iotest.ErrReader(cause))
			_, _, err := SealFrom(rand.Reader, Source{Reader: source, Filename: func() string { return "" }})
			if !errors.Is(err, cause) {
				t.Errorf("after %d bytes and %v: %v", size, cause, err)
			}
		}
	}
}

func TestNothingIsLeftInMemoryThatASecretOutgrows(t *testing.T) {
	var all [][]byte
	memory := func(capacity int) []byte {
		all = append(all, make([]byte, capacity))
		return all[len(all)-1][:0]
	}
	const size = 5 * pieceSize
	source := Source{Reader: bytes.NewReader(make([]byte, size)), Filename: func() string { return "" }, Memory: memory}
	if _, _, err := SealFrom(rand.Reader, source); err != nil {
		t.Fatal(err)
	}
	if len(all) < 2 {
		t.Fatal("nothing was outgrown")
	}
	for _, outgrown := range all[:len(all)-1] {
		if !bytes.Equal(outgrown, make([]byte, len(outgrown))) {
			t.Errorf("something is left in %d bytes", len(outgrown))
		}
	}
	all = nil
	source.Reader, source.Size = bytes.NewReader(make([]byte, size)), size
	if _, _, err := SealFrom(rand.Reader, source); err != nil || len(all) != 1 {
		t.Errorf("what was expected took %d buffers (%v)", len(all), err)
	}
	all = nil
	source.Reader = io.MultiReader(bytes.NewReader(make([]byte, size)), iotest.ErrReader(errors.New("broken")))
	if _, _, err := SealFrom(rand.Reader, source); err == nil || !bytes.Equal(all[0], make([]byte, len(all[0]))) {
		t.Errorf("something is left of what broke off (%v)", err)
	}
}

func TestEveryPasswordHasOneLength(t *testing.T) {
	for size := 1; size <= 700; size++ {
		ciphertext, _ := seal(t, Content{Data: randomBytes(size)})
		if len(ciphertext) != minCiphertext {
			t.Fatalf("%d bytes give a ciphertext of %d", size, len(ciphertext))
		}
	}
}

func TestLengthsTellLittle(t *testing.T) {
	lengths := make(map[int]bool)
	for size := 1 << 20; size <= 10<<20; size += 7919 {
		fixed := nonceSize + len(payloadData) + base64.StdEncoding.EncodedLen(size) + 1 + len(payloadPad) + 2 + tagSize
		pad, spaces := padding(fixed)
		length := fixed + base64.StdEncoding.EncodedLen(pad) + spaces
		lengths[length] = true
		if length > fixed+fixed/8+64 {
			t.Errorf("%d grows to %d", fixed, length)
		}
		if pad < minPad {
			t.Errorf("only %d bytes pad %d", pad, size)
		}
	}
	if len(lengths) > 4*32 { // 32 for each doubling
		t.Errorf("1 to 10 MiB give %d lengths", len(lengths))
	}
}

func TestFileNamesHideInRoundLengths(t *testing.T) {
	for n := 1; n < 40; n++ {
		ciphertext, _ := seal(t, Content{Data: []byte("x"), Filename: strings.Repeat("n", n)})
		if len(ciphertext) != minCiphertext {
			t.Errorf("a name of %d gives a ciphertext of %d", n, len(ciphertext))
		}
	}
}

func TestTheHashConfirmsNoGuess(t *testing.T) {
	seen := make(map[Hash]bool)
	for range 100 {
		_, fragment := seal(t, Content{Data: []byte("1234")})
		if seen[fragment.Hash] {
			t.Fatal("the same content gave the same hash")
		}
		seen[fragment.Hash] = true
	}
}

func TestAKeySealsOnce(t *testing.T) {
	o, err := newOnce(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.seal(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if o.key != (Key{}) {
		t.Error("the key is still there")
	}
	if _, _, err := o.seal(make([]byte, 100)); !errors.Is(err, errSpent) {
		t.Errorf("a second use gave %v", err)
	}
}

func TestKeysAndNoncesAreFresh(t *testing.T) {
	keys, nonces := make(map[Key]bool), make(map[string]bool)
	for range 1000 {
		ciphertext, fragment := seal(t, Content{Data: []byte("x")})
		keys[fragment.Key], nonces[string(ciphertext[:nonceSize])] = true, true
	}
	if len(keys) != 1000 || len(nonces) != 1000 {
		t.Errorf("%d keys and %d nonces", len(keys), len(nonces))
	}
}

func TestTooLittleRandomnessIsAnError(t *testing.T) {
	for n := range keySize + nonceSize + minPad {
		if _, _, err := Seal(bytes.NewReader(make([]byte, n)), Content{Data: []byte("x")}); err == nil {
			t.Errorf("sealed with %d random bytes", n)
		}
	}
}

func TestAnyChangeOfTheCiphertextIsNoticed(t *testing.T) {
	ciphertext, fragment := seal(t, Content{Data: []byte("unchanged")})
	for i := range ciphertext {
		changed := bytes.Clone(ciphertext)
		changed[i] ^= 1 << (i % 8)
		if _, err := Open(changed, fragment); !errors.Is(err, ErrWrongKey) {
			t.Fatalf("a change of byte %d gave %v", i, err)
		}
	}
	for n := range len(ciphertext) {
		if _, err := Open(bytes.Clone(ciphertext[:n]), fragment); !errors.Is(err, ErrWrongKey) {
			t.Fatalf("%d bytes of it gave %v", n, err)
		}
	}
}

func TestAWrongKeyAndAWrongHashAreToldApart(t *testing.T) {
	ciphertext, fragment := seal(t, Content{Data: []byte("x")})
	wrong := fragment
	wrong.Key[31] ^= 1
	if _, err := Open(bytes.Clone(ciphertext), wrong); !errors.Is(err, ErrWrongKey) {
		t.Errorf("a wrong key gave %v", err)
	}
	wrong = fragment
	wrong.Hash[0] ^= 1
	clone := bytes.Clone(ciphertext)
	if _, err := Open(clone, wrong); !errors.Is(err, ErrHashMismatch) {
		t.Errorf("a wrong hash gave %v", err)
	}
	if bytes.Contains(clone, []byte(`"data"`)) {
		t.Error("the plain text is still there")
	}
}

func TestFileNamesThatCannotBeSealedAreRefused(t *testing.T) {
	for _, name := range []string{"\xff", "a\xc3", strings.Repeat("n", 1600), strings.Repeat("\x01", 300)} {
		if _, _, err := Seal(rand.Reader, Content{Data: []byte("x"), Filename: name}); err == nil {
			t.Errorf("a name of %d bytes was sealed", len(name))
		}
	}
}

func TestPayloadsOfOrdinaryJSONOpen(t *testing.T) {
	for payload, want := range map[string]Content{
		`{"data":"eA=="}`: {Data: []byte("x")},
		` { "filename" : null , "data" : "eA==" } `:                  {Data: []byte("x")},
		`{"filename":"","data":"eA=="}`:                              {Data: []byte("x")},
		`{"data":"\u0065A=\u003d","filename":"\u00fc\n"}`:            {Data: []byte("x"), Filename: "ü\n"},
		`{"data":"\/\/\/\/"}`:                                        {Data: []byte{255, 255, 255}},
		`{"x":{"data":[1,"}",{}]},"data":"","y":-1.5e3,"z":[[],{}]}`: {Data: []byte{}},
		`{"n":null,"t":true,"e":"\"\\","data":"eA=="}`:               {Data: []byte("x")},
	} {
		got, err := parsePayload([]byte(payload))
		if err != nil || !bytes.Equal(got.Data, want.Data) || got.Filename != want.Filename {
			t.Errorf("%s gives %q, %q (%v)", payload, got.Data, got.Filename, err)
		}
	}
}

func TestPayloadsOfAnythingElseDoNot(t *testing.T) {
	for _, payload := range []string{
		``, ` `, `null`, `[]`, `"data"`, `1`, `{`, `{}`, `{"data":}`, `{"data":null}`, `{"data":1}`, `{"data":["eA=="]}`,
		`{"data":"eA=="`, `{"data":"eA=="}}`, `{"data":"eA=="} {}`, `{"data":"eA==","data":"eA=="}`, `{"DATA":"eA=="}`,
		`{"data":"eA==","filename":1}`, `{"data":"eA==","filename":"a","filename":"b"}`, `{"data":"eA"}`, `{"data":"eA="}`,
		`{"data":"eB=="}`, `{"data":"eA==eA=="}`, `{"data":"e A="}`, "{\"data\":\"eA=\n=\"}", `{"data":"eA=\n="}`, `{"data":"-_-_"}`,
		`{"data":"` + strings.Repeat("AAAA", 1023) + "AA==" + `AAAA"}`,
	} {
		if got, err := parsePayload([]byte(payload)); !errors.Is(err, ErrPayload) {
			t.Errorf("%s gives %q, %v", payload, got.Data, err)
		}
	}
}

func TestKeysDoNotPrintThemselves(t *testing.T) {
	_, fragment := seal(t, Content{Data: []byte("x")})
	link := Link{Server: "https://example.com", Fragment: &fragment}
	leaks := []string{fragment.Encode()[:43], hex.EncodeToString(fragment.Key[:]), fmt.Sprintf("%d", fragment.Key[:])[1:40]}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o"} {
		for _, value := range []any{fragment, &fragment, fragment.Key, link, &link, []Link{link}, struct{ F Fragment }{fragment}} {
			for _, leak := range leaks {
				if text := fmt.Sprintf(verb, value); strings.Contains(text, leak) {
					t.Errorf("%s of %T prints the key: %s", verb, value, text)
				}
			}
		}
	}
}

func TestClearing(t *testing.T) {
	content := Content{Data: []byte("plain text")}
	content.Clear()
	if !bytes.Equal(content.Data, make([]byte, 10)) {
		t.Error("the content is still there")
	}
	_, fragment := seal(t, Content{Data: []byte("x")})
	fragment.Clear()
	if fragment.Key != (Key{}) {
		t.Error("the key is still there")
	}
}

func TestOpenedContentLeavesNoCopyBehind(t *testing.T) {
	marked := strings.Repeat("a marked secret ", 1000)
	ciphertext, fragment := seal(t, Content{Data: []byte(marked)})
	content, err := Open(ciphertext, fragment)
	if err != nil {
		t.Fatal(err)
	}
	content.Clear()
	if bytes.Contains(ciphertext, []byte(base64.StdEncoding.EncodeToString([]byte("a marked secret "))[:8])) ||
		bytes.Contains(ciphertext, []byte("marked")) {
		t.Error("plain text is left in the buffer")
	}
}

func TestMemoryIsOneBuffer(t *testing.T) {
	allocated := func(run func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		run()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	data := randomBytes(10 << 20)
	var ciphertext []byte
	var fragment Fragment
	if n := allocated(func() { ciphertext, fragment = seal(t, Content{Data: data}) }); n > uint64(len(ciphertext))*11/10 {
		t.Errorf("sealing a ciphertext of %d allocates %d bytes", len(ciphertext), n)
	}
	n := allocated(func() {
		if _, err := Open(ciphertext, fragment); err != nil {
			t.Error(err)
		}
	})
	if n > 2<<20 {
		t.Errorf("opening a ciphertext of %d allocates %d bytes", len(ciphertext), n)
	}
}

func TestImportsNothingOfThisProject(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range strings.Fields(string(out)) {
		if strings.HasPrefix(dep, "hakanai") && dep != "hakanai/crypto" {
			t.Errorf("crypto imports %s", dep)
		}
	}
}

func FuzzOpenPayload(f *testing.F) {
	vectors, _ := readVectors(f)
	for _, v := range vectors {
		f.Add([]byte(v.Payload))
	}
	for _, payload := range []string{`{"filename":"a","x":[{"data":1}],"data":"eA=="}`, `{"data":"\u0065A=="} `, `{"data":"eA==","data":""}`} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		got, err := parsePayload(bytes.Clone(payload))
		if err != nil {
			if !errors.Is(err, ErrPayload) {
				t.Errorf("error is %v", err)
			}
			return
		}
		var fields map[string]json.RawMessage // encoding/json folds the case of a struct's names, but not of a map's
		var data []byte
		var filename string
		if json.Unmarshal(payload, &fields) != nil || json.Unmarshal(fields["data"], &data) != nil {
			t.Fatalf("opened %q", payload)
		}
		if raw, found := fields["filename"]; found && json.Unmarshal(raw, &filename) != nil {
			t.Fatalf("opened %q", payload)
		}
		if !bytes.Equal(got.Data, data) || filename != got.Filename {
			t.Errorf("%q opens as %q named %q, want %q named %q", payload, got.Data, got.Filename, data, filename)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	for _, size := range []int{1 << 10, 10 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			data := randomBytes(size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				seal(b, Content{Data: data})
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, size := range []int{1 << 10, 10 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			ciphertext, fragment := seal(b, Content{Data: randomBytes(size)})
			work := make([]byte, len(ciphertext))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				copy(work, ciphertext)
				if _, err := Open(work, fragment); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
