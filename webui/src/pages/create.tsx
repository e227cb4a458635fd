import { useRef, useState } from "preact/hooks";
import { AnswerError, isAbort, type Config } from "../api";
import { Compose, type Kind } from "../parts/compose";
import { useLeaveWarning, useTitle } from "../parts/hooks";
import { Notice } from "../parts/notice";
import { Progress } from "../parts/progress";
import { Restrict } from "../parts/restrict";
import { limitOf, settleToken, TokenField, useToken } from "../parts/token";
import { sendingProblem } from "../problems";
import { nothingTyped, readRestrictions, RestrictionError, type Restrictions } from "../restrictions";
import { send, type Sent, type Step } from "../sending";
import { formatDuration, formatSize } from "../sizes";
import { useLanguage, useText } from "../text";
import { Result } from "./result";

interface Props {
  config: Config | null;
  away: boolean;
  onAgain: () => void;
}

export function Create({ config, away, onAgain }: Props) {
  const t = useText();
  const [sent, setSent] = useState<{ sent: Sent; separateKey: boolean } | null>(null);
  useTitle(sent === null ? t.createTitle : t.resultTitle);
  if (sent !== null) {
    return <Result sent={sent.sent} separateKey={sent.separateKey} onAnother={() => setSent(null)} />;
  }
  return (
    <section class="sheet create">
      <h1>{t.createTitle}</h1>
      {away && (
        <Notice id="away" kind="error">
          <p>{t.serverAway}</p>
          <button id="again" type="button" onClick={onAgain}>
            {t.again}
          </button>
        </Notice>
      )}
      {!away && <Form config={config} onSent={(sent, separateKey) => setSent({ sent, separateKey })} />}
    </section>
  );
}

const day = 86400;

/** What is offered of how long a secret may wait: the usual, and the longest. */
export function lifetimes(longest: number): number[] {
  const usual = [600, 3600, 6 * 3600, day, 3 * day, 7 * day, 30 * day];
  return [...usual.filter((ttl) => ttl < longest), longest];
}

const usualLongest = 7 * day; // until the server has told its own

