// What the page and its server say to each other. No key, name or content is ever in it.

import { decode, encode } from "./crypto/base64";
import type { Restrictions } from "./restrictions";

/** GET /config.json. */
export interface Config {
  showTokenInput: boolean;
  features: { impressum: boolean; privacy: boolean; restrictions: { country: boolean; asn: boolean } };
  limits: {
    upload: number;
    anonymous: number | null; // null where a token is needed
    caller?: number; // of whoever asks, 0 for any size; absent for who may not create
  };
  maxTTL: number; // seconds
}

/** An answer with an error status; 0 where there was none. */
export class AnswerError extends Error {
  constructor(
    readonly status: number,
    readonly retryAfter: number | null = null, // seconds
  ) {
    super(`status ${status}`);
  }
}

/** The connection broke while a secret was on its way: it is gone. */
export class LostError extends Error {}

/** Part done, from 0 to 1, or null where nobody knows. */
export type Progress = (done: number | null) => void;

const ask: RequestInit = { cache: "no-store", credentials: "omit", redirect: "error" };

/** What the server offers, to whom has the token. */
export async function getConfig(token: string): Promise<Config> {
  const headers: HeadersInit = token === "" ? {} : { Authorization: `Bearer ${token}` };
  return (await answer("/config.json", { ...ask, headers })).json() as Promise<Config>;
}

/** A text of the operator's. */
export async function getText(path: string): Promise<string> {
  return (await answer(path, ask)).text();
}

async function answer(path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    throw isAbort(error) ? error : new AnswerError(0);
  }
  if (!response.ok) {
    throw new AnswerError(response.status, seconds(response.headers.get("Retry-After")));
  }
  return response;
}

function seconds(text: string | null): number | null {
  return text !== null && /^[0-9]+$/.test(text) ? Number(text) : null;
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

export interface Creation {
  ciphertext: Uint8Array<ArrayBuffer>;
  ttl: number; // seconds
  restrictions: Restrictions;
  token: string;
}

/** Stores a ciphertext, and returns its id. XMLHttpRequest alone tells how much has been sent. */
export async function create(creation: Creation, progress: Progress, signal: AbortSignal): Promise<string> {
  const { ttl, restrictions, token } = creation;
  const rest: Record<string, unknown> = { expires_in: ttl };
  if (Object.keys(restrictions).length > 0) {
    rest["restrictions"] = restrictions;
  }
  const body = new Blob(['{"data":"', await encode(creation.ciphertext), '",', JSON.stringify(rest).slice(1)]);
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/v1/secret");
    request.setRequestHeader("Content-Type", "application/json");
    request.setRequestHeader("Accept", "application/json");
    if (token !== "") {
      request.setRequestHeader("Authorization", `Bearer ${token}`);
    }
    request.upload.onprogress = (event) => progress(event.lengthComputable ? event.loaded / event.total : null);
    request.onerror = () => reject(new AnswerError(0));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    request.onload = () => {
      const id = request.status === 200 ? readID(request.responseText) : null;
      if (id !== null) {
        resolve(id);
      } else {
        reject(new AnswerError(request.status, seconds(request.getResponseHeader("Retry-After"))));
      }
    };
    signal.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

function readID(json: string): string | null {
  try {
    return (JSON.parse(json) as { id: string }).id;
  } catch {
    return null;
  }
}

/** Takes a secret's ciphertext from the server, which gives it once. */
export async function retrieve(id: string, passphraseHash: string, progress: Progress): Promise<Uint8Array<ArrayBuffer>> {
  const headers: HeadersInit = passphraseHash === "" ? {} : { "X-Secret-Passphrase": passphraseHash };
  const response = await answer(`/api/v1/secret/${id}`, { ...ask, headers });
  const total = Number(response.headers.get("Content-Length"));
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let received = 0;
  try {
    const reader = response.body!.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      pieces.push(next.value);
      received += next.value.length;
      progress(total > 0 ? received / total : null);
    }
    return await decode(new Uint8Array(await new Blob(pieces).arrayBuffer()));
  } catch {
    throw new LostError();
  }
}
