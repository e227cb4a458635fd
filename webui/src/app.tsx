import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useState } from "preact/hooks";
import { getConfig, type Config } from "./api";
import type { Fragment } from "./crypto/link";
import { Create } from "./pages/create";
import { Get } from "./pages/get";
import { Home } from "./pages/home";
import { Legal } from "./pages/legal";
import { Nowhere } from "./pages/nowhere";
import { Reveal } from "./pages/reveal";
import { Share } from "./pages/share";
import { Footer, Header } from "./parts/frame";
import { Notice } from "./parts/notice";
import type { Place } from "./place";
import { keepLanguage, keepTheme, readLanguage, readTheme, type Theme } from "./settings";
import { LanguageContext, useText, type Language } from "./text";

/** Which page is shown, and, for a secret, what opens it. */
type Shown = Exclude<Place, { page: "reveal" }> | { page: "reveal"; id: string; fragment: string | Fragment | null };

export function App({ place }: { place: Place }) {
  const [language, setLanguage] = useState<Language>(readLanguage);
  const [theme, setTheme] = useState<Theme>(readTheme);
  const [shown, setShown] = useState<Shown>(place);
  const { config, away, again } = useConfig();

  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  useEffect(() => {
    if (theme === "system") {
      delete document.documentElement.dataset["theme"];
    } else {
      document.documentElement.dataset["theme"] = theme;
    }
  }, [theme]);

  // A link that was pasted is opened in place: its key never passes through the address bar.
  const open = (id: string, fragment: Fragment | null) => {
    history.pushState(null, "", `/s/${id}`);
    window.addEventListener("popstate", () => location.reload(), { once: true });
    window.scrollTo(0, 0);
    setShown({ page: "reveal", id, fragment });
  };

  return (
    <LanguageContext.Provider value={language}>
      <Header page={shown.page} />
      <main id="main">{pageOf(shown, config, away, again, open)}</main>
      <Footer
        config={config}
        language={language}
        theme={theme}
        onLanguage={(chosen) => {
          keepLanguage(chosen);
          setLanguage(chosen);
        }}
        onTheme={(chosen) => {
          keepTheme(chosen);
          setTheme(chosen);
        }}
      />
    </LanguageContext.Provider>
  );
}

function pageOf(
  shown: Shown,
  config: Config | null,
  away: boolean,
  again: () => void,
  open: (id: string, fragment: Fragment | null) => void,
) {
  switch (shown.page) {
    case "home":
      return <Home onOpen={open} />;
    case "create":
      return (
        <Secure>
          <Create config={config} away={away} onAgain={again} />
        </Secure>
      );
    case "share":
      return (
        <Secure>
          <Share config={config} away={away} onAgain={again} fragment={shown.fragment} />
        </Secure>
      );
    case "get":
      return <Get onOpen={open} />;
    case "reveal":
      return (
        <Secure>
          <Reveal key={shown.id} id={shown.id} fragment={shown.fragment} />
        </Secure>
      );
    case "impressum":
    case "privacy":
      return <Legal page={shown.page} />;
    case "nowhere":
      return <Nowhere />;
  }
}

/** Without WebCrypto, which browsers have only for HTTPS and this machine itself, nothing can be encrypted. */
function Secure({ children }: { children: ComponentChildren }) {
  const t = useText();
  if (globalThis.crypto?.subtle !== undefined) {
    return <>{children}</>;
  }
  return (
    <section class="sheet">
      <h1>{t.noCryptoTitle}</h1>
      <Notice id="no-crypto" kind="error">
        {t.noCrypto}
      </Notice>
    </section>
  );
}

/** What the server offers, once it is known; away where the server could not be asked. */
function useConfig(): { config: Config | null; away: boolean; again: () => void } {
  const [config, setConfig] = useState<Config | null>(null);
  const [away, setAway] = useState(false);
  const again = useCallback(() => {
    setAway(false);
    getConfig("").then(setConfig, () => setAway(true));
  }, []);
  useEffect(again, [again]);
  return { config, away, again };
}
