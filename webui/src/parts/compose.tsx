// Where a secret is typed, pasted, dropped or chosen.

import { useEffect, useRef, useState } from "preact/hooks";
import { formatSize } from "../sizes";
import { useLanguage, useText } from "../text";

export type Kind = "text" | "files";

interface Props {
  kind: Kind;
  text: string;
  files: File[];
  limit: number; // bytes, 0 for any
  fault: string | null;
  disabled: boolean;
  onKind: (kind: Kind) => void;
  onText: (text: string) => void;
  onFiles: (files: File[]) => void;
}

export function Compose(props: Props) {
  const { kind, text, files, limit, fault, disabled, onKind, onText, onFiles } = props;
  const t = useText();
  const language = useLanguage();
  const [dragging, setDragging] = useState(false);
  const input = useRef<HTMLInputElement>(null);

  const add = (more: FileList | undefined | null) => {
    if (!disabled && more && more.length > 0) {
      onFiles([...files, ...more]);
      onKind("files");
    }
  };
  // Files can be dropped and pasted anywhere on the page.
  useEffect(() => {
    const drag = (event: DragEvent) => {
      if (event.dataTransfer?.types.includes("Files")) {
        event.preventDefault();
        setDragging(event.type === "dragover" && !disabled);
        if (event.type === "drop") {
          add(event.dataTransfer.files);
        }
      }
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) {
        setDragging(false);
      }
    };
    const paste = (event: ClipboardEvent) => {
      if (event.clipboardData && event.clipboardData.files.length > 0) {
        event.preventDefault();
        add(event.clipboardData.files);
      }
    };
    document.addEventListener("dragover", drag);
    document.addEventListener("drop", drag);
    document.addEventListener("dragleave", leave);
    document.addEventListener("paste", paste);
    return () => {
      document.removeEventListener("dragover", drag);
      document.removeEventListener("drop", drag);
      document.removeEventListener("dragleave", leave);
      document.removeEventListener("paste", paste);
    };
  });

  const size = kind === "text" ? new TextEncoder().encode(text).length : files.reduce((sum, file) => sum + file.size, 0);
  const over = limit > 0 && size > limit;
  const option = (value: Kind, label: string) => (
    <label>
      <input
        id={`kind-${value}`}
        type="radio"
        name="kind"
        value={value}
        checked={kind === value}
        disabled={disabled}
        onChange={() => onKind(value)}
      />
      <span>{label}</span>
    </label>
  );
  return (
    <fieldset class={dragging ? "compose over" : "compose"}>
      <legend class="unseen">{t.kindLabel}</legend>
      <div class="kinds">
        {option("text", t.kindText)}
        {option("files", t.kindFiles)}
      </div>
      {kind === "text" ? (
        <>
          <label class="unseen" for="text">
            {t.textLabel}
          </label>
          <textarea
            id="text"
            rows={7}
            placeholder={t.textPlaceholder}
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            value={text}
            disabled={disabled}
            aria-invalid={fault !== null}
            aria-describedby={fault === null ? "size" : "size compose-fault"}
            onInput={(event) => onText(event.currentTarget.value)}
          />
        </>
      ) : (
        <div id="drop" class="drop">
          <input
            id="file-input"
            ref={input}
            class="unseen"
            type="file"
            multiple
            disabled={disabled}
            aria-label={t.chooseFiles}
            aria-describedby={fault === null ? "size" : "size compose-fault"}
            onChange={(event) => {
              add(event.currentTarget.files);
              event.currentTarget.value = "";
            }}
          />
          <label class="button" for="file-input" aria-hidden="true">
            {files.length === 0 ? t.chooseFiles : t.chooseMore}
          </label>
          <p class="hint">{t.dropHint}</p>
          {files.length > 0 && (
            <ul id="files" class="entries">
              {files.map((file, i) => (
                <li key={i}>
                  <span class="filename">
                    <bdi>{file.name}</bdi>
                    <span class="size">{formatSize(file.size, language)}</span>
                  </span>
                  <button
                    type="button"
                    class="remove"
                    disabled={disabled}
                    aria-label={`${t.removeFile}: ${file.name}`}
                    onClick={() => {
                      onFiles(files.filter((_, j) => j !== i));
                      input.current?.focus();
                    }}
                  >
                    {t.removeFile}
                  </button>
                </li>
              ))}
            </ul>
          )}
          {files.length > 1 && <p class="hint">{t.zipHint}</p>}
        </div>
      )}
      <p id="size" class={over ? "measure over" : "measure"}>
        {limit > 0 ? t.sizeOf(formatSize(size, language), formatSize(limit, language)) : formatSize(size, language)}
      </p>
      {fault !== null && (
        <p id="compose-fault" class="fault" role="alert">
          {fault}
        </p>
      )}
    </fieldset>
  );
}
