// One viewer, not one attempt: a secret's ciphertext comes over as many connections as it takes. All requests carry the
// same random value, by which the server knows that it is the same page; nobody else gets anything.

import { answer, AnswerError, ask, getConfig } from "./api";
import { decode, encodeURL } from "./crypto/base64";

// All in milliseconds.
const firstPatience = 60_000; // how long a first request that had no answer is repeated: a server's shortest lease
const silence = 30_000; // how long nothing may come before a connection counts as broken
const minPause = 200;
const maxPause = 5_000;

/** How often a server is asked whether it knows leases. */
const maxAsked = 5;

/** The connection broke while a secret was on its way: it is gone. */
export class LostError extends Error {}

/** Part done, from 0 to 1, or null where nobody knows; and whether a connection broke, after which it goes on. */
export type Fetched = (done: number | null, broke: boolean) => void;

/** Takes one secret from the server, which gives it to one page. The value of the page is nowhere but in its memory. */
export function retrieval(id: string) {
  const path = `/api/v1/secret/${id}`;
  const claim = { "X-Hakanai-Claim": encodeURL(crypto.getRandomValues(new Uint8Array(32))) };
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let received = 0; // of the answer's text, bytes
  let total: number | null = null;
  let begun = false; // the secret is on its way, and nobody else's
  let repeats = false; // the server lets the same value come back,
  let until = 0; // up to this moment
  let abandoned = false;
  let interrupt = () => {}; // ends what is being waited for

  /** Returns the ciphertext. Errors: AnswerError when it was not given, which costs nothing; LostError. */
  async function retrieve(passphraseHash: string, progress: Fetched): Promise<Uint8Array<ArrayBuffer>> {
    const headers = passphraseHash === "" ? claim : { ...claim, "X-Secret-Passphrase": passphraseHash };
    let broke = false;
    let pause = minPause;
    const tell = () => progress(total === null ? null : received / total, broke);
    const heard = () => {
      pause = minPause;
      tell();
    };
    const online = () => repeats && interrupt(); // connections from before are dead, and pauses have no sense any more
    addEventListener("online", online);
    try {
      until = Date.now() + firstPatience;
      for (;;) {
        try {
          await connect(headers, heard);
          break;
        } catch (error) {
          if (total !== null && received >= total) {
            break; // nothing was left to come
          }
          const failure = error instanceof AnswerError ? error : new AnswerError(0);
          if (!begun && !broke) {
            repeats = failure.status === 0 && (await knowsLeases());
          }
          const passes = failure.status === 0 || (failure.status === 503 && (begun || broke));
          if (!repeats || !passes || abandoned || Date.now() + pause > until) {
            throw begun ? new LostError() : failure;
          }
        }
        broke = true;
        tell();
        await rest(pause);
        pause = Math.min(2 * pause, maxPause);
      }
    } finally {
      removeEventListener("online", online);
    }
    try {
      return await decode(new Uint8Array(await new Blob(pieces).arrayBuffer()));
    } catch {
      throw new LostError();
    }
  }

  /** Asks for what has not come yet, and reads it to its end. */
  async function connect(headers: Record<string, string>, heard: () => void): Promise<void> {
    const connection = new AbortController();
    interrupt = () => connection.abort();
    if (abandoned) {
      interrupt();
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    const listen = () => {
      clearTimeout(timer);
      timer = repeats ? setTimeout(interrupt, silence) : undefined;
    };
    try {
      listen();
      const range = received > 0 ? { Range: `bytes=${received}-` } : {};
      const response = await answer(path, { ...ask, headers: { ...headers, ...range }, signal: connection.signal });
      let skip = position(response);
      const lease = Number(response.headers.get("X-Hakanai-Lease"));
      begun = true;
      repeats = lease > 0;
      until = Date.now() + lease * 1000;
      listen();
      const reader = response.body!.getReader();
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        listen();
        const piece = next.value.subarray(skip);
        skip -= next.value.length - piece.length;
        if (piece.length > 0) {
          pieces.push(piece);
          received += piece.length;
          heard();
        }
      }
      if (skip > 0 || (total !== null && received < total)) {
        throw new Error("the answer ends too early");
      }
    } finally {
      clearTimeout(timer);
      connection.abort();
    }
  }

  /** How many bytes of an answer are here already. */
  function position({ status, headers }: Response): number {
    const part = status === 206;
    const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers.get("Content-Range") ?? "");
    const begins = part ? Number(range?.[1]) : 0;
    const length = Number(part ? range?.[2] : headers.has("Content-Encoding") ? 0 : headers.get("Content-Length"));
    if (!(begins <= received) || (total !== null && length > 0 && length !== total)) {
      throw new Error("the answer continues at another place");
    }
    total ??= length || null;
    return received - begins;
  }

  async function knowsLeases(): Promise<boolean> {
    for (let asked = 0; asked < maxAsked && !abandoned; asked++) {
      try {
        return (await getConfig("")).features.leases === true;
      } catch (error) {
        if (!(error instanceof AnswerError) || error.status !== 0) {
          return false;
        }
      }
      await rest(minPause); // the line may be as bad for this question
    }
    return false;
  }

  function rest(pause: number): Promise<void> {
    return new Promise((resolve) => {
      interrupt = resolve;
      setTimeout(resolve, pause);
    });
  }

  /** Tells the server that the secret is safe: it destroys what it keeps, which it would otherwise do when the lease ends. */
  function end(): void {
    if (repeats && Date.now() < until) {
      fetch(path, { ...ask, method: "DELETE", headers: claim, keepalive: true }).catch(() => {});
    }
  }

  /** Ends what is going on, for good. */
  function abandon(): void {
    abandoned = true;
    interrupt();
  }

  return { retrieve, end, abandon };
}
