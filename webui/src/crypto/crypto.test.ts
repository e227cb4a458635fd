import { describe, expect, it } from "vitest";
import vectors from "../../../crypto/testdata/vectors.json";
import lengths from "../../testdata/lengths.json";
import * as base64 from "./base64";
import { HashError, PayloadError, WrongKeyError } from "./errors";
import { encodeFragment, LinkError, parseFragment, parseKey, parseLink } from "./link";
import { buildPayload, parsePayload } from "./payload";
import { hashPassphrase, seal, unseal } from "./seal";

const utf8 = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe("the published vectors", () => {
  for (const vector of vectors.vectors) {
    it(`open: ${vector.name}`, async () => {
      const ciphertext = await base64.decode(utf8(vector.ciphertext_base64));
      const content = await unseal(ciphertext, parseFragment(vector.fragment));
      expect(text(await base64.encode(content.data))).toBe(vector.content_base64);
      expect(content.filename).toBe(vector.filename ?? "");
      expect(encodeFragment(parseFragment(vector.fragment))).toBe(vector.fragment);
    });
  }
  for (const { passphrase, header_value: hash } of vectors.passphrases) {
    it(`hash the passphrase ${passphrase}`, async () => expect(await hashPassphrase(passphrase)).toBe(hash));
  }
});

describe("sealing", () => {
  it("can be undone, byte for byte, for text and file", async () => {
    for (const filename of ["", "Prüfbericht 2025 – 最終.pdf", 'a"\\\u2028\u0000b']) {
      for (const size of [0, 1, 2, 3, 1000, 786_431, 786_432, 786_433, 2_000_000]) {
        const data = Uint8Array.from({ length: size }, (_, i) => (i * 31) & 255);
        const { ciphertext, fragment } = await seal({ data, filename });
        const content = await unseal(ciphertext, fragment);
        expect(content.filename).toBe(filename);
        expect(content.data.length).toBe(size);
        expect(content.data.every((byte, i) => byte === data[i])).toBe(true);
      }
    }
  });
  it("gives ciphertexts as long as the command line's", async () => {
    for (const { bytes, filename, ciphertext } of lengths) {
      const payload = await buildPayload({ data: new Uint8Array(bytes), filename });
      expect(payload.length + 12 + 16, `${bytes} bytes, ${filename}`).toBe(ciphertext);
    }
  });
  it("gives passwords of every length one length", async () => {
    const lengths = new Set<number>();
    for (let size = 1; size <= 690; size += 13) {
      lengths.add((await seal({ data: new Uint8Array(size), filename: "" })).ciphertext.length);
    }
    expect([...lengths]).toEqual([1024]);
  });
  it("draws a new key, nonce and padding each time", async () => {
    const content = { data: utf8("123456"), filename: "" };
    const [a, b] = [await seal(content), await seal(content)];
    expect(encodeFragment(a.fragment).split(":")[0]).not.toBe(encodeFragment(b.fragment).split(":")[0]);
    expect(encodeFragment(a.fragment).split(":")[1]).not.toBe(encodeFragment(b.fragment).split(":")[1]);
    expect(a.ciphertext.slice(0, 12)).not.toEqual(b.ciphertext.slice(0, 12));
  });
  it("refuses a file name that no server could bound", async () => {
    await expect(seal({ data: utf8("x"), filename: "n".repeat(2000) })).rejects.toThrow();
  });
});

describe("opening", () => {
  it("leaves the ciphertext for another key where one is wrong", async () => {
    const { ciphertext, fragment } = await seal({ data: utf8("x"), filename: "" });
    const before = ciphertext.slice();
    const key = fragment.key.slice();
    key[0]! ^= 1;
    await expect(unseal(ciphertext, { ...fragment, key })).rejects.toBeInstanceOf(WrongKeyError);
    const hash = fragment.hash.slice();
    hash[15]! ^= 1;
    await expect(unseal(ciphertext, { ...fragment, hash })).rejects.toBeInstanceOf(HashError);
    expect(ciphertext).toEqual(before);
    expect(text((await unseal(ciphertext, fragment)).data)).toBe("x");
  });
  it("notices every changed byte", async () => {
    const { ciphertext, fragment } = await seal({ data: utf8("x"), filename: "" });
    for (let i = 0; i < ciphertext.length; i += 37) {
      const changed = ciphertext.slice();
      changed[i]! ^= 0x80;
      await expect(unseal(changed, fragment)).rejects.toBeInstanceOf(WrongKeyError);
    }
    await expect(unseal(ciphertext.slice(0, 27), fragment)).rejects.toBeInstanceOf(WrongKeyError);
  });
  it("reads payloads in every form that senders write", async () => {
    for (const json of [
      '{"data":"aGk="}',
      '{"data":"aGk=","filename":null}',
      ' { "filename" : null , "data" : "aGk=" } ',
      '{"data":"aGk=","unknown":{"data":1},"pad":"x"}',
      '{"d\\u0061ta":"aGk="}',
      '{"data":"aGk\\u003d"}',
    ]) {
      expect(text((await parsePayload(utf8(json))).data), json).toBe("hi");
    }
  });
  it("refuses what is no payload", async () => {
    for (const json of [
      "",
      "null",
      "[]",
      "{}",
      '"data"',
      '{"data":1}',
      '{"data":null}',
      '{"data":"aGk"}',
      '{"data":"aGk=="}',
      '{"data":"a Gk="}',
      '{"data":"aGl="}',
      '{"data":"aGk=","data":"aGk="}',
      '{"data":"aGk=","filename":1}',
      '{"data":"aGk="}x',
      '{"data":"aGk="',
      '{"data":"aGk=',
      '{"data":"',
    ]) {
      await expect(parsePayload(utf8(json)), json).rejects.toBeInstanceOf(PayloadError);
    }
  });
});

