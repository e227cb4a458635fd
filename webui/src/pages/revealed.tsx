// What was in a secret. A text is shown as text; a file is saved, and never opened.

import { useEffect, useMemo, useState } from "preact/hooks";
import { list, unpack } from "../archive";
import type { Content } from "../crypto/payload";
import { safeName } from "../names";
import { Name } from "../parts/glyphs";
import { CopyButton } from "../parts/copy";
import { useArrival, useLeaveWarning, useTitle } from "../parts/hooks";
import { saveFile } from "../save";
import { formatSize } from "../sizes";
import { useLanguage, useText } from "../text";

export function Revealed({ content }: { content: Content }) {
  const t = useText();
  const [state, setState] = useState<"shown" | "vanishing" | "released">("shown");
  const [shown, setShown] = useState<Content | null>(content);
  useEffect(() => () => void content.data.fill(0), [content]);
  useTitle(shown === null ? t.releasedTitle : t.revealedTitle);

  const release = () => {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    setState("vanishing");
    setTimeout(
      () => {
        content.data.fill(0);
        setShown(null);
        setState("released");
      },
      still ? 0 : 1400, // as long as the animation in style.css
    );
  };
  if (shown === null) {
    return <Released />;
  }
  const text = shown.filename === "" ? readText(shown.data) : null;
  return (
    <section class={`sheet revealed ${state}`} id="revealed">
      {text === null ? <RevealedFile content={shown} /> : <RevealedText text={text} />}
      <p class="release">
        <button id="release" type="button" class="quiet" disabled={state !== "shown"} onClick={release}>
          {t.release}
        </button>
      </p>
    </section>
  );
}

/** A text, or null for bytes that are none. */
function readText(data: Uint8Array): string | null {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
    return text.includes("\0") ? null : text;
  } catch {
    return null;
  }
}

/** Characters of a text: a phone takes seconds to lay out more. */
const mostShown = 100_000;

function RevealedText({ text }: { text: string }) {
  const t = useText();
  const heading = useArrival<HTMLHeadingElement>();
  return (
    <>
      <h1 ref={heading} tabIndex={-1}>
        {t.revealedTitle}
      </h1>
      <p class="lede">{t.revealedText}</p>
      <pre id="secret" class="ink" tabIndex={0} dir="auto" aria-label={t.secretLabel}>
        {text.length > mostShown ? `${text.slice(0, mostShown)}…` : text}
      </pre>
      {text.length > mostShown && <p class="hint">{t.textLong}</p>}
      <div class="actions">
        <CopyButton id="copy-secret" text={text} label={t.copyText} primary />
        {text.length > mostShown && (
          <button id="save-text" type="button" onClick={() => saveFile(new TextEncoder().encode(text), "secret.txt")}>
            {t.saveText}
          </button>
        )}
      </div>
    </>
  );
}

function RevealedFile({ content }: { content: Content }) {
  const t = useText();
  const language = useLanguage();
  const heading = useArrival<HTMLHeadingElement>();
  const [saved, setSaved] = useState(false);
  const [problem, setProblem] = useState(false);
  const name = safeName(content.filename);
  const entries = useMemo(() => (name.toLowerCase().endsWith(".zip") ? list(content.data) : null), [content, name]);
  useLeaveWarning(!saved);

  const save = (bytes: () => Uint8Array<ArrayBuffer>, as: string) => {
    try {
      saveFile(bytes(), as);
      setSaved(true);
      setProblem(false);
    } catch {
      setProblem(true);
    }
  };
  return (
    <>
      <h1 ref={heading} tabIndex={-1}>
        {entries === null ? t.revealedFileTitle : t.revealedFilesTitle}
      </h1>
      <p class="lede">{t.revealedFile}</p>
      <div class="file ink" id="file">
        <p class="filename">
          <bdi id="file-name">{name}</bdi>
          <span id="file-size" class="size">
            {formatSize(content.data.length, language)}
          </span>
        </p>
        {entries !== null && (
          <ul id="entries" class="entries">
            {entries.map((entry, i) => (
              <li key={i}>
                <span class="filename">
                  <bdi>{entry.name}</bdi>
                  <span class="size">{formatSize(entry.size, language)}</span>
                </span>
                <button
                  type="button"
                  class="save-entry"
                  aria-label={`${t.saveEntry}: ${entry.name}`}
                  onClick={() => save(() => unpack(content.data, i), entry.name)}
                >
                  {t.saveEntry}
                </button>
              </li>
            ))}
          </ul>
        )}
      </div>
      <div class="actions">
        <button id="save" type="button" class="primary" onClick={() => save(() => content.data, name)}>
          {entries === null ? t.saveFile : t.saveArchive}
        </button>
        <span class="note" role="status">
          {saved ? t.saved : ""}
        </span>
      </div>
      {problem && (
        <p class="fault" role="alert">
          {t.entryBroken}
        </p>
      )}
      <p class="hint">{t.fileWarning}</p>
    </>
  );
}

function Released() {
  const t = useText();
  const heading = useArrival<HTMLHeadingElement>();
  return (
    <section class="sheet" id="released">
      <h1 ref={heading} tabIndex={-1}>
        {t.releasedTitle}
      </h1>
      <p class="lede">{t.released}</p>
      <p>
        <a href="/create">{t.releasedCreate}</a>
      </p>
      <Name class="name" />
    </section>
  );
}
