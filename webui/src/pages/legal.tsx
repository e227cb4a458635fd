import { useEffect, useState } from "preact/hooks";
import { AnswerError, getText } from "../api";
import { useTitle } from "../parts/hooks";
import { Notice } from "../parts/notice";
import { paragraphs } from "../prose";
import { useText } from "../text";

/** The operator's impressum or privacy policy: plain text, whose paragraphs and web addresses alone are kept. */
export function Legal({ page }: { page: "impressum" | "privacy" }) {
  const t = useText();
  const title = page === "impressum" ? t.impressumTitle : t.privacyTitle;
  const [text, setText] = useState<string | null>(null);
  const [status, setStatus] = useState<number | null>(null);
  useTitle(title);
  useEffect(() => {
    getText(`/${page}.txt`).then(setText, (error: unknown) => setStatus(error instanceof AnswerError ? error.status : 0));
  }, [page]);
  return (
    <article class="sheet prose">
      <h1>{title}</h1>
      {status !== null && (
        <Notice id="problem" kind="error">
          {status === 404 ? t.legalNone : t.serverAway}
        </Notice>
      )}
      {text !== null && (
        <div id="legal-text">
          {paragraphs(text).map((paragraph, i) => (
            <p key={i}>
              {paragraph.map((part, j) =>
                part.link ? (
                  <a key={j} href={part.text} rel="noopener noreferrer">
                    {part.text}
                  </a>
                ) : (
                  part.text
                ),
              )}
            </p>
          ))}
        </div>
      )}
    </article>
  );
}
