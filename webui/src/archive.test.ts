import { strToU8, zipSync } from "fflate";
import { expect, it } from "vitest";
import hostile from "../testdata/hostile.json";
import { list, pack, unpack } from "./archive";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

it("packs files so that two of one name both survive", async () => {
  const files = [new File(["one"], "a.txt"), new File(["two"], "a.txt"), new File(["3".repeat(600_000)], "最終.txt"), new File([], "empty")];
  const archive = await pack(files);
  const entries = list(archive)!;
  expect(entries).toEqual([
    { name: "a.txt", size: 3 },
    { name: "a (2).txt", size: 3 },
    { name: "最終.txt", size: 600_000 },
    { name: "empty", size: 0 },
  ]);
  expect(entries.map((_, i) => text(unpack(archive, i)).slice(0, 3))).toEqual(["one", "two", "333", ""]);
  expect(archive.length).toBeLessThan(10_000);
});

it("makes the names in an archive safe, and unlike each other", () => {
  const files: Record<string, Uint8Array> = {};
  hostile.filter((name) => name !== "" && name !== "__proto__" && !name.endsWith("/")).forEach((name) => (files[name] = strToU8("x")));
  const names = list(zipSync(files))!.map((entry) => entry.name);
  expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(names.length);
  expect(names.filter((name) => /[/\\\u202e\0]|^\./.test(name))).toEqual([]);
});

it("leaves folders out, and unpacks what stands at an index", () => {
  const archive = zipSync({ folder: { inner: strToU8("deep") }, "empty folder": {}, top: strToU8("high") });
  const entries = list(archive)!;
  expect(entries.map((entry) => entry.name)).toEqual(["inner", "top"]);
  expect(text(unpack(archive, 1) as Uint8Array)).toBe("high");
});

it("leaves whole what is no archive, or one to be wary of", () => {
  expect(list(strToU8("no archive"))).toBeNull();
  expect(list(new Uint8Array(0))).toBeNull();
  expect(list(zipSync({}))).toBeNull();
  const good = zipSync({ a: new Uint8Array(1_000_000) });
  expect(list(good)).not.toBeNull();
  const directory = good.length - 22 - 46 - 1;
  const lying = good.slice();
  new DataView(lying.buffer).setUint32(directory + 24, 0xf0000000, true); // its size, unpacked
  expect(list(lying)).toBeNull();
});

it("never gives more bytes than an entry says it has", () => {
  const archive = zipSync({ a: new Uint8Array(100_000) });
  new DataView(archive.buffer).setUint32(archive.length - 22 - 46 - 1 + 24, 50_000, true);
  expect(unpack(archive, 0).length).toBeLessThanOrEqual(50_000);
});
