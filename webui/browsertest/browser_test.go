//go:build unix

package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/css"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// notSafe is a name of this machine that browsers do not know to be this machine: pages there are not trusted.
const notSafe = "hakanai.test"

var flags = map[string]any{
	"headless":                      "new",
	"no-sandbox":                    true, // the tests may run as root
	"no-first-run":                  true,
	"disable-gpu":                   true,
	"disable-quic":                  true,
	"disable-sync":                  true,
	"disable-background-networking": true,
	"disable-component-update":      true,
	"disable-features":              "Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider",
	"lang":                          "en-US",
	"host-resolver-rules":           "MAP " + notSafe + " 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
	"window-size":                   "1100,900",
}

// closeBrowser ends the browser, if it was started.
var closeBrowser = func() {}

// browser is the one browser, started when it is first wanted.
var browser = sync.OnceValues(func() (context.Context, error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.UserDataDir(filepath.Join(scratch, "profile")), chromedp.ExecPath("chromium"))
	for name, value := range flags {
		options = append(options, chromedp.Flag(name, value))
	}
	ctx, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, endBrowser := chromedp.NewContext(ctx)
	closeBrowser = func() {
		endBrowser()
		endAllocator()
	}
	if err := chromedp.Do(ctx); err != nil {
		return nil, fmt.Errorf("starting Chromium (task setup installs it): %w", err)
	}
	return ctx, nil
})

// patience is how long a page may take for one step, on a machine that does other things too.
const patience = 60 * time.Second

// tab is a tab of the browser.
type tab struct {
	t      testing.TB
	server *server
	ctx    context.Context
	watch  *watch
}

// visit opens a page of a server, for somebody who has never been there.
func visit(s *server, path string) *tab {
	s.t.Helper()
	b := newTab(s)
	b.open(path)
	return b
}

// newTab opens an empty tab with a profile of its own.
func newTab(s *server) *tab {
	s.t.Helper()
	parent, err := browser()
	if err != nil {
		s.t.Fatal(err)
	}
	return openTab(s, parent, chromedp.WithNewBrowserContext())
}

// another opens an empty tab with the same profile.
func (b *tab) another() *tab {
	b.t.Helper()
	return openTab(b.server, b.ctx)
}

func openTab(s *server, parent context.Context, options ...chromedp.ContextOption) *tab {
	s.t.Helper()
	b := &tab{t: s.t, server: s, watch: newWatch(s.url)}
	var end context.CancelFunc
	b.ctx, end = chromedp.NewContext(parent, append(options, chromedp.WithListener(b.notice))...)
	b.do(func() error { return chromedp.Do(b.ctx) })
	b.t.Cleanup(end)
	b.t.Cleanup(b.check)
	call(b, css.Disable, cdp.Empty{}) // these tell of every change of the document
	call(b, dom.Disable, cdp.Empty{})
	call(b, audits.Enable, cdp.Empty{})
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	call(b, runtime.AddBinding, runtime.AddBindingParams{Name: "heard"})
	b.beforeAll(hear)
	b.beforeAll(`addEventListener("securitypolicyviolation", (event) =>
		console.error("content security policy: " + event.violatedDirective + " " + event.blockedURI))`)
	return b
}

func (b *tab) do(step func() error) {
	b.t.Helper()
	if err := step(); err != nil {
		b.t.Fatal(err)
	}
}

// call sends a command of the DevTools protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// beforeAll runs a script in every document from now on, before the document's own.
func (b *tab) beforeAll(script string) {
	b.t.Helper()
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
}

// try evaluates an expression, or a promise of it, in the page.
func try[T any](b *tab, expression string) (value T, err error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	result, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{
		Expression: expression, ReturnByValue: new(true), AwaitPromise: new(true), UserGesture: new(true),
	})
	if err != nil {
		return value, err
	}
	if result.ExceptionDetails != nil {
		return value, fmt.Errorf("%s: %s", expression, result.ExceptionDetails.Exception.Description)
	}
	if len(result.Result.Value) == 0 { // undefined
		return value, nil
	}
	return value, json.Unmarshal(result.Result.Value, &value)
}

func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := try[T](b, expression)
	if err != nil {
		b.t.Fatal(err)
	}
	return value
}

// await waits until an expression is true in the page. A page on its way to another is not there yet.
func (b *tab) await(what, expression string) {
	b.t.Helper()
	b.until(what, func() bool {
		done, err := try[bool](b, expression)
		return done && err == nil
	})
}

// until waits until something is so.
func (b *tab) until(what string, is func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if is() {
			return
		}
	}
	b.t.Fatalf("%s: has not come; the page shows:\n%s", what, b.shows())
}

// shows is what there is to see, for whoever reads that a test has failed.
func (b *tab) shows() string {
	text, err := try[string](b, `location.href + "\n" + document.body.innerText`)
	if err != nil {
		return err.Error()
	}
	return text
}

func decode(t testing.TB, raw []byte, value any) {
	t.Helper()
	if err := json.Unmarshal(raw, value); err != nil {
		t.Fatal(err)
	}
}

// quote makes a JavaScript literal.
func quote(value any) string {
	literal, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(literal)
}

// address is that of a path, or a link as it is.
func (b *tab) address(place string) string {
	if strings.HasPrefix(place, "/") {
		return b.server.url + place
	}
	return place
}
