import { useState } from "preact/hooks";
import { countryName } from "../countries";
import { encodeFragment } from "../crypto/link";
import { CopyButton } from "../parts/copy";
import { useArrival } from "../parts/hooks";
import { QR } from "../parts/qr";
import type { Restrictions } from "../restrictions";
import { linkTo, type Sent } from "../sending";
import { formatMoment } from "../sizes";
import { useLanguage, useText, type Text } from "../text";

interface Props {
  sent: Sent;
  separateKey: boolean;
  copied?: boolean; // the link is in the clipboard already
  onAnother: () => void;
}

/** A secret's link, to be passed on. */
export function Result({ sent, separateKey, copied, onAnother }: Props) {
  const t = useText();
  const language = useLanguage();
  const heading = useArrival<HTMLHeadingElement>();
  const [qr, setQR] = useState(false);
  const link = linkTo(sent, separateKey);
  return (
    <section class="sheet result" id="result">
      <h1 ref={heading} tabIndex={-1}>
        {t.resultTitle}
      </h1>
      <p class="lede">{copied ? t.resultCopied : t.resultLede}</p>
      <p id="link" class="address ink" tabIndex={0} aria-label={t.resultLink}>
        {link}
      </p>
      <div class="actions">
        <CopyButton id="copy-link" text={link} label={t.copyLink} primary />
        {typeof navigator.share === "function" && (
          <button
            id="share-link"
            type="button"
            onClick={() => void navigator.share({ url: link }).catch(() => undefined) /* closed without sharing */}
          >
            {t.shareLink}
          </button>
        )}
        <button id="show-qr" type="button" aria-expanded={qr} aria-controls="qr-place" onClick={() => setQR(!qr)}>
          {t.qr}
        </button>
      </div>
      <div id="qr-place">{qr && <QR id="qr" text={link} />}</div>
      {separateKey && (
        <div class="key">
          <h2>{t.resultKeyTitle}</h2>
          <p>{t.resultKey}</p>
          <p id="key" class="address" tabIndex={0} aria-label={t.keyLabel}>
            {encodeFragment(sent.fragment)}
          </p>
          <div class="actions">
            <CopyButton id="copy-key" text={encodeFragment(sent.fragment)} label={t.copyKey} />
          </div>
        </div>
      )}
      <ul id="facts" class="facts">
        <li>{t.factOnce}</li>
        <li id="expires">{t.factExpires(formatMoment(sent.expires, language))}</li>
        {facts(sent.restrictions, t, language).map((fact) => (
          <li key={fact} class="restriction">
            {fact}
          </li>
        ))}
      </ul>
      <p>
        <button id="another" type="button" class="quiet" onClick={onAnother}>
          {t.another}
        </button>
      </p>
    </section>
  );
}

/** What restricts a secret, a line each. */
export function facts(restrictions: Restrictions, t: Text, language: string): string[] {
  const lines: string[] = [];
  const { allowed_ips: ips, allowed_countries: countries, allowed_asns: asns, passphrase_hash: passphrase } = restrictions;
  if (passphrase !== undefined) {
    lines.push(t.factPassphrase);
  }
  if (ips !== undefined) {
    lines.push(t.factAddresses(ips.join(", ")));
  }
  if (countries !== undefined) {
    lines.push(t.factCountries(countries.map((code) => countryName(code, language)).join(", ")));
  }
  if (asns !== undefined) {
    lines.push(t.factASNs(asns.map((asn) => `AS${asn}`).join(", ")));
  }
  return lines;
}
