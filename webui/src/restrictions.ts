// Who may retrieve a secret. What people type is checked by the rules of the server, before anything is sent.

import { isCountry } from "./countries";
import { hashPassphrase } from "./crypto/seal";
import { isNetwork } from "./networks";

/** Restrictions as they are sent. */
export interface Restrictions {
  allowed_ips?: string[];
  allowed_countries?: string[];
  allowed_asns?: number[];
  passphrase_hash?: string;
}

/** Restrictions as people type them. */
export interface Typed {
  addresses: string;
  countries: string;
  asns: string;
  passphrase: string;
}

export const nothingTyped: Typed = { addresses: "", countries: "", asns: "", passphrase: "" };

export const minPassphrase = 8; // characters
export const maxEntries = 256; // of one kind

/** What is wrong with one kind, and the entry that is; "" for all of them: too many, or too short a passphrase. */
export class RestrictionError extends Error {
  constructor(
    readonly kind: keyof Typed,
    readonly entry: string,
  ) {
    super(kind);
  }
}

/** Checks what was typed. White space around a passphrase does not count. */
export async function readRestrictions(typed: Typed): Promise<Restrictions> {
  const restrictions: Restrictions = {};
  const addresses = entries("addresses", typed.addresses);
  if (addresses.length > 0) {
    restrictions.allowed_ips = addresses.map((text) => check("addresses", text, isNetwork(text)));
  }
  const countries = entries("countries", typed.countries).map((text) => text.toUpperCase());
  if (countries.length > 0) {
    restrictions.allowed_countries = countries.map((code) => check("countries", code, isCountry(code)));
  }
  const asns = entries("asns", typed.asns);
  if (asns.length > 0) {
    restrictions.allowed_asns = asns.map(readASN);
  }
  const passphrase = typed.passphrase.trim();
  if (passphrase !== "") {
    check("passphrase", "", [...passphrase].length >= minPassphrase);
    restrictions.passphrase_hash = await hashPassphrase(passphrase);
  }
  return restrictions;
}

/** The entries of a list that is separated by white space, commas or semicolons. */
function entries(kind: keyof Typed, text: string): string[] {
  const found = text.split(/[\s,;]+/).filter((entry) => entry !== "");
  check(kind, "", found.length <= maxEntries);
  return found;
}

function readASN(text: string): number {
  const digits = /^(?:AS)?([0-9]{1,10})$/i.exec(text)?.[1];
  const number = Number(digits);
  check("asns", text, digits !== undefined && number <= 0xffffffff);
  return number;
}

function check(kind: keyof Typed, entry: string, good: boolean): string {
  if (!good) {
    throw new RestrictionError(kind, entry);
  }
  return entry;
}

/**
 * A rough upper bound on the bits that somebody has to guess to find a passphrase: the characters that it draws from,
 * for each that is no repetition or continuation of the one before.
 */
export function guessBits(passphrase: string): number {
  const characters = [...passphrase.trim()];
  const pools: [RegExp, number][] = [[/[a-z]/, 26], [/[A-Z]/, 26], [/[0-9]/, 10], [/[ -/:-@[-`{-~]/, 33], [/[^ -~]/, 100]];
  const pool = pools.reduce((sum, [kind, size]) => sum + (characters.some((c) => kind.test(c)) ? size : 0), 0);
  const surprising = characters.filter((character, i) => {
    const step = character.codePointAt(0)! - (characters[i - 1]?.codePointAt(0) ?? -9);
    return Math.abs(step) > 1;
  });
  return surprising.length * Math.log2(Math.max(pool, 2));
}
