// Who may open a secret: only what the server can tell is offered.

import type { Config } from "../api";
import { guessBits, maxEntries, minPassphrase, RestrictionError, type Typed } from "../restrictions";
import { useText, type Text } from "../text";
import { SecretField } from "./secretfield";

interface Props {
  typed: Typed;
  offered: Config["features"]["restrictions"];
  fault: RestrictionError | null;
  disabled: boolean;
  onTyped: (typed: Typed) => void;
}

const weak = 40; // bits

export function Restrict({ typed, offered, fault, disabled, onTyped }: Props) {
  const t = useText();
  const list = (kind: "addresses" | "countries" | "asns", label: string, hint: string, placeholder: string) => (
    <div class="field">
      <label for={kind}>{label}</label>
      <input
        id={kind}
        type="text"
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        placeholder={placeholder}
        value={typed[kind]}
        disabled={disabled}
        aria-invalid={fault?.kind === kind}
        aria-describedby={fault?.kind === kind ? `${kind}-hint ${kind}-fault` : `${kind}-hint`}
        onInput={(event) => onTyped({ ...typed, [kind]: event.currentTarget.value })}
      />
      <p id={`${kind}-hint`} class="hint">
        {hint}
      </p>
      {fault?.kind === kind && (
        <p id={`${kind}-fault`} class="fault" role="alert">
          {restrictionText(fault, t)}
        </p>
      )}
    </div>
  );
  const guessable = [...typed.passphrase.trim()].length >= minPassphrase && guessBits(typed.passphrase) < weak;
  return (
    <>
      <SecretField
        id="passphrase"
        label={t.restrictPassphrase}
        hint={guessable ? t.passphraseWeak : t.restrictPassphraseHint(minPassphrase)}
        fault={fault?.kind === "passphrase" ? restrictionText(fault, t) : null}
        value={typed.passphrase}
        disabled={disabled}
        onInput={(passphrase) => onTyped({ ...typed, passphrase })}
      />
      {list("addresses", t.restrictAddresses, t.restrictAddressesHint, "192.0.2.7, 2001:db8::/32")}
      {offered.country && list("countries", t.restrictCountries, t.restrictCountriesHint, "DE, JP")}
      {offered.asn && list("asns", t.restrictASNs, t.restrictASNsHint, "AS64500")}
    </>
  );
}

function restrictionText(fault: RestrictionError, t: Text): string {
  if (fault.entry === "" && fault.kind !== "passphrase") {
    return t.tooManyEntries(maxEntries);
  }
  switch (fault.kind) {
    case "addresses":
      return t.badAddress(fault.entry);
    case "countries":
      return t.badCountry(fault.entry);
    case "asns":
      return t.badASN(fault.entry);
    case "passphrase":
      return t.badPassphrase(minPassphrase);
  }
}
