//go:build unix

package browsertest

import (
	"testing"

	"github.com/chromedp/cdproto/emulation"

	"hakanai/store/storetest"
)

// mostBytes is what a first visit to /create may take, all in all.
const mostBytes = 60_000

// ready notes when the page can be used, in milliseconds since its address was entered: its button is there, has been
// drawn, and no script keeps the page from answering.
const ready = `globalThis.drawn = 0; globalThis.usable = 0;
	new PerformanceObserver((list) => {
		for (const task of list.getEntries()) usable = Math.max(usable, task.startTime + task.duration);
	}).observe({ type: "longtask", buffered: true });
	(function look() {
		if (document.querySelector("#create") === null) return requestAnimationFrame(look);
		requestAnimationFrame(() => setTimeout(() => { drawn = performance.now(); usable = Math.max(usable, drawn); }));
	})();`

// Not parallel: what else is going on would be measured too.
func TestAFirstVisitIsLightAndQuick(t *testing.T) {
	for _, device := range []struct {
		name string
		cpu  float64
		slow bool
	}{
		{"a desktop", 1, false},
		{"a slow phone (CPU 4 times slower, 1.6 Mbit/s, 150 ms)", 4, true},
	} {
		s := serve(t, open...)
		b := newTab(s)
		b.beforeAll(ready)
		if device.slow {
			call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
				Width: 360, Height: 640, DeviceScaleFactor: 2, Mobile: true,
			})
			call(b, emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: device.cpu})
			b.slow(150, 1.6e6/8)
		}
		b.open("/create")
		b.await("the page", `drawn > 0`)
		b.wantText("#size", "of 10 MiB")
		var received float64
		b.until("all that the page loads", func() (all bool) {
			received, all = b.received()
			return all
		})
		storetest.Report(t, "a first visit to /create on %s: %.0f bytes, drawn after %.0f ms, can be used after %.0f ms",
			device.name, received, eval[float64](b, `drawn`), eval[float64](b, `usable`))
		if received == 0 || received > mostBytes {
			t.Errorf("it took %.0f bytes, and may take %d", received, mostBytes)
		}
		b.share("it works")
	}
}

// received counts the bytes that came over the network, headers too, and tells whether they are all that was asked for.
func (b *tab) received() (bytes float64, all bool) {
	b.watch.mu.Lock()
	defer b.watch.mu.Unlock()
	return b.watch.received, len(b.watch.pending) == 0
}
