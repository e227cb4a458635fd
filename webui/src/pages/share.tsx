import { useEffect, useState } from "preact/hooks";
import { AnswerError, type Config } from "../api";
import { safeName } from "../names";
import { copyText } from "../parts/copy";
import { useTitle } from "../parts/hooks";
import { Notice } from "../parts/notice";
import { Progress } from "../parts/progress";
import { limitOf } from "../parts/token";
import { sendingProblem } from "../problems";
import { send, linkTo, type Sent, type Step } from "../sending";
import { readToken } from "../settings";
import { HandedError, readClipboard, readFragment, type Handed } from "../share";
import { formatDuration, formatSize } from "../sizes";
import { useLanguage, useText } from "../text";
import { facts, Result } from "./result";

interface Props {
  config: Config | null;
  away: boolean;
  onAgain: () => void;
  fragment: string;
}

type Phase =
  | { name: "empty" }
  | { name: "preview"; handed: Handed }
  | { name: "busy"; step: Step; done: number | null }
  | { name: "done"; sent: Sent; copied: boolean };

const usualTTL = 86400;

/** Takes a secret from another program: at once from the address, or from the clipboard after a look at it. */
export function Share({ config, away, onAgain, fragment }: Props) {
  const t = useText();
  const language = useLanguage();
  const [phase, setPhase] = useState<Phase>({ name: "empty" });
  const [problem, setProblem] = useState<string | null>(null);
  useTitle(t.shareTitle);

  const create = async (handed: Handed) => {
    setProblem(null);
    try {
      const token = handed.token === "" ? readToken() : handed.token;
      const sent = await send(
        {
          content: handed.content,
          ttl: lifetime(handed, config),
          restrictions: handed.restrictions,
          token,
          limit: token === "" ? limitOf(config!, { token, remember: false, known: null }) : 0, // a token's own only the server knows
        },
        (step, done) => setPhase({ name: "busy", step, done }),
        new AbortController().signal,
      );
      const copied = await copyText(linkTo(sent, false)).then(
        () => true,
        () => false, // browsers want a press of a button first
      );
      setPhase({ name: "done", sent, copied });
    } catch (error) {
      setPhase({ name: "preview", handed });
      setProblem(error instanceof AnswerError && error.status === 401 ? t.shareToken : sendingProblem(error, t, language));
    }
  };

  // What comes in the address is created at once, as soon as it is known what the server takes.
  const ready = config !== null;
  useEffect(() => {
    if (ready && fragment !== "") {
      readFragment(fragment).then(create, (error: unknown) => setProblem(handedProblem(error)));
    }
  }, [ready, fragment]);

  const handedProblem = (error: unknown) => {
    const field = error instanceof HandedError ? error.field : "?";
    return field === "JSON" ? t.shareNone : t.shareBad(field);
  };

  const paste = async () => {
    setProblem(null);
    let json: string;
    try {
      json = await navigator.clipboard.readText();
    } catch {
      setProblem(t.shareNoClipboard);
      return;
    }
    try {
      setPhase({ name: "preview", handed: await readClipboard(json) });
    } catch (error) {
      setProblem(handedProblem(error));
    }
  };

  if (phase.name === "done") {
    return <Result sent={phase.sent} separateKey={false} copied={phase.copied} onAnother={() => location.assign("/create")} />;
  }
  const steps: Record<Step, string> = { packing: t.packing, sealing: t.sealing, uploading: t.uploading };
  return (
    <section class="sheet share">
      <h1>{t.shareTitle}</h1>
      {phase.name === "empty" && fragment === "" && <p class="lede">{t.shareLede}</p>}
      {phase.name === "busy" && <Progress text={steps[phase.step]} done={phase.done} />}
      {phase.name === "preview" && <Preview handed={phase.handed} ttl={lifetime(phase.handed, config)} />}
      {problem !== null && (
        <Notice id="problem" kind="error">
          {problem}
        </Notice>
      )}
      {away && (
        <Notice id="away" kind="error">
          <p>{t.serverAway}</p>
          <button id="again" type="button" onClick={onAgain}>
            {t.again}
          </button>
        </Notice>
      )}
      <p class="actions">
        {phase.name === "empty" && (fragment === "" || problem !== null) && (
          <button id="paste" type="button" class="primary" onClick={() => void paste()}>
            {t.sharePaste}
          </button>
        )}
        {phase.name === "preview" && (
          <button id="confirm" type="button" class="primary" disabled={!ready} onClick={() => void create(phase.handed)}>
            {t.create}
          </button>
        )}
      </p>
    </section>
  );
}

/** How long it waits: as long as was handed over, else a day where the server takes that. */
function lifetime(handed: Handed, config: Config | null): number {
  return handed.ttl ?? Math.min(usualTTL, config?.maxTTL ?? usualTTL);
}

function Preview({ handed, ttl }: { handed: Handed; ttl: number }) {
  const t = useText();
  const language = useLanguage();
  const { content, restrictions } = handed;
  const size = formatSize(content.data.length, language);
  return (
    <div id="preview">
      {content.filename === "" ? (
        <pre class="ink" tabIndex={0} dir="auto" aria-label={t.secretLabel}>
          {excerpt(content.data)}
        </pre>
      ) : (
        <p class="file filename">
          <bdi>{safeName(content.filename)}</bdi>
        </p>
      )}
      <ul class="facts">
        <li>{t.shareSize(size)}</li>
        <li>{t.shareTTL(formatDuration(ttl, language))}</li>
        {facts(restrictions, t, language).map((fact) => (
          <li key={fact}>{fact}</li>
        ))}
      </ul>
    </div>
  );
}

/** The beginning of a text. */
function excerpt(data: Uint8Array): string {
  const most = 2000;
  const text = new TextDecoder().decode(data.subarray(0, most));
  return data.length > most ? `${text}…` : text;
}
