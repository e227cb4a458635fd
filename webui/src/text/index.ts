// The page's languages. A language is one file; English says which texts there are.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { de } from "./de";
import { en } from "./en";

export type Text = typeof en;

export const languages = { en, de } satisfies Record<string, Text>;

export type Language = keyof typeof languages;

export const LanguageContext = createContext<Language>("en");

export function useLanguage(): Language {
  return useContext(LanguageContext);
}

export function useText(): Text {
  return languages[useLanguage()];
}

/** The first of a person's languages that there is. */
export function preferred(wanted: readonly string[]): Language {
  for (const tag of wanted) {
    const language = tag.toLowerCase().split("-")[0]!;
    if (isLanguage(language)) {
      return language;
    }
  }
  return "en";
}

export function isLanguage(text: string | null): text is Language {
  return text !== null && Object.hasOwn(languages, text);
}
