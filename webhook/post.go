package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"hakanai/httpapi/api"
)

// newClient returns a client that goes to the receiver and nowhere else: no proxy of the environment, no redirects.
func (s *Sender) newClient() *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            s.dial,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxConnsPerHost:        workers,
			MaxIdleConnsPerHost:    workers,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: 16 << 10,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		},
	}
}

// dial connects to an address that is checked at that moment: a name can change what it stands for.
func (s *Sender) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Resolver: s.resolver}
	if !s.options.AllowPrivate {
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			target, err := netip.ParseAddrPort(address)
			if err != nil || s.inside(target.Addr()) {
				return errInside
			}
			return nil
		}
	}
	return dialer.DialContext(ctx, network, address)
}

// statusError is an answer that says no.
type statusError int

func (e statusError) Error() string {
	if e >= 300 && e < 400 {
		return fmt.Sprintf("the receiver answers with status %d, and redirects are not followed", int(e))
	}
	return fmt.Sprintf("the receiver answers with status %d", int(e))
}

// post makes one try.
func (s *Sender) post(ctx context.Context, d *delivery) error {
	ctx, cancel := context.WithTimeout(ctx, s.tryTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.options.URL, bytes.NewReader(d.body))
	if err != nil {
		return errConnection
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "hakanai-webhook")
	r.Header.Set(api.DeliveryHeader, d.id)
	if s.options.Token != "" {
		r.Header.Set("Authorization", "Bearer "+s.options.Token)
	}
	if len(s.options.SigningKey) > 0 {
		r.Header.Set(api.SignatureHeader, sign(s.options.SigningKey, time.Now(), d.body))
	}
	response, err := s.client.Do(r)
	if err != nil {
		return reason(err)
	}
	defer func() { _ = response.Body.Close() }()                         // the status was read: there is nothing to lose
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer)) // so that the connection can be used again
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return statusError(response.StatusCode)
	}
	return nil
}

// sign makes the signature of a body at a time. The time is of the try, so that a receiver can refuse what is old.
func sign(key []byte, now time.Time, body []byte) string {
	t := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

var (
	errInside     = errors.New("the receiver's address is loopback, private, or otherwise not public")
	errTimeout    = errors.New("the receiver does not answer in time")
	errTrust      = errors.New("the receiver's certificate is not trusted")
	errConnection = errors.New("the connection to the receiver fails")
)

// reason puts an error of the connection into words of our own: its text can quote the URL, which may hold a secret, and
// the receiver.
func reason(err error) error {
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var call syscall.Errno
	switch {
	case errors.Is(err, errInside):
		return errInside
	case errors.Is(err, context.DeadlineExceeded):
		return errTimeout
	case errors.As(err, &name):
		return errors.New("the receiver's name is not found")
	case errors.As(err, &certificate), errors.As(err, &unknown):
		return errTrust
	case errors.As(err, &call):
		return fmt.Errorf("%w: %w", errConnection, call)
	}
	return errConnection
}

// isFinal tells whether another try would end the same way.
func isFinal(err error) bool {
	var status statusError
	if errors.As(err, &status) {
		switch status {
		case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
			return false
		}
		return status < 500
	}
	return errors.Is(err, errInside)
}
