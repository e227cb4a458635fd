import { expect, it } from "vitest";
import networks from "../testdata/networks.json";
import { countryName } from "./countries";
import { isNetwork } from "./networks";
import { guessBits, nothingTyped, readRestrictions, RestrictionError } from "./restrictions";

it("reads networks as the server does", () => {
  for (const text of networks.accepted) {
    expect(isNetwork(text), text).toBe(true);
  }
  for (const text of networks.refused) {
    expect(isNetwork(text), text).toBe(false);
  }
});

it("reads what people type", async () => {
  expect(await readRestrictions(nothingTyped)).toEqual({});
  expect(
    await readRestrictions({ addresses: " 192.0.2.0/24,\n2001:db8::1 ;", countries: "de, Jp", asns: "AS64500 0 4294967295", passphrase: "  password  " }),
  ).toEqual({
    allowed_ips: ["192.0.2.0/24", "2001:db8::1"],
    allowed_countries: ["DE", "JP"],
    allowed_asns: [64500, 0, 4294967295],
    passphrase_hash: "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
  });
});

it("says which entry is wrong", async () => {
  for (const [kind, typed, entry] of [
    ["addresses", "10.0.0.0/8 nonsense", "nonsense"],
    ["countries", "DE XX", "XX"],
    ["countries", "Germany", "GERMANY"],
    ["asns", "AS", "AS"],
    ["asns", "4294967296", "4294967296"],
    ["asns", "-1", "-1"],
    ["asns", "1e3", "1e3"],
    ["addresses", "192.0.2.1 ".repeat(257), ""],
    ["passphrase", " 1234567 ", ""],
  ] as const) {
    const error = await readRestrictions({ ...nothingTyped, [kind]: typed }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(RestrictionError);
    expect(error).toMatchObject({ kind, entry });
  }
});

it("counts a passphrase's characters, not its code units", async () => {
  await expect(readRestrictions({ ...nothingTyped, passphrase: "𝒳𝒳𝒳𝒳" })).rejects.toBeInstanceOf(RestrictionError);
});

it("takes easy passphrases for easy", () => {
  for (const easy of ["12345678", "aaaaaaaaaaaaaaaa", "abcdefgh", "password", "24.12.98", "        x"]) {
    expect(guessBits(easy), easy).toBeLessThan(40);
  }
  for (const hard of ["correct horse battery", "k7#Qz!9wLp", "schöne blaue donau", "pässphräse-日本語"]) {
    expect(guessBits(hard), hard).toBeGreaterThan(40);
  }
});

it("names countries in the person's language", () => {
  expect(countryName("DE", "de")).toBe("Deutschland");
  expect(countryName("DE", "en")).toBe("Germany");
});
