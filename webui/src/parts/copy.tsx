import { useEffect, useState } from "preact/hooks";
import { useText } from "../text";

interface Props {
  id: string;
  text: string;
  label: string;
  primary?: boolean;
  onCopied?: () => void;
}

/** Copies a text at one press, and says whether it did. */
export function CopyButton({ id, text, label, primary, onCopied }: Props) {
  const t = useText();
  const [state, setState] = useState<"idle" | "done" | "failed">("idle");
  useEffect(() => {
    if (state === "done") {
      const timer = setTimeout(() => setState("idle"), 2500);
      return () => clearTimeout(timer);
    }
    return undefined;
  }, [state]);
  const copy = () => {
    copyText(text).then(
      () => {
        setState("done");
        onCopied?.();
      },
      () => setState("failed"),
    );
  };
  return (
    <>
      <button id={id} type="button" class={primary ? "primary" : ""} onClick={copy}>
        {state === "done" ? t.copied : label}
      </button>
      <span class="unseen" role="status">
        {state === "done" ? t.copied : ""}
      </span>
      {state === "failed" && (
        <span class="note" role="alert">
          {t.copyFailed}
        </span>
      )}
    </>
  );
}

export async function copyText(text: string): Promise<void> {
  await navigator.clipboard.writeText(text);
}
