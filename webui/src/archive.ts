// ZIP archives: several files are sent as one, and a received one can be saved file by file.

import { unzipSync, Zip, ZipDeflate } from "fflate";
import { breathe } from "./crypto/base64";
import { distinct, safeName } from "./names";

const piece = 256 << 10;

/** Packs files into one archive. Between pieces the page can answer a finger. */
export async function pack(files: File[]): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  const zip = new Zip((error, data) => {
    if (error) {
      throw error;
    }
    pieces.push(data as Uint8Array<ArrayBuffer>);
  });
  const names = distinct(files.map((file) => file.name));
  for (const [i, file] of files.entries()) {
    const entry = new ZipDeflate(names[i]!, { level: 6 });
    zip.add(entry);
    for (let from = 0; from < file.size; from += piece) {
      entry.push(new Uint8Array(await file.slice(from, from + piece).arrayBuffer()), false);
      await breathe();
    }
    entry.push(new Uint8Array(0), true);
  }
  zip.end();
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

/** A file in an archive, not yet unpacked. */
export interface Entry {
  name: string; // safe, and unlike that of every other entry
  size: number;
}

const maxEntries = 10_000;
const maxUnpacked = 1 << 30;
const maxRatio = 1100; // more than deflate can do honestly

/** Lists an archive's files without unpacking them, or returns null if it is none, or one that should stay whole. */
export function list(archive: Uint8Array): Entry[] | null {
  const found: { name: string; size: number }[] = [];
  try {
    unzipSync(archive, {
      filter: (file) => {
        if (file.size * maxRatio < file.originalSize || (file.compression !== 0 && file.compression !== 8)) {
          throw new Error("not an entry to unpack");
        }
        if (!file.name.endsWith("/")) {
          found.push({ name: safeName(file.name), size: file.originalSize });
        }
        return false;
      },
    });
  } catch {
    return null;
  }
  const total = found.reduce((sum, entry) => sum + entry.size, 0);
  if (found.length === 0 || found.length > maxEntries || total > maxUnpacked) {
    return null;
  }
  const names = distinct(found.map((entry) => entry.name));
  return found.map((entry, i) => ({ name: names[i]!, size: entry.size }));
}

/** Unpacks the file that list gave at an index. */
export function unpack(archive: Uint8Array, index: number): Uint8Array<ArrayBuffer> {
  let at = -1;
  let wanted = "";
  const files = unzipSync(archive, {
    filter: (file) => {
      if (file.name.endsWith("/") || ++at !== index) {
        return false;
      }
      wanted = file.name;
      return true;
    },
  });
  return files[wanted]! as Uint8Array<ArrayBuffer>;
}
