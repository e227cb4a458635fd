package valkey

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valkey-io/valkey-go"
)

// DSN says where Valkey is and how to reach it. It never prints its passwords.
//
//	redis://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]...][/DATABASE][?OPTIONS]
//	unix://[USER[:PASSWORD]@]/PATH[?OPTIONS]
//
// valkey:// is the same as redis://; rediss:// and valkeys:// speak TLS. Options:
//
//	addr=HOST:PORT          one more address; repeatable, the same as a comma
//	db=N                    the database, where the path does not say it
//	master=NAME             the addresses are Sentinels, and this is the master they watch
//	sentinel_user=USER      the Sentinels' own credentials; without them none are sent to a Sentinel
//	sentinel_password=PASSWORD
//	ca=FILE                 PEM certificates to trust instead of the system's
//	cert=FILE, key=FILE     PEM certificate and key of this client
//	server_name=NAME        the name in the servers' certificates, where it is not the host
//
// Several addresses without a master are nodes of a Cluster. A single one may be a node of a Cluster too: it is asked.
type DSN struct {
	addresses []string
	unix      bool
	tls       *tls.Config

	user, password string
	database       int

	master                         string
	sentinelUser, sentinelPassword string
}

const (
	defaultPort         = "6379"
	defaultSentinelPort = "26379"
)

// ParseDSN reads a DSN. Its errors name what is wrong, and hold no part of the DSN that could be a password.
func ParseDSN(text string) (*DSN, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return nil, errors.New("it must begin with redis://, rediss://, valkey://, valkeys:// or unix://")
	}
	d := new(DSN)
	switch strings.ToLower(scheme) {
	case "redis", "valkey":
	case "rediss", "valkeys":
		d.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	case "unix":
		d.unix = true
	default:
		return nil, errors.New("its scheme must be redis, rediss, valkey, valkeys or unix")
	}
	rest, query, _ := strings.Cut(rest, "?")
	if strings.Contains(rest, "#") || strings.Contains(query, "#") {
		return nil, errors.New("it must not have a fragment; a # in a password is written %23")
	}
	if strings.Contains(query, "@") { // most likely a password with a ?, which must not get into an error below
		return nil, errors.New("there is an @ after the ?; in a password a ? is written %3F, and in an option an @ is %40")
	}
	credentials, place := "", rest
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		credentials, place = rest[:at], rest[at+1:]
	}
	if err := d.readCredentials(credentials); err != nil {
		return nil, err
	}
	options, err := url.ParseQuery(query)
	if err != nil {
		return nil, errors.New("its options after the ? are not well formed")
	}
	d.master = options.Get("master")
	if err := d.readPlace(place, options["addr"]); err != nil {
		return nil, err
	}
	if err := d.readOptions(options); err != nil {
		return nil, err
	}
	return d, d.check()
}

func (d *DSN) readCredentials(text string) (err error) {
	user, password, _ := strings.Cut(text, ":")
	if d.user, err = url.PathUnescape(user); err == nil {
		d.password, err = url.PathUnescape(password)
	}
	if err != nil {
		return errors.New("user and password before the @ must be percent-encoded where they have a %")
	}
	if d.user != "" && d.password == "" {
		return errors.New("it has a user and no password; a password alone is written :PASSWORD@")
	}
	return nil
}

// readPlace reads the addresses, and the database if the path says it.
func (d *DSN) readPlace(text string, more []string) error {
	if d.unix {
		if !strings.HasPrefix(text, "/") {
			return errors.New("unix:// must be followed by an absolute path: unix:///run/valkey.sock")
		}
		if len(more) > 0 {
			return errors.New("a unix socket can have no other address")
		}
		path, err := url.PathUnescape(text)
		if err != nil {
			return errors.New("its path is not well formed")
		}
		d.addresses = []string{path}
		return nil
	}
	hosts, path, _ := strings.Cut(text, "/")
	for i, host := range append(strings.Split(hosts, ","), more...) {
		address, err := d.readAddress(host)
		if err != nil {
			return fmt.Errorf("address %d: %w", i+1, err)
		}
		d.addresses = append(d.addresses, address)
	}
	if path == "" {
		return nil
	}
	return d.readDatabase(path)
}

func (d *DSN) readAddress(text string) (string, error) {
	port := defaultPort
	if d.master != "" {
		port = defaultSentinelPort
	}
	host := text
	if h, p, err := net.SplitHostPort(text); err == nil {
		host, port = h, p
	} else if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		host = text[1 : len(text)-1]
	} else if strings.Contains(text, ":") {
		return "", errors.New("it must be HOST or HOST:PORT, with [ ] around an IPv6 address")
	}
	if host == "" {
		return "", errors.New("it has no host")
	}
	if strings.ContainsAny(host, " \t\r\n/\\\"'<>@") {
		return "", errors.New("the host has a character that no host has")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", errors.New("the port must be from 1 to 65535")
	}
	return net.JoinHostPort(host, port), nil
}

