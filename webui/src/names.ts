// File names of senders are not to be trusted: what is shown and saved is what safeName makes of them. The command line
// does the same.

const maxName = 200; // bytes
const noName = "secret";

/**
 * Makes of a sender's file name one that can be used here: its last part alone, without what hides a file, changes the
 * direction of writing, or means a device or stream on Windows.
 */
export function safeName(name: string): string {
  name = name.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1);
  name = name.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]|[<>:"|?*\ufffd]/gu, "_");
  name = name.replace(/[ .]+$/, "").replace(/^ +/, "");
  name = name.replace(/^[.-]/, "_");
  name = shorten(name);
  if (/^(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³]) *(?:\.|$)/i.test(name)) {
    name = `_${name}`;
  }
  return /^_*$/.test(name) ? noName : name;
}

/** Cuts the end of a name's stem off if the name is too long, and keeps its extension. */
function shorten(name: string): string {
  if (byteLength(name) <= maxName) {
    return name;
  }
  let extension = name.slice(name.lastIndexOf("."));
  if (byteLength(extension) > maxName / 4) {
    extension = "";
  }
  const room = maxName - byteLength(extension);
  let stem = "";
  let used = 0;
  for (const character of name.slice(0, name.length - extension.length)) {
    used += byteLength(character);
    if (used > room) {
      break;
    }
    stem += character;
  }
  return stem.replace(/[ .]+$/, "") + extension;
}

/** Gives each of several files a name of its own, whatever the case: "a.txt", "a (2).txt". */
export function distinct(names: string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    const dot = name.lastIndexOf(".");
    const [stem, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
    let candidate = name;
    for (let n = 2; taken.has(candidate.toLowerCase()); n++) {
      candidate = `${stem} (${n})${extension}`;
    }
    taken.add(candidate.toLowerCase());
    return candidate;
  });
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
