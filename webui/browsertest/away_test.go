//go:build unix

package browsertest

import (
	"testing"

	"github.com/chromedp/cdproto/network"
)

func TestAServerThatIsAwayLosesNothingThatWasTyped(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := visit(s, "/create")
	b.write("#text", "typed with care")
	b.press("#more summary")
	b.write("#passphrase", "correct horse")
	b.wantText("#size", "of 10 MiB")
	s.stop()
	b.expect("ERR_CONNECTION_REFUSED")
	b.press("#create")
	b.wantText("#problem", "What you entered is still here")
	if b.value("#text") != "typed with care" || b.value("#passphrase") != "correct horse" {
		t.Error("it is not there")
	}
	s.startAgain()
	b.press("#create")
	b.see("#link")
	b.miss("#problem")
}

func TestAServerThatIsAwayTakesNoSecretWithIt(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := newTab(s)
	b.open(s.send("still there"))
	s.stop()
	b.expect("ERR_CONNECTION_REFUSED")
	b.press("#reveal")
	b.wantText("#problem", "The server could not be reached")
	s.startAgain()
	b.press("#reveal")
	b.wantSecret("still there")
}

func TestAServerThatGoesAwayBeforeItHasToldWhatItOffers(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := newTab(s)
	b.beforeAll(`const ask = fetch; let asked = 0;
		globalThis.fetch = (...what) => asked++ === 0 ? ask(...what).then(() => { throw new TypeError("away"); }) : ask(...what)`)
	b.open("/create")
	b.wantText("#away", "The server cannot be reached")
	b.press("#again")
	b.share("now it is there")
}

func TestABrowserThatIsOfflineIsSaid(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := visit(s, "/create")
	b.write("#text", "on a train")
	b.expect("ERR_INTERNET_DISCONNECTED")
	b.offline(true)
	b.press("#create")
	b.wantText("#problem", "check your connection")
	b.offline(false)
	b.press("#create")
	b.reveal(b.text("#link"))
	b.wantSecret("on a train")
}

// offline takes the network away, or gives it back.
func (b *tab) offline(offline bool) {
	b.t.Helper()
	conditions := []*network.Conditions{}
	if offline {
		conditions = append(conditions, &network.Conditions{Offline: true, DownloadThroughput: -1, UploadThroughput: -1})
	}
	call(b, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: conditions})
	call(b, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: offline, DownloadThroughput: -1, UploadThroughput: -1})
}

func TestAnUploadIsCancelled(t *testing.T) {
	t.Parallel()
	s := serve(t, open...)
	b := visit(s, "/create")
	b.press("label:has(#kind-files)")
	b.upload("#file-input", file(t, "large.bin", bytesOf(4<<20)))
	b.slow(1, 100<<10)
	b.press("#create")
	b.wantText("#progress", "%")
	b.open("/create") // the browser asks first
	if b.askedToStay() != 1 {
		t.Errorf("while it is sent, the browser asked %d times whether to leave", b.askedToStay())
	}
	b.press("label:has(#kind-files)")
	b.upload("#file-input", file(t, "large.bin", bytesOf(4<<20)))
	b.press("#create")
	b.wantText("#progress", "%")
	b.press("#cancel")
	b.see("#create")
	b.wantText("#files", "large.bin")
	if b.has("#problem") || b.has("#link") {
		t.Error("there is more than there was before")
	}
}

// slow makes the network slow: milliseconds until an answer begins, and bytes in a second.
func (b *tab) slow(latency, throughput float64) {
	b.t.Helper()
	call(b, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{
			{Latency: latency, DownloadThroughput: throughput, UploadThroughput: throughput},
		},
	})
}
