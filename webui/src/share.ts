// What other programs hand over to /share: in the fragment of its address, or as JSON in the clipboard.

import * as base64 from "./crypto/base64";
import type { Content } from "./crypto/payload";
import { readRestrictions, RestrictionError, type Restrictions } from "./restrictions";

export interface Handed {
  content: Content;
  token: string;
  ttl: number | null; // seconds
  restrictions: Restrictions;
}

/** What was handed over cannot be used. */
export class HandedError extends Error {
  constructor(readonly field: string) {
    super(field);
  }
}

/** Reads `data=<base64>&filename=&token=&ttl=<seconds>`. */
export async function readFragment(fragment: string): Promise<Handed> {
  const fields: Record<string, unknown> = {};
  for (const pair of fragment.split("&")) {
    const [name, value] = [pair.slice(0, Math.max(pair.indexOf("="), 0)), pair.slice(pair.indexOf("=") + 1)];
    try {
      fields[name] = decodeURIComponent(value); // a plus is one of base64, not a space
    } catch {
      throw new HandedError(name);
    }
  }
  if (fields["ttl"] === "") {
    delete fields["ttl"];
  } else if (typeof fields["ttl"] === "string") {
    fields["ttl"] = Number(fields["ttl"]);
  }
  delete fields["restrictions"];
  return read(fields);
}

/** Reads `{"data", "filename", "token", "ttl", "restrictions"}`. */
export async function readClipboard(json: string): Promise<Handed> {
  let fields: unknown;
  try {
    fields = JSON.parse(json);
  } catch {
    throw new HandedError("JSON");
  }
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) {
    throw new HandedError("JSON");
  }
  return read(fields as Record<string, unknown>);
}

async function read(fields: Record<string, unknown>): Promise<Handed> {
  const ttl = fields["ttl"] ?? null;
  if (ttl !== null && (typeof ttl !== "number" || !Number.isInteger(ttl) || ttl < 1)) {
    throw new HandedError("ttl");
  }
  const data = await decodeData(text(fields, "data"));
  if (data.length === 0) {
    throw new HandedError("data");
  }
  const content = { data, filename: text(fields, "filename") };
  return { content, token: text(fields, "token").trim(), ttl, restrictions: await restrictions(fields["restrictions"]) };
}

function text(fields: Record<string, unknown>, name: string): string {
  const value = fields[name] ?? "";
  if (typeof value !== "string") {
    throw new HandedError(name);
  }
  return value;
}

/** Programs write base64 with line ends, without padding, or for URLs. */
async function decodeData(data: string): Promise<Uint8Array<ArrayBuffer>> {
  const plain = data.replace(/\s/g, "").replace(/-/g, "+").replace(/_/g, "/").replace(/=+$/, "");
  try {
    return await base64.decode(new TextEncoder().encode(plain.padEnd(Math.ceil(plain.length / 4) * 4, "=")));
  } catch {
    throw new HandedError("data");
  }
}

/** Restrictions as the API has them, but for a passphrase in plain text, which is hashed here. */
async function restrictions(value: unknown): Promise<Restrictions> {
  if (value === undefined || value === null) {
    return {};
  }
  const given = value as Record<string, unknown>;
  const known = ["allowed_ips", "allowed_countries", "allowed_asns", "passphrase", "passphrase_hash"];
  if (typeof value !== "object" || Array.isArray(value) || !Object.keys(given).every((name) => known.includes(name))) {
    throw new HandedError("restrictions"); // never sent as if it had not been restricted
  }
  try {
    const read = await readRestrictions({
      addresses: joined(given["allowed_ips"]),
      countries: joined(given["allowed_countries"]),
      asns: joined(given["allowed_asns"]),
      passphrase: text(given, "passphrase"),
    });
    const hash = text(given, "passphrase_hash");
    if (hash !== "" && !/^[0-9a-f]{64}$/.test(hash)) {
      throw new HandedError("passphrase_hash");
    }
    return hash === "" ? read : { passphrase_hash: hash, ...read };
  } catch (error) {
    throw error instanceof RestrictionError ? new HandedError(error.kind) : error;
  }
}

function joined(value: unknown): string {
  if (value === undefined || value === null) {
    return "";
  }
  if (!Array.isArray(value) || !value.every((entry) => typeof entry === "string" || typeof entry === "number")) {
    throw new HandedError("restrictions");
  }
  return value.join(",");
}
