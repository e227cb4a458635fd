// Sealing and opening: AES-256-GCM under a key that is drawn for one payload alone.

import { HashError, WrongKeyError } from "./errors";
import type { Fragment } from "./link";
import { buildPayload, parsePayload, randomBytes, type Content } from "./payload";

const nonceSize = 12;
const tagSize = 16;
const hashSize = 16;

export interface Sealed {
  ciphertext: Uint8Array<ArrayBuffer>; // nonce, sealed payload, tag
  fragment: Fragment;
}

/** Encrypts content under a new key. */
export async function seal(content: Content): Promise<Sealed> {
  const payload = await buildPayload(content);
  const [key, nonce] = [randomBytes(32), randomBytes(nonceSize)];
  const hash = await hashPayload(payload);
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv: nonce }, await importKey(key, "encrypt"), payload);
  payload.fill(0);
  const ciphertext = new Uint8Array(nonceSize + sealed.byteLength);
  ciphertext.set(nonce);
  ciphertext.set(new Uint8Array(sealed), nonceSize);
  return { ciphertext, fragment: { key, hash } };
}

/** Decrypts a ciphertext, and leaves it as it is: another key may be tried. Errors: those of ./errors. */
export async function unseal(ciphertext: Uint8Array<ArrayBuffer>, fragment: Fragment): Promise<Content> {
  if (ciphertext.length < nonceSize + tagSize) {
    throw new WrongKeyError("the ciphertext is too short");
  }
  let payload: Uint8Array<ArrayBuffer>;
  try {
    const algorithm = { name: "AES-GCM", iv: ciphertext.subarray(0, nonceSize) };
    const key = await importKey(fragment.key, "decrypt");
    payload = new Uint8Array(await crypto.subtle.decrypt(algorithm, key, ciphertext.subarray(nonceSize)));
  } catch {
    throw new WrongKeyError("the key does not fit, or the ciphertext was changed");
  }
  try {
    if (!equal(await hashPayload(payload), fragment.hash)) {
      throw new HashError("the content is not the one that the link's hash stands for");
    }
    return await parsePayload(payload);
  } finally {
    payload.fill(0);
  }
}

function importKey(key: Uint8Array<ArrayBuffer>, use: KeyUsage): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", key, "AES-GCM", false, [use]);
}

async function hashPayload(payload: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", payload)).slice(0, hashSize);
}

/** Compares in constant time. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  a.forEach((byte, i) => {
    difference |= byte ^ b[i]!;
  });
  return difference === 0;
}

/** What a server is told of a passphrase: the SHA-256 of its UTF-8 bytes, as 64 lower-case hex digits. */
export async function hashPassphrase(passphrase: string): Promise<string> {
  const sum = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(passphrase));
  return Array.from(new Uint8Array(sum), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