function Form({ config, onSent }: { config: Config | null; onSent: (sent: Sent, separateKey: boolean) => void }) {
  const t = useText();
  const language = useLanguage();
  const [kind, setKind] = useState<Kind>("text");
  const [text, setText] = useState("");
  const [files, setFiles] = useState<File[]>([]);
  const [ttl, setTTL] = useState(day);
  const [more, setMore] = useState(false); // protection is shown
  const [separateKey, setSeparateKey] = useState(false);
  const [typed, setTyped] = useState(nothingTyped);
  const [token, setToken] = useToken();
  const [progress, setProgress] = useState<{ step: Step; done: number | null } | null>(null);
  const [fault, setFault] = useState<string | null>(null); // of the content
  const [restrictionFault, setRestrictionFault] = useState<RestrictionError | null>(null);
  const [tokenFault, setTokenFault] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const abort = useRef(new AbortController());
  const busy = progress !== null;
  useLeaveWarning(busy);

  const asksToken = config?.showTokenInput ?? false;
  const given = asksToken ? token.token : "";
  const limit = config === null ? 0 : limitOf(config, { ...token, token: given });
  const choices = lifetimes(config?.maxTTL ?? usualLongest);
  const chosen = choices.includes(ttl) ? ttl : choices[choices.length - 1]!;
  const needsToken = config?.limits.anonymous === null;

  /** What can be told before anything is packed, sealed or sent. */
  const contentFault = (): string | null => {
    if (kind === "text") {
      const size = new TextEncoder().encode(text).length;
      if (size === 0) {
        return t.textMissing;
      }
      return limit > 0 && size > limit ? t.tooLarge(formatSize(size, language), formatSize(limit, language)) : null;
    }
    if (files.length === 0) {
      return t.filesMissing;
    }
    const only = files.length === 1 ? files[0]! : null; // several may become smaller
    if (only !== null && only.size === 0) {
      return t.fileEmpty;
    }
    return only !== null && limit > 0 && only.size > limit
      ? t.tooLarge(formatSize(only.size, language), formatSize(limit, language))
      : null;
  };

  const submit = async (event: Event) => {
    event.preventDefault();
    setProblem(null);
    setTokenFault(null);
    setRestrictionFault(null);
    const wrong = contentFault();
    setFault(wrong);
    if (wrong !== null) {
      document.getElementById(kind === "text" ? "text" : "file-input")?.focus();
      return;
    }
    let restrictions: Restrictions;
    try {
      restrictions = await readRestrictions(typed);
    } catch (error) {
      setRestrictionFault(error as RestrictionError);
      setMore(true);
      setTimeout(() => document.getElementById((error as RestrictionError).kind)?.focus());
      return;
    }
    if (needsToken && given === "") {
      setTokenFault(t.tokenMissing);
      document.getElementById("token")?.focus();
      return;
    }
    abort.current = new AbortController();
    try {
      const content = kind === "text" ? text : files;
      const draft = { content, ttl: chosen, restrictions, token: given, limit };
      const sent = await send(draft, (step, done) => setProgress({ step, done }), abort.current.signal);
      if (asksToken) {
        settleToken(token);
      }
      onSent(sent, separateKey);
    } catch (error) {
      setProgress(null);
      if (isAbort(error)) {
        return;
      }
      if (asksToken && error instanceof AnswerError && error.status === 401) {
        setTokenFault(t.tokenRefused);
        setTimeout(() => document.getElementById("token")?.focus());
        return;
      }
      setProblem(sendingProblem(error, t, language));
    }
  };

  const steps: Record<Step, string> = { packing: t.packing, sealing: t.sealing, uploading: t.uploading };
  return (
    <form id="create-form" onSubmit={(event) => void submit(event)} noValidate>
      <Compose
        kind={kind}
        text={text}
        files={files}
        limit={limit}
        fault={fault}
        disabled={busy}
        onKind={(kind) => {
          setKind(kind);
          setFault(null);
        }}
        onText={(text) => {
          setText(text);
          setFault(null);
        }}
        onFiles={(files) => {
          setFiles(files);
          setFault(null);
        }}
      />
      <div class="field inline">
        <label for="ttl">{t.ttlLabel}</label>
        <select
          id="ttl"
          value={String(chosen)}
          disabled={busy}
          onChange={(event) => setTTL(Number(event.currentTarget.value))}
        >
          {choices.map((seconds) => (
            <option key={seconds} value={String(seconds)}>
              {formatDuration(seconds, language)}
            </option>
          ))}
        </select>
      </div>
      {asksToken && (
        <TokenField
          state={token}
          optional={!needsToken}
          refused={tokenFault}
          disabled={busy}
          onState={(state) => {
            setToken(state);
            setTokenFault(null);
          }}
        />
      )}
      <details id="more" open={more} onToggle={(event) => setMore(event.currentTarget.open)}>
        <summary>{t.moreTitle}</summary>
        <label class="check">
          <input
            id="separate-key"
            type="checkbox"
            checked={separateKey}
            disabled={busy}
            aria-describedby="separate-key-hint"
            onChange={(event) => setSeparateKey(event.currentTarget.checked)}
          />
          <span>{t.separateKey}</span>
        </label>
        <p id="separate-key-hint" class="hint under-check">
          {t.separateKeyHint}
        </p>
        <Restrict
          typed={typed}
          offered={config?.features.restrictions ?? { country: false, asn: false }}
          fault={restrictionFault}
          disabled={busy}
          onTyped={(typed) => {
            setTyped(typed);
            setRestrictionFault(null);
          }}
        />
      </details>
      {problem !== null && (
        <Notice id="problem" kind="error">
          {problem}
        </Notice>
      )}
      {progress === null ? (
        <p class="submit">
          <button id="create" type="submit" class="primary">
            {t.create}
          </button>
          <span class="hint">{t.createHint}</span>
        </p>
      ) : (
        <div class="submit">
          <Progress text={steps[progress.step]} done={progress.done} />
          <button id="cancel" type="button" onClick={() => abort.current.abort()}>
            {t.cancel}
          </button>
        </div>
      )}
    </form>
  );
}
