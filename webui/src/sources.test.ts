import { expect, it } from "vitest";

const sources = import.meta.glob<string>(["./**/*.{ts,tsx}", "!./**/*.test.*"], { query: "?raw", import: "default", eager: true });

it("never turns text into markup or code", () => {
  const forbidden =
    /innerHTML|outerHTML|insertAdjacentHTML|setHTML|srcdoc|document\.write|dangerouslySetInnerHTML|createContextualFragment|DOMParser|\beval\b|new Function|javascript:|setAttribute\(|target=|window\.open/;
  for (const [name, source] of Object.entries(sources)) {
    expect(source.match(forbidden)?.[0], name).toBeUndefined();
  }
});

it("keeps nothing but theme, language and token, and that in one place", () => {
  for (const [name, source] of Object.entries(sources)) {
    const storage = /localStorage|sessionStorage|indexedDB|document\.cookie|caches\.|serviceWorker/;
    expect(storage.test(source) && name !== "./settings.ts", name).toBe(false);
  }
  const kept = sources["./settings.ts"]!.match(/Storage\.\w+\("?\w+"?/g) ?? [];
  expect([...new Set(kept.map((call) => /"(\w+)"/.exec(call)![1]!))].sort()).toEqual(["language", "theme", "token"]);
});

it("asks no other server", () => {
  for (const [name, source] of Object.entries(sources)) {
    const code = source.replace(/\/\/.*|"[^"\n]*…[^"\n]*"|"[^"\n]* https:\/\/[^"\n]*"/g, "");
    expect(code.match(/["'`](?:https?|wss?):\/\/[^"'`$]+/)?.[0], name).toBeUndefined();
  }
});
