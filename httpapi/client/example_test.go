package client_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"hakanai/crypto"
	"hakanai/httpapi/api"
	"hakanai/httpapi/client"
)

// A secret goes from one person to another.
func Example() {
	server := httptest.NewServer(memory())
	defer server.Close()
	ctx := context.Background()

	// The sender seals it, sends the ciphertext, and passes the link on.
	ciphertext, fragment, err := crypto.Seal(rand.Reader, crypto.Content{Data: []byte("the wifi password")})
	if err != nil {
		panic(err)
	}
	sender, err := client.New(client.Options{Server: server.URL})
	if err != nil {
		panic(err)
	}
	id, err := sender.Send(ctx, ciphertext, 24*time.Hour, api.Restrictions{})
	if err != nil {
		panic(err)
	}
	text := crypto.Link{Server: server.URL, ID: id, Fragment: &fragment}.Encode()

	// The recipient takes the link apart, gets the ciphertext, and opens it.
	link, err := crypto.ParseLink(text)
	if err != nil {
		panic(err)
	}
	recipient, err := client.New(client.Options{Server: link.Server})
	if err != nil {
		panic(err)
	}
	retrieved, err := recipient.Get(ctx, link.ID, "")
	if err != nil {
		panic(err)
	}
	content, err := crypto.Open(retrieved.Ciphertext, *link.Fragment)
	if err != nil {
		panic(err)
	}
	if err := retrieved.Done(ctx); err != nil { // it is safe here: the server may forget it
		panic(err)
	}
	defer content.Clear()
	fmt.Printf("%s\n", content.Data)
	// Output: the wifi password
}

// memory stands in for a server: it keeps one secret.
func memory() http.Handler {
	var data string
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, data)
			return
		}
		body, _ := io.ReadAll(r.Body)
		_, data, _ = strings.Cut(string(body), `{"data":"`)
		data, _, _ = strings.Cut(data, `"`)
		_, _ = io.WriteString(w, `{"id":"0f8fad5b-d9cb-469f-a165-70867728950e"}`)
	})
}
