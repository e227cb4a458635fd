// Addresses and ranges of addresses, read as the server reads them.

/** Tells whether a text is an IPv4 or IPv6 address, or a range in CIDR notation. */
export function isNetwork(text: string): boolean {
  const slash = text.indexOf("/");
  if (slash < 0) {
    return isIPv4(text) || groups(text) !== null;
  }
  const [address, bits] = [text.slice(0, slash), text.slice(slash + 1)];
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(bits)) {
    return false;
  }
  if (isIPv4(address)) {
    return Number(bits) <= 32;
  }
  const parsed = groups(address);
  if (parsed === null || Number(bits) > 128) {
    return false;
  }
  const mapped = parsed.slice(0, 5).every((group) => group === 0) && parsed[5] === 0xffff;
  return !mapped || Number(bits) >= 96; // an IPv4 range written in IPv6
}

function isIPv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^(?:0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255);
}

/** The eight groups of an IPv6 address (RFC 4291, section 2.2), or null. */
function groups(text: string): number[] | null {
  const halves = text.split("::");
  if (halves.length > 2) {
    return null;
  }
  const left = half(halves[0]!, halves.length === 1);
  const right = halves.length === 2 ? half(halves[1]!, true) : [];
  if (left === null || right === null) {
    return null;
  }
  const missing = 8 - left.length - right.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) {
    return null;
  }
  return [...left, ...Array<number>(missing).fill(0), ...right];
}

function half(text: string, last: boolean): number[] | null {
  if (text === "") {
    return [];
  }
  const parsed: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (last && i === parts.length - 1 && isIPv4(part)) {
      const [a, b, c, d] = part.split(".").map(Number) as [number, number, number, number];
      parsed.push((a << 8) | b, (c << 8) | d);
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) {
      parsed.push(parseInt(part, 16));
    } else {
      return null;
    }
  }
  return parsed;
}
