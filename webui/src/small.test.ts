import { expect, it } from "vitest";
import { lifetimes } from "./pages/create";
import { placeOf } from "./place";
import { limitOf } from "./parts/token";
import { paragraphs } from "./prose";
import { formatDuration, formatSize } from "./sizes";
import type { Config } from "./api";

it("says sizes as people read them, never less than they fill", () => {
  const plain = (bytes: number, language: string) => formatSize(bytes, language).replace("\u00a0", " ");
  expect(plain(0, "en")).toBe("0 B");
  expect(plain(1023, "en")).toBe("1,023 B");
  expect(plain(1024, "en")).toBe("1 KiB");
  expect(plain(1536, "de")).toBe("1,5 KiB");
  expect(plain(10485759, "en")).toBe("9.9 MiB");
  expect(plain(10485760, "en")).toBe("10 MiB");
});

it("says lengths of time in their largest whole unit", () => {
  expect(formatDuration(86400, "en")).toBe("1 day");
  expect(formatDuration(604800, "de")).toBe("7 Tage");
  expect(formatDuration(5400, "en")).toBe("90 minutes");
  expect(formatDuration(61, "en")).toBe("61 seconds");
});

it("offers lives up to the server's longest", () => {
  expect(lifetimes(604800)).toEqual([600, 3600, 21600, 86400, 259200, 604800]);
  expect(lifetimes(60)).toEqual([60]);
  expect(lifetimes(100_000)).toEqual([600, 3600, 21600, 86400, 100_000]);
});

it("knows pages by their paths", () => {
  expect(placeOf("/", "").page).toBe("home");
  expect(placeOf("/create", "").page).toBe("create");
  expect(placeOf("/s/abc", "k:h")).toEqual({ page: "reveal", id: "abc", fragment: "k:h" });
  for (const path of ["/s", "/create/", "/create/x", "/x", "/constructor", "/get.html"]) {
    expect(placeOf(path, "").page, path).toBe("nowhere");
  }
});

it("takes the limit that the server has for whoever asks", () => {
  const config = (caller?: number): Config => ({
    showTokenInput: true,
    features: { impressum: false, privacy: false, restrictions: { country: false, asn: false } },
    limits: { upload: 1000, anonymous: 10, ...(caller === undefined ? {} : { caller }) },
    maxTTL: 60,
  });
  const state = (token: string, known: Config | null = null) => ({ token, remember: false, known });
  expect(limitOf(config(10), state(""))).toBe(10);
  expect(limitOf(config(10), state("t", config(500)))).toBe(500);
  expect(limitOf(config(10), state("t", config(0)))).toBe(0);
  expect(limitOf(config(), state(""))).toBe(1000);
  expect(limitOf(config(10), state("t"))).toBe(1000); // the server has not answered yet
});

it("keeps an operator's paragraphs and web addresses, and nothing else", () => {
  const text = "One\nline.\r\n\r\n\n  See https://example.org/a?b=c#d, (http://example.org/x) or HTTPS://EXAMPLE.ORG.\n\njavascript:alert(1) ftp://example.org mailto:a@example.org";
  expect(paragraphs(text)).toEqual([
    [{ text: "One\nline.", link: false }],
    [
      { text: "See ", link: false },
      { text: "https://example.org/a?b=c#d", link: true },
      { text: ", (", link: false },
      { text: "http://example.org/x", link: true },
      { text: ") or ", link: false },
      { text: "HTTPS://EXAMPLE.ORG", link: true },
      { text: ".", link: false },
    ],
    [{ text: "javascript:alert(1) ftp://example.org mailto:a@example.org", link: false }],
  ]);
});
