package main

import (
	"crypto/x509"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// The container image has no file but the program.
func TestAuthoritiesAreThereWhereTheSystemHasNone(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	t.Setenv("SSL_CERT_FILE", nowhere)
	t.Setenv("SSL_CERT_DIR", nowhere)
	tried := 0
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue // good for some certificates alone
		}
		authority, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := authority.Verify(x509.VerifyOptions{}); err != nil {
			t.Errorf("%s: %v", authority.Subject, err)
		}
		tried++
	}
	if tried == 0 {
		t.Error("there is none")
	}
}
