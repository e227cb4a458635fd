// What stands around every page.

import type { Config } from "../api";
import type { Theme } from "../settings";
import { languages, useText, type Language } from "../text";
import { Seal } from "./glyphs";

export function Header({ page }: { page: string }) {
  const t = useText();
  const link = (name: string, path: string, text: string) => (
    <a id={`nav-${name}`} href={path} aria-current={page === name ? "page" : undefined}>
      {text}
    </a>
  );
  return (
    <header class="top">
      <a class="brand" href="/" aria-label={t.brandLabel}>
        <Seal />
        <span>Hakanai</span>
      </a>
      <nav aria-label={t.navLabel}>
        {link("create", "/create", t.navCreate)}
        {link("get", "/get", t.navGet)}
      </nav>
    </header>
  );
}

interface FooterProps {
  config: Config | null;
  language: Language;
  theme: Theme;
  onLanguage: (language: Language) => void;
  onTheme: (theme: Theme) => void;
}

export function Footer({ config, language, theme, onLanguage, onTheme }: FooterProps) {
  const t = useText();
  const themes: [Theme, string][] = [
    ["system", t.themeSystem],
    ["light", t.themeLight],
    ["dark", t.themeDark],
  ];
  return (
    <footer class="bottom">
      <div class="switches">
        <div role="group" aria-label={t.languageLabel} class="switch">
          {(Object.keys(languages) as Language[]).map((name) => (
            <button
              key={name}
              id={`language-${name}`}
              type="button"
              lang={name}
              aria-pressed={language === name}
              onClick={() => onLanguage(name)}
            >
              {languages[name].languageName}
            </button>
          ))}
        </div>
        <div role="group" aria-label={t.themeLabel} class="switch">
          {themes.map(([name, text]) => (
            <button key={name} id={`theme-${name}`} type="button" aria-pressed={theme === name} onClick={() => onTheme(name)}>
              {text}
            </button>
          ))}
        </div>
      </div>
      <nav aria-label={t.legalLabel} class="legal">
        <a id="nav-docs" href="/docs">
          {t.docsTitle}
        </a>
        {config?.features.impressum && (
          <a id="nav-impressum" href="/impressum">
            {t.impressumTitle}
          </a>
        )}
        {config?.features.privacy && (
          <a id="nav-privacy" href="/privacy">
            {t.privacyTitle}
          </a>
        )}
      </nav>
    </footer>
  );
}
