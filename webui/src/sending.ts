// From what a person wants to share to a link.

import { create, type Progress } from "./api";
import { pack } from "./archive";
import { encodeFragment, type Fragment } from "./crypto/link";
import type { Content } from "./crypto/payload";
import { seal } from "./crypto/seal";
import type { Restrictions } from "./restrictions";

export interface Draft {
  content: string | File[] | Content; // several files become one archive
  ttl: number; // seconds
  restrictions: Restrictions;
  token: string;
  limit: number; // bytes, 0 for any
}

/** A secret that is on the server, and the way to it. */
export interface Sent {
  id: string;
  fragment: Fragment;
  expires: Date;
  restrictions: Restrictions;
}

export type Step = "packing" | "sealing" | "uploading";

/** The secret is over the limit. */
export class TooLargeError extends Error {
  constructor(
    readonly size: number,
    readonly limit: number,
  ) {
    super("too large");
  }
}

/** A file cannot be read: it has changed or gone since it was chosen, or is a folder. */
export class UnreadableError extends Error {}

/** Checks, seals and uploads. What can fail without the server fails before it is asked. */
export async function send(draft: Draft, report: (step: Step, done: number | null) => void, signal: AbortSignal): Promise<Sent> {
  report("packing", null);
  const content = await prepare(draft.content);
  if (draft.limit > 0 && content.data.length > draft.limit) {
    throw new TooLargeError(content.data.length, draft.limit);
  }
  signal.throwIfAborted();
  report("sealing", null);
  const { ciphertext, fragment } = await seal(content);
  signal.throwIfAborted();
  const uploading: Progress = (done) => report("uploading", done);
  uploading(0);
  const expires = new Date(Date.now() + draft.ttl * 1000);
  const id = await create({ ...draft, ciphertext }, uploading, signal);
  return { id, fragment, expires, restrictions: draft.restrictions };
}

async function prepare(content: Draft["content"]): Promise<Content> {
  if (typeof content === "string") {
    return { data: new TextEncoder().encode(content), filename: "" };
  }
  if (!Array.isArray(content)) {
    return content;
  }
  try {
    if (content.length === 1) {
      const [file] = content as [File];
      return { data: new Uint8Array(await file.arrayBuffer()), filename: file.name };
    }
    return { data: await pack(content), filename: `${Math.floor(Date.now() / 1000)}.zip` };
  } catch {
    throw new UnreadableError();
  }
}

/** The link to a secret; without its key where that goes another way. */
export function linkTo(sent: Sent, separateKey: boolean): string {
  const link = `${location.origin}/s/${sent.id}`;
  return separateKey ? link : `${link}#${encodeFragment(sent.fragment)}`;
}
