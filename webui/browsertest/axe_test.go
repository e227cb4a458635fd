//go:build unix

package browsertest

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
)

// axe is the script that finds what keeps people with disabilities out.
var axe = sync.OnceValues(func() (string, error) {
	script, err := os.ReadFile("../node_modules/axe-core/axe.min.js")
	if err != nil {
		err = fmt.Errorf("axe is not installed (task setup): %w", err)
	}
	return string(script), err
})

// barriers finds what keeps people with disabilities out of the page as it is now. The script runs in a world of its own:
// the page's security policy would not let it in.
func (b *tab) barriers() (found []string) {
	b.t.Helper()
	script, err := axe()
	if err != nil {
		b.t.Fatal(err)
	}
	frame := call(b, page.GetFrameTree, cdp.Empty{}).FrameTree.Frame.ID
	world := call(b, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: frame, WorldName: "axe"}).ExecutionContextID
	run := func(expression string) *runtime.RemoteObject {
		result := call(b, runtime.Evaluate, runtime.EvaluateParams{
			Expression: expression, ContextID: world, ReturnByValue: new(true), AwaitPromise: new(true),
		})
		if result.ExceptionDetails != nil {
			b.t.Fatal(exceptionText(result.ExceptionDetails))
		}
		return result.Result
	}
	if string(run(`typeof axe`).Value) != `"object"` {
		run(script + `;0`)
	}
	decode(b.t, run(`axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations.flatMap((violation) =>
		violation.nodes.map((node) => violation.id + ": " + node.target.join(" ") + ": " + node.failureSummary)))`).Value, &found)
	return found
}

func TestABarrierIsFound(t *testing.T) {
	t.Parallel()
	b := visit(serve(t, open...), "/")
	eval[bool](b, `document.querySelector("h1").append(document.createElement("img")); document.body.style.color = "#aaa"; true`)
	found := strings.Join(b.barriers(), "\n")
	if !strings.Contains(found, "image-alt") || !strings.Contains(found, "color-contrast") {
		t.Errorf("found are only %s", found)
	}
}

func TestNobodyIsKeptOut(t *testing.T) {
	t.Parallel()
	for _, state := range states {
		t.Run(strings.ReplaceAll(state.name, " ", "-"), func(t *testing.T) {
			s := serveStates(t)
			b := newTab(s)
			b.prefer("prefers-reduced-motion", "reduce") // colors in between are none to judge
			state.show(s, b)
			for _, theme := range []string{"light", "dark"} {
				b.press("#theme-" + theme)
				for _, language := range []string{"en", "de"} {
					b.press("#language-" + language)
					for _, barrier := range b.barriers() {
						t.Errorf("%s, %s: %s", theme, language, barrier)
					}
				}
			}
		})
	}
}
