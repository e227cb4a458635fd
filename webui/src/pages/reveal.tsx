// A link's page. Loading it fetches nothing: only the button takes the secret from the server.

import { useEffect, useRef, useState } from "preact/hooks";
import { AnswerError, LostError, retrieve } from "../api";
import { HashError, WrongKeyError } from "../crypto/errors";
import { LinkError, parseFragment, parseID, type Fault, type Fragment } from "../crypto/link";
import type { Content } from "../crypto/payload";
import { hashPassphrase, unseal } from "../crypto/seal";
import { useArrival, useTitle } from "../parts/hooks";
import { Notice } from "../parts/notice";
import { Progress } from "../parts/progress";
import { faultText, readKey } from "../parts/linkform";
import { SecretField } from "../parts/secretfield";
import { wait } from "../problems";
import { useText, type Text } from "../text";
import { Revealed } from "./revealed";

type Phase =
  | { name: "ask" }
  | { name: "busy"; done: number | null }
  | { name: "shown"; content: Content }
  | { name: "over"; why: "gone" | "never" | "lost" | "notOurs" | "badID" };

export function Reveal({ id, fragment }: { id: string; fragment: string | Fragment | null }) {
  const t = useText();
  const [start] = useState(() => readStart(id, fragment));
  const [phase, setPhase] = useState<Phase>(start.fault === "id" ? { name: "over", why: "badID" } : { name: "ask" });
  const [key, setKey] = useState("");
  const [keyFault, setKeyFault] = useState<Fault | "wrong" | null>(start.fault === "id" ? null : start.fault);
  const [passphrase, setPassphrase] = useState<string | null>(null); // null until it is asked for
  const [problem, setProblem] = useState<string | null>(null);
  // Kept when a key does not fit: the server has it no more, and another key may.
  const ciphertext = useRef<Uint8Array<ArrayBuffer> | null>(null);
  const [kept, setKept] = useState(false);
  useTitle(phase.name === "over" ? over(phase.why, t).title : phase.name === "shown" ? t.revealedTitle : t.revealTitle);
  useEffect(() => () => ciphertext.current?.fill(0), []);

  const asksKey = start.fragment === null || keyFault !== null || kept;

  const reveal = async (event: Event) => {
    event.preventDefault();
    setProblem(null);
    const read = asksKey ? readKey(key) : start.fragment!;
    if (typeof read === "string") {
      setKeyFault(key.trim() === "" && start.fault === null ? "key" : read);
      focus("key-input");
      return;
    }
    if (passphrase !== null && passphrase.trim() === "") {
      setProblem(t.passphraseMissing);
      focus("passphrase-input");
      return;
    }
    setPhase({ name: "busy", done: null });
    try {
      if (ciphertext.current === null) {
        const hash = passphrase === null ? "" : await hashPassphrase(passphrase.trim());
        ciphertext.current = await retrieve(parseID(id), hash, (done) => setPhase({ name: "busy", done }));
        setPassphrase(null);
      }
      const content = await unseal(ciphertext.current, read);
      ciphertext.current.fill(0);
      ciphertext.current = null;
      setKey("");
      setPhase({ name: "shown", content });
    } catch (error) {
      fail(error);
    }
  };

  const fail = (error: unknown) => {
    if (error instanceof WrongKeyError || error instanceof HashError) {
      setKept(true);
      setKeyFault("wrong");
      setPhase({ name: "ask" });
      focus("key-input");
      return;
    }
    if (error instanceof LostError) {
      setPhase({ name: "over", why: "lost" });
      return;
    }
    const status = error instanceof AnswerError ? error.status : -1;
    if (status === 410 || status === 404) {
      setPhase({ name: "over", why: status === 410 ? "gone" : "never" });
      return;
    }
    if (status === -1) {
      setPhase({ name: "over", why: "notOurs" });
      return;
    }
    if (status === 401) {
      setProblem(passphrase === null ? null : t.passphraseWrong);
      setPassphrase("");
      focus("passphrase-input");
    } else if (status === 403) {
      setProblem(t.notFromHere);
    } else if (status === 429) {
      setProblem(t.tooManyGuesses(wait(error as AnswerError, t)));
    } else if (status === 0) {
      setProblem(t.getOffline);
    } else if (status === 503) {
      setProblem(t.getBusy(wait(error as AnswerError, t)));
    } else {
      setProblem(t.getUnsure);
    }
    setPhase({ name: "ask" });
  };

  if (phase.name === "shown") {
    return <Revealed content={phase.content} />;
  }
  if (phase.name === "over") {
    return <Over why={phase.why} />;
  }
  const busy = phase.name === "busy";
  return (
    <form class="sheet reveal" id="reveal-form" onSubmit={(event) => void reveal(event)} noValidate>
      <h1>{kept ? t.keptTitle : t.revealTitle}</h1>
      <p class="lede">{kept ? t.keptLede : t.revealLede}</p>
      {asksKey && (
        <SecretField
          id="key-input"
          label={t.keyLabel}
          hint={kept ? undefined : t.keyHint}
          fault={keyFault === null ? null : keyFault === "wrong" ? t.keyWrong : faultText(keyFault, t)}
          value={key}
          disabled={busy}
          onInput={(value) => {
            setKey(value);
            setKeyFault((fault) => (fault === null ? null : kept ? "wrong" : fault));
          }}
        />
      )}
      {passphrase !== null && (
        <SecretField
          id="passphrase-input"
          label={t.passphraseLabel}
          hint={t.passphraseAsked}
          fault={problem}
          value={passphrase}
          disabled={busy}
          onInput={setPassphrase}
        />
      )}
      {passphrase === null && problem !== null && (
        <Notice id="problem" kind="error">
          {problem}
        </Notice>
      )}
      {busy ? (
        <Progress text={t.fetching} done={phase.done} />
      ) : (
        <p>
          <button id="reveal" type="submit" class="primary">
            {kept ? t.tryKey : t.reveal}
          </button>
        </p>
      )}
    </form>
  );
}

/** What the link gives to begin with, and what is wrong with it. */
function readStart(id: string, fragment: string | Fragment | null): { fragment: Fragment | null; fault: Fault | null } {
  try {
    parseID(id);
    if (typeof fragment !== "string") {
      return { fragment, fault: null };
    }
    return { fragment: fragment === "" ? null : parseFragment(fragment), fault: null };
  } catch (error) {
    return { fragment: null, fault: error instanceof LinkError ? error.fault : "link" };
  }
}

/** Once what is asked for has been drawn. */
function focus(id: string): void {
  setTimeout(() => document.getElementById(id)?.focus());
}

type Why = (Phase & { name: "over" })["why"];

/** Why there is nothing to reveal, and what to do. */
function over(why: Why, t: Text): { title: string; text: string } {
  switch (why) {
    case "gone":
      return { title: t.goneTitle, text: t.gone };
    case "never":
      return { title: t.neverTitle, text: t.never };
    case "lost":
      return { title: t.lostTitle, text: t.lost };
    case "notOurs":
      return { title: t.notOursTitle, text: t.notOurs };
    case "badID":
      return { title: t.badIDTitle, text: t.faultID };
  }
}

function Over({ why }: { why: Why }) {
  const t = useText();
  const heading = useArrival<HTMLHeadingElement>();
  const { title, text } = over(why, t);
  return (
    <section class="sheet" id={`over-${why}`}>
      <h1 ref={heading} tabIndex={-1}>
        {title}
      </h1>
      <p class="lede">{text}</p>
      <p>
        <a href="/">{t.toStart}</a>
      </p>
    </section>
  );
}
