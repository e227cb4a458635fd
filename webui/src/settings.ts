// What the page remembers: how it looks and in which language, and, only if asked, the token until the browser is closed.
// Secrets, keys and links are never among it.

import { isLanguage, preferred, type Language } from "./text";

export type Theme = "system" | "light" | "dark";

export function readTheme(): Theme {
  const theme = read(() => localStorage.getItem("theme"));
  return theme === "light" || theme === "dark" ? theme : "system";
}

export function keepTheme(theme: Theme): void {
  write(() => (theme === "system" ? localStorage.removeItem("theme") : localStorage.setItem("theme", theme)));
}

export function readLanguage(): Language {
  const language = read(() => localStorage.getItem("language"));
  return isLanguage(language) ? language : preferred(navigator.languages);
}

export function keepLanguage(language: Language): void {
  write(() => localStorage.setItem("language", language));
}

export function readToken(): string {
  return read(() => sessionStorage.getItem("token")) ?? "";
}

/** Remembers a token for this browser session, or forgets it. */
export function keepToken(token: string): void {
  write(() => (token === "" ? sessionStorage.removeItem("token") : sessionStorage.setItem("token", token)));
}

// Browsers can be told to refuse storage. The page works without.

function read(get: () => string | null): string | null {
  try {
    return get();
  } catch {
    return null;
  }
}

function write(set: () => void): void {
  try {
    set();
  } catch {
    // nothing is remembered
  }
}
