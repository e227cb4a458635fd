import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { AnswerError } from "./api";
import { LostError, retrieval } from "./retrieve";

const id = "00000000-0000-4000-8000-000000000000";
const secret = Uint8Array.from({ length: 32 }, (_, i) => i * 7);
const text = new TextEncoder().encode(btoa(String.fromCharCode(...secret)));
const lease = { "X-Hakanai-Lease": "60" };

/** A request as the server sees it. */
interface Asked {
  method: string;
  path: string;
  claim: string | null;
  first: number; // of the range, 0 without one
  ranged: boolean;
  signal: AbortSignal | null;
  keepalive: boolean;
}

/** An answer, or a line that breaks before there is one. */
type Answer = (asked: Asked) => Response | Promise<Response>;

let asked: Asked[];
let told: [number | null, boolean][];

/** Answers requests in turn; what is asked beyond that is a failure of the test. */
function server(...answers: Answer[]): void {
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    const headers = new Headers(init.headers);
    const range = headers.get("Range");
    const request = {
      method: init.method ?? "GET",
      path,
      claim: headers.get("X-Hakanai-Claim"),
      first: Number(range?.replace(/^bytes=(\d+)-$/, "$1") ?? 0),
      ranged: range !== null,
      signal: init.signal ?? null,
      keepalive: init.keepalive ?? false,
    };
    init.signal?.throwIfAborted(); // the server sees nothing of it
    asked.push(request);
    const answer = answers.shift();
    if (answer === undefined) {
      throw new Error(`one request too many: ${request.method} ${path}`);
    }
    return answer(request);
  });
}

const noAnswer: Answer = () => Promise.reject(new TypeError("away"));
const status = (code: number): Answer => () => new Response(null, { status: code });
const config = (leases: unknown): Answer => () => new Response(JSON.stringify({ features: { leases } }));

/** A body that comes in small pieces, and breaks after so many bytes. */
function body(bytes: Uint8Array, breaksAfter = Infinity): ReadableStream {
  let at = 0;
  return new ReadableStream({
    pull(stream) {
      const end = Math.min(at + 5, bytes.length, breaksAfter);
      if (end > at) {
        stream.enqueue(bytes.slice(at, end));
        at = end;
      } else if (at === breaksAfter) {
        stream.error(new TypeError("broken"));
      } else {
        stream.close();
      }
    },
  });
}

/** The rest of the secret, of which so many bytes come before the line breaks. */
function rest(breaksAfter = Infinity, headers: Record<string, string> = lease): Answer {
  return ({ first, ranged }) => {
    const length = text.length - first;
    const range = ranged ? { "Content-Range": `bytes ${first}-${text.length - 1}/${text.length}` } : undefined;
    return new Response(body(text.subarray(first), breaksAfter), {
      status: ranged ? 206 : 200,
      headers: { "Content-Length": String(length), ...range, ...headers },
    });
  };
}

/** All of the secret, whatever was asked for. */
const all: Answer = (request) => rest()({ ...request, first: 0, ranged: false });

/** Takes the secret, with whatever pauses it takes; returns an error as it is. */
async function take(from = retrieval(id), time = 600_000): Promise<unknown> {
  const result = from.retrieve("", (done, broke) => told.push([done, broke])).catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(time);
  return result;
}