describe("base64", () => {
  it("agrees with the browser's own", async () => {
    for (let size = 0; size < 70; size++) {
      const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 97 + size) & 255);
      const encoded = text(await base64.encode(bytes));
      expect(encoded).toBe(btoa(String.fromCharCode(...bytes)));
      expect(await base64.decode(utf8(encoded))).toEqual(bytes);
    }
  });
  it("has one spelling", async () => {
    for (const bad of ["A", "AA", "AAA", "====", "A===", "AB==", "AAB=", "AA=A", "AA==AAAA", "A AA", "AAA\n", "AA-_", "AAAé", "=AAA"]) {
      await expect(base64.decode(utf8(bad)), bad).rejects.toBeInstanceOf(base64.Base64Error);
    }
  });
});

describe("links", () => {
  const id = "3f1c2b4a-0d5e-4f60-8a7b-9c8d7e6f5a4b";
  const fragment = vectors.vectors[0]!.fragment;
  const fault = (read: () => unknown) => {
    try {
      read();
    } catch (error) {
      return (error as LinkError).fault;
    }
    return null;
  };
  it("are read in all forms that they have had", () => {
    for (const path of [`/s/${id}`, `/secret/${id}`, `/api/v1/secret/${id}`, `/s/${id.toUpperCase()}`]) {
      const link = parseLink(`  https://example.com${path}#${fragment}\n`);
      expect(link.server).toBe("https://example.com");
      expect(link.id).toBe(id);
      expect(encodeFragment(link.fragment!)).toBe(fragment);
    }
    expect(encodeFragment(parseLink(`https://example.com/s/${id}#${fragment.replace(":", "%3A")}`).fragment!)).toBe(fragment);
    expect(parseLink(`http://localhost:8080/s/${id}`).fragment).toBeNull();
  });
  it("are refused, by what is wrong, and never quoted", () => {
    const [key, hash] = fragment.split(":");
    expect(fault(() => parseLink("nonsense"))).toBe("link");
    expect(fault(() => parseLink(`ftp://example.com/s/${id}`))).toBe("link");
    expect(fault(() => parseLink(`javascript:/s/${id}`))).toBe("link");
    expect(fault(() => parseLink(`https://user@example.com/s/${id}`))).toBe("link");
    expect(fault(() => parseLink(`https://example.com/s/${id}?x`))).toBe("link");
    expect(fault(() => parseLink(`https://example.com/x/${id}`))).toBe("link");
    expect(fault(() => parseLink(`https://example.com/s/${id.slice(1)}#${fragment}`))).toBe("id");
    expect(fault(() => parseLink(`https://example.com/s/{${id}}`))).toBe("id");
    expect(fault(() => parseLink(`https://example.com/s/${id}#${key}`))).toBe("hash");
    expect(fault(() => parseLink(`https://example.com/s/${id}#${key}:`))).toBe("hash");
    expect(fault(() => parseLink(`https://example.com/s/${id}#${key}:${hash!.slice(1)}`))).toBe("hash");
    expect(fault(() => parseLink(`https://example.com/s/${id}#${key!.slice(1)}:${hash}`))).toBe("key");
    expect(fault(() => parseFragment(`${key!.slice(0, -1)}9:${hash}`))).toBe("key"); // bits left over
    expect(fault(() => parseFragment(""))).toBe("key");
    expect(new LinkError("key").message).not.toContain(key);
  });
  it("give their keys as people paste them", () => {
    for (const pasted of [fragment, ` ${fragment} `, `#${fragment}`, `https://example.com/s/${id}#${fragment}`]) {
      expect(encodeFragment(parseKey(pasted))).toBe(fragment);
    }
  });
});
