package httpapi

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// readAll reads a body with a bound on its ciphertext.
func readAll(body io.Reader, bound int64) (request createBody, ciphertext []byte, err error) {
	var data bytes.Buffer
	r := bodyReader{body: body, buffer: new(transferBuffer), data: &data, bound: bound}
	request, err = r.readBody()
	return request, data.Bytes(), err
}

func TestABodyReadsTheSameInAnyPieces(t *testing.T) {
	want := bytes.Repeat([]byte("any bytes at all / "), 5000)
	text := strings.Replace(base64.StdEncoding.EncodeToString(want), "b", `\u0062`, 100)
	text = strings.ReplaceAll(text, "/", `\/`)
	body := `{"expires_in" : 60 ,"x":["\"}",{}], "data":"` + text + `" }`
	for _, pieces := range []func(io.Reader) io.Reader{
		func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader,
	} {
		request, got, err := readAll(pieces(strings.NewReader(body)), int64(len(want)))
		if err != nil || request.expiresIn != 60 || !bytes.Equal(got, want) {
			t.Errorf("%d bytes and %d seconds (%v)", len(got), request.expiresIn, err)
		}
	}
}

func TestEveryEscapedSlashOfALargeSecretIsAccepted(t *testing.T) {
	want := make([]byte, 10<<20)
	rand.Read(want) // never fails
	text := strings.ReplaceAll(base64.StdEncoding.EncodeToString(want), "/", `\/`)
	_, got, err := readAll(strings.NewReader(`{"data":"`+text+`","expires_in":60}`), int64(len(want)))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes (%v)", len(got), err)
	}
}

func TestABodyOfEscapesAloneHasAnEnd(t *testing.T) {
	body := io.MultiReader(strings.NewReader(`{"data":"`), endlessly(`\u0041`))
	if _, _, err := readAll(body, 1<<20); !errors.Is(err, errOverBound) {
		t.Errorf("it gives %v", err)
	}
}

// The decoder of base64 skips line ends, wherever they are.
func TestLineEndsInDataAreRefused(t *testing.T) {
	long := base64.StdEncoding.EncodeToString(make([]byte, 100_000))
	for _, text := range []string{"QUJDRA==", "QUJDREU=", "QUJDREVG", long} {
		for _, end := range []string{"\n", "\r", `\n`, `\r`, `\u000a`} {
			for n := range 9 {
				for _, at := range []int{0, 1, 4, 5, 6, 7, len(text) - 1, len(text)} {
					body := `{"data":"` + text[:at] + strings.Repeat(end, n) + text[at:] + `","expires_in":60}`
					_, _, err := readAll(strings.NewReader(body), 1<<20)
					if accepted := err == nil; accepted != (n == 0) {
						t.Errorf("%d times %q at %d of %.10s…: accepted is %v (%v)", n, end, at, text, accepted, err)
					}
				}
			}
		}
	}
}

func TestErrorsOfTheBodyAndTheStorePassThrough(t *testing.T) {
	broken := errors.New("broken")
	if _, _, err := readAll(iotest.ErrReader(broken), 100); !errors.Is(err, broken) {
		t.Errorf("a broken body gives %v", err)
	}
	r, w := io.Pipe()
	r.CloseWithError(broken)
	reader := bodyReader{body: strings.NewReader(`{"data":"QUJD","expires_in":1}`), buffer: new(transferBuffer), data: w, bound: 100}
	if _, err := reader.readBody(); !errors.Is(err, broken) {
		t.Errorf("a broken store gives %v", err)
	}
}

// FuzzBody compares with encoding/json: whatever this reader accepts is JSON, and means the same.
func FuzzBody(f *testing.F) {
	for _, body := range []string{
		`{"data":"QUJD","expires_in":60}`, `{"expires_in":1,"data":"\/\u0041==","restrictions":{}}`, `{"data":"QUI=","expires_in":1,"x":[{"y":"\""}]}`,
		`{"data":"QUJDRA==","data":"","expires_in":01}`, ` {"data" : "QUJD" , "expires_in" : 604800 } `,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		const bound = 1 << 20
		request, ciphertext, err := readAll(bytes.NewReader(body), bound)
		piecewise, again, errPiecewise := readAll(iotest.OneByteReader(bytes.NewReader(body)), bound)
		if (err == nil) != (errPiecewise == nil) || err == nil && (!reflect.DeepEqual(piecewise, request) || !bytes.Equal(again, ciphertext)) {
			t.Fatalf("%q: whole %v, byte by byte %v", body, err, errPiecewise)
		}
		var fields map[string]json.RawMessage
		valid := json.Unmarshal(body, &fields) == nil
		if err != nil {
			var refused *requestError
			if !errors.As(err, &refused) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, errOverBound) {
				t.Errorf("%q gives %v", body, err)
			}
			if valid && errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q is whole, and called cut off", body)
			}
			return
		}
		var data string
		var expiresIn int64
		if !valid || json.Unmarshal(fields["data"], &data) != nil || json.Unmarshal(fields["expires_in"], &expiresIn) != nil {
			t.Fatalf("accepted %q", body)
		}
		want, err := base64.StdEncoding.Strict().DecodeString(data)
		if err != nil || !bytes.Equal(ciphertext, want) || expiresIn != request.expiresIn {
			t.Errorf("%q gives %q and %d", body, ciphertext, request.expiresIn)
		}
	})
}

// What a body costs in memory is the transfer's buffer, and little besides, however long it is.
func TestReadingABodyAllocatesLittle(t *testing.T) {
	buffer := new(transferBuffer)
	for size, most := range map[int]float64{1 << 10: 60, 1 << 20: 150} {
		body := `{"data":"` + base64.StdEncoding.EncodeToString(make([]byte, size)) + `","expires_in":60}`
		allocations := testing.AllocsPerRun(20, func() {
			r := bodyReader{body: strings.NewReader(body), buffer: buffer, data: io.Discard, bound: 1 << 20}
			if _, err := r.readBody(); err != nil {
				t.Error(err)
			}
		})
		if allocations > most {
			t.Errorf("a body of %d bytes takes %v allocations", size, allocations)
		}
	}
}

func BenchmarkBody(b *testing.B) {
	body := `{"data":"` + base64.StdEncoding.EncodeToString(make([]byte, 1<<20)) + `","expires_in":60}`
	buffer := new(transferBuffer)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		r := bodyReader{body: strings.NewReader(body), buffer: buffer, data: io.Discard, bound: 1 << 20}
		if _, err := r.readBody(); err != nil {
			b.Fatal(err)
		}
	}
}
