// Links to secrets, and the fragments that follow their #.

import { decodeURL, encodeURL } from "./base64";

/** The key, and the hash of what it opens. It never reaches a server. */
export interface Fragment {
  key: Uint8Array<ArrayBuffer>;
  hash: Uint8Array<ArrayBuffer>;
}

export interface Link {
  server: string; // scheme, host and port, such as https://example.com
  id: string;
  fragment: Fragment | null; // null where the key goes another way
}

/** What is wrong with a link or a key. */
export type Fault = "link" | "id" | "key" | "hash";

export class LinkError extends Error {
  constructor(readonly fault: Fault) {
    super(fault); // never the input: it holds a key
  }
}

export function encodeFragment(fragment: Fragment): string {
  return `${encodeURL(fragment.key)}:${encodeURL(fragment.hash)}`;
}

/** Reads `<key>:<hash>`. Some messengers write the colon as %3A. */
export function parseFragment(text: string): Fragment {
  text = text.replace(/%3a/i, ":");
  const colon = text.indexOf(":");
  const key = decodeURL(colon < 0 ? text : text.slice(0, colon), 32);
  if (key === null) {
    throw new LinkError("key");
  }
  const hash = decodeURL(colon < 0 ? "" : text.slice(colon + 1), 16);
  if (hash === null) {
    throw new LinkError("hash");
  }
  return { key, hash };
}

/** Reads a link in any of the forms that links have had. White space around it is ignored. */
export function parseLink(text: string): Link {
  let url: URL;
  try {
    url = new URL(text.trim());
  } catch {
    throw new LinkError("link");
  }
  const path = /^\/(?:s|secret|api\/v1\/secret)\/([^/]*)$/.exec(url.pathname);
  if (!/^https?:$/.test(url.protocol) || url.username !== "" || url.search !== "" || path === null) {
    throw new LinkError("link");
  }
  const id = parseID(path[1]!);
  return { server: url.origin, id, fragment: url.hash.length > 1 ? parseFragment(url.hash.slice(1)) : null };
}

/** Reads a UUID, of either case. */
export function parseID(text: string): string {
  if (!/^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text)) {
    throw new LinkError("id");
  }
  return text.toLowerCase();
}

/** Reads a key as people paste it: by itself, with the # before it, or as a whole link. */
export function parseKey(text: string): Fragment {
  const trimmed = text.trim();
  return parseFragment(trimmed.slice(trimmed.indexOf("#") + 1));
}
