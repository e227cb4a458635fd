import { expect, it } from "vitest";
import { isLanguage, languages, preferred } from ".";

const sources = import.meta.glob<string>(["../**/*.{ts,tsx}", "!../**/*.test.*", "!./*.ts"], { query: "?raw", import: "default", eager: true });

it("is the same in every language: no key is missing, and none is more", () => {
  const keys = Object.keys(languages.en).sort();
  for (const language of Object.values(languages)) {
    expect(Object.keys(language).sort()).toEqual(keys);
  }
});

it("is all used", () => {
  const used = new Set(Object.values(sources).flatMap((source) => source.match(/\b(?:t|languages\[name\])\.\w+/g) ?? []));
  const unused = Object.keys(languages.en).filter((key) => !used.has(`t.${key}`) && !used.has(`languages[name].${key}`));
  expect(unused).toEqual([]);
});

it("says something in every language, and says it in another one's words", () => {
  const same = new Set(["docsTitle", "impressumTitle", "passphraseLabel", "restrictPassphrase", "themeSystem", "kindText"]);
  const say = (value: unknown) => (typeof value === "function" ? (value as (...args: unknown[]) => string)("A", "B") : String(value));
  for (const key of Object.keys(languages.en) as (keyof typeof languages.en)[]) {
    const [english, german] = [say(languages.en[key]), say(languages.de[key])];
    expect(english.trim(), key).not.toBe("");
    expect(german.trim(), key).not.toBe("");
    expect(german === english && !same.has(key) && !english.startsWith("A of"), key).toBe(false);
    for (const argument of ["A", "B"].slice(0, typeof languages.en[key] === "function" ? languages.en[key].length : 0)) {
      expect(german, key).toContain(argument);
    }
  }
});

it("follows what the browser prefers", () => {
  expect(preferred(["de-AT", "en"])).toBe("de");
  expect(preferred(["fr", "de"])).toBe("de");
  expect(preferred(["fr"])).toBe("en");
  expect(preferred([])).toBe("en");
  expect(isLanguage("constructor")).toBe(false);
});
