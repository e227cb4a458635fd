// A payload is a JSON object: "data" is the content in standard base64, "filename" is there for a file, and "pad" is
// random bytes that nobody reads. The Go package crypto makes and reads the same: equal contents give ciphertexts of
// equal lengths, whoever sent them.

import * as base64 from "./base64";
import { PayloadError, SenderError } from "./errors";

/** What a person shares. It is a file if it has a file name, else text. */
export interface Content {
  data: Uint8Array<ArrayBuffer>;
  filename: string;
}

const nonceSize = 12;
const tagSize = 16;
const minCiphertext = 1024; // no password's length shows
const minPad = 16; // bytes; it makes the payload's hash unguessable
const maxFilename = 1536; // bytes of the file name in JSON, so that servers can bound a ciphertext

const open = utf8('{"data":"');
const quote = 0x22;
const backslash = 0x5c;

/** Returns a content's payload, with padding that rounds the ciphertext's length up. */
export async function buildPayload(content: Content): Promise<Uint8Array<ArrayBuffer>> {
  const filename = encodeFilename(content.filename);
  const before = utf8(`"${filename},"pad":"`);
  const fixed = open.length + base64.encodedLength(content.data.length) + before.length + '"}'.length;
  const { pad, spaces } = padding(nonceSize + fixed + tagSize);

  const payload = new Uint8Array(fixed + base64.encodedLength(pad) + spaces);
  payload.set(open);
  let at = await base64.encodeInto(payload, open.length, content.data);
  payload.set(before, at);
  at = await base64.encodeInto(payload, at + before.length, randomBytes(pad));
  payload.set(utf8(`"${" ".repeat(spaces)}}`), at);
  return payload;
}

/** The payload's member for a file name, or nothing for a text. */
function encodeFilename(filename: string): string {
  if (filename === "") {
    return "";
  }
  // Line separators are escaped as Go's encoder does it, so that lengths agree.
  const member = `,"filename":${JSON.stringify(filename.toWellFormed?.() ?? filename)}`
    .replace(/\u2028/g, "\\u2028")
    .replace(/\u2029/g, "\\u2029");
  if (utf8(member).length > maxFilename) {
    throw new SenderError("filename");
  }
  return member;
}

/**
 * How many bytes of pad and then how many spaces a payload needs for its ciphertext to come to a length that tells
 * little. Base64 grows in steps of four characters; JSON's white space fills what is left.
 */
export function padding(fixed: number): { pad: number; spaces: number } {
  const least = fixed + base64.encodedLength(minPad);
  const missing = padme(Math.max(least, minCiphertext)) - fixed;
  return { pad: Math.floor(missing / 4) * 3, spaces: missing % 4 };
}

/**
 * Rounds a length up so that it tells O(log log n) bits of the original, and grows by 12 % at most (Nikitin et al.,
 * "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", 2019, section 4).
 */
function padme(length: number): number {
  const exponent = Math.floor(Math.log2(length));
  const significant = Math.floor(Math.log2(exponent)) + 1;
  const step = 2 ** Math.max(exponent - significant, 0);
  return Math.ceil(length / step) * step;
}

/** Random bytes, more of them than the browser gives at once. */
export function randomBytes(count: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(count);
  for (let from = 0; from < count; from += 65536) {
    crypto.getRandomValues(bytes.subarray(from, from + 65536));
  }
  return bytes;
}

/** Reads a payload. Data that comes first, as senders write it, never becomes a string. */
export async function parsePayload(payload: Uint8Array<ArrayBuffer>): Promise<Content> {
  let data: Uint8Array | null = null;
  let rest = payload;
  if (open.every((byte, i) => payload[i] === byte)) {
    const end = payload.indexOf(quote, open.length);
    const first = payload.subarray(open.length, end);
    if (end > 0 && !first.includes(backslash)) {
      data = first;
      rest = concat(utf8('{"first":"'), payload.subarray(end));
    }
  }
  const members = readObject(rest);
  if (data === null) {
    if (typeof members["data"] !== "string") {
      throw new PayloadError("data is missing or not a string");
    }
    data = utf8(members["data"]);
  } else if ("data" in members) {
    throw new PayloadError("data is there twice");
  }
  const filename = members["filename"] ?? "";
  if (typeof filename !== "string") {
    throw new PayloadError("filename is not a string");
  }
  try {
    return { data: await base64.decode(data), filename };
  } catch {
    throw new PayloadError("data is not base64");
  }
}

function readObject(json: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(json));
  } catch {
    throw new PayloadError("not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new PayloadError("not a JSON object");
  }
  return value as Record<string, unknown>;
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