func (d *DSN) readDatabase(text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return errors.New("the database must be a number from 0 to 65535")
	}
	d.database = int(n)
	return nil
}

func (d *DSN) readOptions(options url.Values) error {
	known := []string{"addr", "db", "master", "sentinel_user", "sentinel_password", "ca", "cert", "key", "server_name"}
	for name, values := range options {
		if !slices.Contains(known, name) {
			return fmt.Errorf("it has an option that is not known (an & in a password is written %%26); there are %s",
				strings.Join(known, ", "))
		}
		if name != "addr" && len(values) > 1 {
			return fmt.Errorf("option %s is given more than once", name)
		}
		if values[0] == "" {
			return fmt.Errorf("option %s is empty", name)
		}
	}
	if db := options.Get("db"); db != "" {
		if err := d.readDatabase(db); err != nil {
			return err
		}
	}
	d.sentinelUser, d.sentinelPassword = options.Get("sentinel_user"), options.Get("sentinel_password")
	return d.readTLS(options.Get("ca"), options.Get("cert"), options.Get("key"), options.Get("server_name"))
}

func (d *DSN) readTLS(ca, cert, key, serverName string) error {
	if d.tls == nil {
		if ca != "" || cert != "" || key != "" || serverName != "" {
			return errors.New("ca, cert, key and server_name need TLS: rediss:// or valkeys://")
		}
		return nil
	}
	d.tls.ServerName = serverName
	if ca != "" {
		pem, err := os.ReadFile(ca) //nolint:gosec // the operator names the file
		if err != nil {
			return fmt.Errorf("option ca: %w", err)
		}
		d.tls.RootCAs = x509.NewCertPool()
		if !d.tls.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("option ca: %s holds no PEM certificate", ca)
		}
	}
	if (cert == "") != (key == "") {
		return errors.New("options cert and key belong together")
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return fmt.Errorf("options cert and key: %w", err)
		}
		d.tls.Certificates = []tls.Certificate{pair}
	}
	return nil
}

func (d *DSN) check() error {
	if d.master == "" && (d.sentinelUser != "" || d.sentinelPassword != "") {
		return errors.New("sentinel_user and sentinel_password need master=NAME")
	}
	if d.sentinelUser != "" && d.sentinelPassword == "" {
		return errors.New("sentinel_user needs sentinel_password")
	}
	if d.cluster() && d.database != 0 {
		return errors.New("a Cluster (several addresses without master=NAME) has database 0 alone")
	}
	return nil
}

// cluster tells whether it is sure that this is a Cluster.
func (d *DSN) cluster() bool { return d.master == "" && len(d.addresses) > 1 }

// String tells where Valkey is, without credentials.
func (d DSN) String() string {
	text := strings.Join(d.addresses, ",")
	if d.master != "" {
		text = "master " + d.master + " of the Sentinels " + text
	}
	if d.database != 0 {
		text += " database " + strconv.Itoa(d.database)
	}
	if d.tls != nil {
		text += " over TLS"
	}
	return text
}

// GoString keeps %#v from printing what String hides.
func (d DSN) GoString() string { return "valkey.DSN(" + d.String() + ")" }

// node connects to one server outside a Cluster, with the credentials of the one that is written to.
func (d *DSN) node(address string) (valkey.Client, error) {
	options := d.options()
	options.InitAddress, options.Sentinel = []string{address}, valkey.SentinelOption{}
	return newSmallClient(options)
}

// newSmallClient connects to one server, for a few small questions.
func newSmallClient(options valkey.ClientOption) (valkey.Client, error) {
	options.ForceSingleClient, options.DisableCache, options.DisableRetry = true, true, true
	options.ClientName, options.ClientSetInfo = clientName, valkey.DisableClientSetInfo
	options.ReadBufferEachConn, options.WriteBufferEachConn = smallBuffer, smallBuffer
	options.ConnWriteTimeout = unanswered
	client, err := valkey.NewClient(options)
	if err != nil && client != nil {
		client.Close()
	}
	return client, err
}

// options are the client's settings that the DSN decides.
func (d *DSN) options() valkey.ClientOption {
	dialer := net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	options := valkey.ClientOption{
		InitAddress:   slices.Clone(d.addresses),
		TLSConfig:     d.tls,
		Username:      d.user,
		Password:      d.password,
		SelectDB:      d.database,
		Dialer:        dialer,
		MaxFlushDelay: 50 * time.Microsecond,
		// A single address of a unix socket or with a database is no node of a Cluster.
		ForceSingleClient: d.unix || d.master == "" && d.database != 0,
	}
	options.ClusterOption.ShardsRefreshInterval = topologyRefresh
	options.DialCtxFn = d.dial
	if d.master != "" {
		options.Sentinel = valkey.SentinelOption{
			Dialer: dialer, TLSConfig: d.tls, MasterSet: d.master,
			Username: d.sentinelUser, Password: d.sentinelPassword,
			TopologyRefreshInterval: topologyRefresh,
		}
	}
	return options
}
