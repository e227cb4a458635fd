import { expect, it } from "vitest";
import { HandedError, readClipboard, readFragment } from "./share";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

it("reads the fragment of an address", async () => {
  const handed = await readFragment("data=aGVsbG8rd29ybGQ%3D&filename=Pr%C3%BCf%20bericht.txt&token=abc&ttl=3600");
  expect(text(handed.content.data)).toBe("hello+world");
  expect(handed).toMatchObject({ content: { filename: "Prüf bericht.txt" }, token: "abc", ttl: 3600, restrictions: {} });
});

it("reads base64 as programs write it", async () => {
  const bytes = [251, 255, 190];
  for (const data of ["+/++", "-_--", "%2B/%2B%2B"]) {
    expect([...(await readFragment(`data=${data}`)).content.data]).toEqual(bytes);
  }
  for (const data of ["aGk=", "aGk", "aG%0D%0Ak", "a G k ="]) {
    expect(text((await readFragment(`data=${data}`)).content.data)).toBe("hi");
  }
});

it("leaves out what is empty or missing", async () => {
  expect(await readFragment("data=aGk=&filename=&token=&ttl=")).toMatchObject({ content: { filename: "" }, token: "", ttl: null });
});

it("reads JSON from the clipboard, and hashes the passphrase", async () => {
  const handed = await readClipboard(
    JSON.stringify({ data: "aGk=", filename: "a.txt", token: "t", ttl: 60, restrictions: { allowed_ips: ["::1"], allowed_countries: ["DE"], allowed_asns: [1], passphrase: "password" } }),
  );
  expect(handed.restrictions).toEqual({
    allowed_ips: ["::1"],
    allowed_countries: ["DE"],
    allowed_asns: [1],
    passphrase_hash: "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
  });
});

it("refuses, by name, what it cannot use", async () => {
  const fields: [string, string][] = [
    ["no json", "JSON"],
    ["[]", "JSON"],
    ["{}", "data"],
    ['{"data":""}', "data"],
    ['{"data":"?"}', "data"],
    ['{"data":1}', "data"],
    ['{"data":"aGk=","ttl":0}', "ttl"],
    ['{"data":"aGk=","ttl":1.5}', "ttl"],
    ['{"data":"aGk=","ttl":"60"}', "ttl"],
    ['{"data":"aGk=","filename":1}', "filename"],
    ['{"data":"aGk=","restrictions":[]}', "restrictions"],
    ['{"data":"aGk=","restrictions":{"allowed_ip":["::1"]}}', "restrictions"],
    ['{"data":"aGk=","restrictions":{"allowed_ips":"::1"}}', "restrictions"],
    ['{"data":"aGk=","restrictions":{"allowed_ips":["x"]}}', "addresses"],
    ['{"data":"aGk=","restrictions":{"passphrase":"short"}}', "passphrase"],
    ['{"data":"aGk=","restrictions":{"passphrase_hash":"AB"}}', "passphrase_hash"],
  ];
  for (const [json, field] of fields) {
    const error = await readClipboard(json).catch((e: unknown) => e);
    expect(error, json).toBeInstanceOf(HandedError);
    expect((error as HandedError).field, json).toBe(field);
  }
  for (const fragment of ["data=%", "nothing", "data=aGk=&ttl=x", "data=aGk=&ttl=-1"]) {
    await expect(readFragment(fragment), fragment).rejects.toBeInstanceOf(HandedError);
  }
});