beforeEach(() => {
  asked = [];
  told = [];
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it("takes a secret in one go, and ends the lease while it lasts", async () => {
  server(rest(), noAnswer);
  const from = retrieval(id);
  expect(await take(from, 1000)).toEqual(secret);
  expect(told.at(-1)).toEqual([1, false]);
  expect(asked).toMatchObject([{ method: "GET", path: `/api/v1/secret/${id}`, ranged: false }]);
  from.end();
  await vi.advanceTimersByTimeAsync(30_000);
  expect(asked.slice(1)).toMatchObject([{ method: "DELETE", path: asked[0]!.path, claim: asked[0]!.claim, keepalive: true }]);
  await vi.advanceTimersByTimeAsync(30_000);
  from.end(); // the lease has ended by itself
  expect(asked.length).toBe(2);
});

it("claims with 32 random bytes of its own", async () => {
  server(rest(), rest());
  await take();
  await take();
  expect(asked[0]!.claim).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(asked[1]!.claim).not.toBe(asked[0]!.claim);
});

it("goes on from wherever the line broke", async () => {
  for (let offset = 0; offset < text.length; offset++) {
    asked = [];
    server(rest(offset), rest());
    expect(await take(), `broken after ${offset}`).toEqual(secret);
    expect(asked[1], `broken after ${offset}`).toMatchObject({ first: offset, ranged: offset > 0, claim: asked[0]!.claim });
  }
  asked = [];
  server(rest(text.length));
  expect(await take(), "broken when nothing was left to come").toEqual(secret);
});

it("goes on from where it was when all comes again", async () => {
  for (let offset = 1; offset < text.length; offset++) {
    server(rest(offset), all);
    expect(await take(), `broken after ${offset}`).toEqual(secret);
  }
});

it("skips what a range has too early", async () => {
  server(rest(20), (request) => rest()({ ...request, first: 13 }));
  expect(await take()).toEqual(secret);
});

it("goes on however often the line breaks, with the progress kept", async () => {
  server(...Array.from({ length: text.length }, () => rest(1)));
  expect(await take()).toEqual(secret);
  expect(asked.map(({ first }) => first)).toEqual(Array.from(text.keys()));
  const done = told.map(([part]) => part!);
  expect(done).toEqual(done.toSorted((a, b) => a - b));
  expect(told[0]).toEqual([1 / text.length, false]);
  expect(told.slice(1).every(([, broke]) => broke)).toBe(true);
});

it("pauses longer each time that nothing comes, up to five seconds, and anew once something has", async () => {
  const times: number[] = [];
  const timed = (answer: Answer): Answer => (request) => (times.push(Date.now()), answer(request));
  server(...[rest(5), ...Array<Answer>(7).fill(noAnswer), rest(5), rest()].map(timed));
  expect(await take()).toEqual(secret);
  expect(times.slice(1).map((time, i) => time - times[i]!)).toEqual([200, 400, 800, 1600, 3200, 5000, 5000, 5000, 200]);
});

it("does not take an answer that is cut for a whole one", async () => {
  const short: Answer = () => new Response(body(text.subarray(0, 11)), { headers: { "Content-Length": String(text.length), ...lease } });
  server(short, () => new Response(body(text.subarray(0, 4)), { headers: lease }), rest());
  expect(await take()).toEqual(secret);
  expect(asked.map(({ first }) => first)).toEqual([0, 11, 11]);
});

it("takes nothing that belongs at another place", async () => {
  const wrong = (range: string | null): Answer => () =>
    new Response(body(text), { status: 206, headers: { ...lease, ...(range === null ? {} : { "Content-Range": range }) } });
  for (const range of [null, "", "bytes 21-43/44", "bytes 20-43/45", "bytes */44", "bytes x-43/44", "lines 20-43/44", "bytes 20-43/*"]) {
    server(rest(20), wrong(range), rest());
    expect(await take(), String(range)).toEqual(secret);
  }
  const portal: Answer = () => new Response(body(new TextEncoder().encode("Log in to this Wi-Fi to go on. ".repeat(9))), { headers: { "Content-Length": "279" } });
  server(rest(20), portal, rest());
  expect(await take()).toEqual(secret);
});

it("waits for a server that is not available just now", async () => {
  server(rest(20), status(503), status(503), rest());
  expect(await take()).toEqual(secret);
});

it("is lost when the server has it no more", async () => {
  for (const code of [410, 404, 400, 401, 403, 416, 500]) {
    server(rest(20), noAnswer, status(code));
    expect(await take(), String(code)).toBeInstanceOf(LostError);
  }
});

it("is lost when the lease is over, and asks no longer than that", async () => {
  const begin = Date.now();
  let last = 0;
  server(rest(20), ...Array<Answer>(100).fill(() => ((last = Date.now()), Promise.reject(new TypeError("away")))));
  expect(await take()).toBeInstanceOf(LostError);
  expect(last - begin).toBeLessThanOrEqual(60_000);
  expect(last - begin).toBeGreaterThan(50_000);
});

it("is lost when what came is not what was sent", async () => {
  server(() => new Response("?".repeat(text.length), { headers: lease }));
  expect(await take()).toBeInstanceOf(LostError);
});

it("asks a server without leases once, whatever happens", async () => {
  const from = retrieval(id);
  server(rest(Infinity, {}));
  expect(await take(from, 1000)).toEqual(secret);
  from.end();
  expect(asked.length).toBe(1);
  for (const answer of [rest(0, {}), rest(20, {}), rest(20, { "X-Hakanai-Lease": "0" }), rest(20, { "X-Hakanai-Lease": "x" })]) {
    asked = [];
    server(answer);
    expect(await take()).toBeInstanceOf(LostError);
    expect(asked.length).toBe(1);
  }
  asked = [];
  server(noAnswer, config(undefined));
  expect(await take()).toEqual(new AnswerError(0));
  expect(asked.map(({ path }) => path)).toEqual([`/api/v1/secret/${id}`, "/config.json"]);
});

it("lets a server without leases be silent for as long as it likes", async () => {
  const slow: Answer = async (request) => {
    await new Promise((resolve) => setTimeout(resolve, 200_000));
    request.signal!.throwIfAborted();
    return rest(Infinity, {})(request);
  };
  server(slow);
  expect(await take()).toEqual(secret);
});

it("repeats a first request that had no answer, if the server knows leases", async () => {
  server(noAnswer, noAnswer, config(true), noAnswer, status(503), rest(20), rest());
  expect(await take()).toEqual(secret);
  expect(new Set(asked.filter(({ path }) => path !== "/config.json").map(({ claim }) => claim)).size).toBe(1);
  for (const answer of [config(false), config("yes"), status(404), () => new Response("no JSON")]) {
    asked = [];
    server(noAnswer, answer);
    expect(await take()).toEqual(new AnswerError(0));
    expect(asked.length).toBe(2);
  }
  // A server that says, after all, that it gives no lease is asked no more.
  server(noAnswer, config(true), rest(20, {}));
  expect(await take()).toBeInstanceOf(LostError);
});

it("gives up a first request that never has an answer, and is the same viewer when it is tried again", async () => {
  const from = retrieval(id);
  server(noAnswer, ...Array<Answer>(5).fill(noAnswer));
  expect(await take(from)).toEqual(new AnswerError(0));
  expect(asked.length).toBe(6);
  server(noAnswer, config(true), ...Array<Answer>(100).fill(noAnswer));
  expect(await take(from)).toEqual(new AnswerError(0));
  server(rest());
  expect(await take(from)).toEqual(secret);
  expect(asked.at(-1)!.claim).toBe(asked[0]!.claim);
});

it("repeats nothing that the server refuses", async () => {
  for (const code of [400, 401, 403, 404, 410, 429, 500, 503]) {
    asked = [];
    server(status(code));
    expect(await take()).toEqual(new AnswerError(code));
    expect(asked.length).toBe(1);
  }
});

/** An answer that stops in its middle and stays open, until the page gives it up. */
const stuck: Answer = ({ signal }) =>
  new Response(
    new ReadableStream({
      start(stream) {
        stream.enqueue(text.slice(0, 20));
        signal!.addEventListener("abort", () => stream.error(signal!.reason));
      },
    }),
    { headers: { "Content-Length": String(text.length), ...lease } },
  );

it("gives up a connection on which nothing comes", async () => {
  const begin = Date.now();
  let resumed = 0;
  server(stuck, (request) => ((resumed = Date.now()), rest()(request)));
  expect(await take()).toEqual(secret);
  expect(resumed - begin).toBe(30_200);
});

it("goes on at once when the browser is online again", async () => {
  server(rest(20), ...Array<Answer>(6).fill(noAnswer), rest());
  const result = retrieval(id).retrieve("", () => {});
  await vi.advanceTimersByTimeAsync(12_000); // in a pause of five seconds, from 11.2 s on
  expect(asked.length).toBe(7);
  dispatchEvent(new Event("online"));
  await vi.advanceTimersByTimeAsync(0);
  expect(await result).toEqual(secret);

  // A connection of before is dead, whether the browser knows it or not.
  server(stuck, rest());
  const other = retrieval(id).retrieve("", () => {});
  await vi.advanceTimersByTimeAsync(1000);
  dispatchEvent(new Event("online"));
  await vi.advanceTimersByTimeAsync(200);
  expect(await other).toEqual(secret);
});

it("asks nothing more once the page is left", async () => {
  for (const answers of [[stuck], [rest(20)], [rest(20), noAnswer, noAnswer], [noAnswer, noAnswer]]) {
    asked = [];
    server(...answers);
    const from = retrieval(id);
    const result = from.retrieve("", () => {}).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(0);
    const before = asked.length;
    from.abandon();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await result).toBeInstanceOf(Error);
    expect(asked.length).toBe(before);
    expect(asked.at(-1)!.signal?.aborted ?? true).toBe(true);
  }
});
