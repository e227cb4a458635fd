// Standard base64 with padding (RFC 4648, section 4), bytes to bytes: a secret's payload and ciphertext are too large to
// be strings on a phone. Long inputs are done in pieces, between which the page can answer a finger.

const alphabet = new TextEncoder().encode("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const equals = 0x3d;
const invalid = 0xff;

const values = new Uint8Array(256).fill(invalid);
alphabet.forEach((character, value) => {
  values[character] = value;
});

/** Bytes of text that are done at once: a multiple of four, and some milliseconds on a slow phone. */
const piece = 1 << 20;

export class Base64Error extends Error {}

export function encodedLength(bytes: number): number {
  return Math.ceil(bytes / 3) * 4;
}

/** Encodes source into target from an offset on, and returns the offset after it. */
export async function encodeInto(target: Uint8Array, at: number, source: Uint8Array): Promise<number> {
  const step = (piece / 4) * 3;
  for (let from = 0; from < source.length; from += step) {
    if (from > 0) {
      await breathe();
    }
    at = encodePiece(target, at, source.subarray(from, from + step));
  }
  return at;
}

function encodePiece(target: Uint8Array, at: number, source: Uint8Array): number {
  const whole = source.length - (source.length % 3);
  for (let i = 0; i < whole; i += 3) {
    const group = (source[i]! << 16) | (source[i + 1]! << 8) | source[i + 2]!;
    target[at++] = alphabet[group >> 18]!;
    target[at++] = alphabet[(group >> 12) & 63]!;
    target[at++] = alphabet[(group >> 6) & 63]!;
    target[at++] = alphabet[group & 63]!;
  }
  const rest = source.length - whole;
  if (rest > 0) {
    const group = (source[whole]! << 16) | ((rest > 1 ? source[whole + 1]! : 0) << 8);
    target[at++] = alphabet[group >> 18]!;
    target[at++] = alphabet[(group >> 12) & 63]!;
    target[at++] = rest > 1 ? alphabet[(group >> 6) & 63]! : equals;
    target[at++] = equals;
  }
  return at;
}

/** Encodes bytes. */
export async function encode(source: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const target = new Uint8Array(encodedLength(source.length));
  await encodeInto(target, 0, source);
  return target;
}

/** Decodes text that has one spelling only: whole groups, padding at its end alone, no bits left over, no white space. */
export async function decode(text: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  if (text.length % 4 !== 0) {
    throw new Base64Error("the length is no multiple of four");
  }
  let padding = 0;
  while (padding < 2 && text[text.length - 1 - padding] === equals) {
    padding++;
  }
  const target = new Uint8Array((text.length / 4) * 3 - padding);
  const whole = padding > 0 ? text.length - 4 : text.length;
  let at = 0;
  for (let from = 0; from < whole; from += piece) {
    if (from > 0) {
      await breathe();
    }
    at = decodePiece(target, at, text.subarray(from, Math.min(from + piece, whole)));
  }
  if (padding > 0) {
    decodeLast(target, at, text.subarray(whole), padding);
  }
  return target;
}

function decodePiece(target: Uint8Array, at: number, text: Uint8Array): number {
  let seen = 0;
  for (let i = 0; i < text.length; i += 4) {
    const a = values[text[i]!]!;
    const b = values[text[i + 1]!]!;
    const c = values[text[i + 2]!]!;
    const d = values[text[i + 3]!]!;
    seen |= a | b | c | d;
    target[at++] = (a << 2) | (b >> 4);
    target[at++] = (b << 4) | (c >> 2);
    target[at++] = (c << 6) | d;
  }
  if (seen > 63) {
    throw new Base64Error("a character is not of the alphabet");
  }
  return at;
}

function decodeLast(target: Uint8Array, at: number, text: Uint8Array, padding: number): void {
  const [a, b, c] = [values[text[0]!]!, values[text[1]!]!, padding === 1 ? values[text[2]!]! : 0];
  if ((a | b | c) > 63 || (padding === 1 ? c & 3 : b & 15) !== 0) {
    throw new Base64Error("the last group is malformed");
  }
  target[at] = (a << 2) | (b >> 4);
  if (padding === 1) {
    target[at + 1] = (b << 4) | (c >> 2);
  }
}

/** Encodes few bytes as base64url without padding (RFC 4648, section 5). */
export function encodeURL(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** Decodes exactly length bytes from their one spelling in base64url, or returns null. */
export function decodeURL(text: string, length: number): Uint8Array<ArrayBuffer> | null {
  if (text.length !== Math.ceil((length * 4) / 3) || !/^[A-Za-z0-9_-]*$/.test(text)) {
    return null;
  }
  const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  return encodeURL(bytes) === text ? bytes : null;
}

/** Lets the browser paint and answer before work goes on. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
