import { useState } from "preact/hooks";
import { useText } from "../text";

interface Props {
  id: string;
  label: string;
  hint?: string | undefined;
  fault: string | null;
  value: string;
  disabled?: boolean;
  onInput: (value: string) => void;
}

/** A field for what nobody should read over a shoulder: hidden unless its button is pressed. */
export function SecretField({ id, label, hint, fault, value, disabled, onInput }: Props) {
  const t = useText();
  const [seen, setSeen] = useState(false);
  const described = [hint !== undefined && `${id}-hint`, fault !== null && `${id}-fault`].filter(Boolean).join(" ");
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="joined">
        <input
          id={id}
          type={(seen ? "text" : "password") as "password"} // both are typed alike, which the types do not know
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          value={value}
          disabled={disabled}
          aria-invalid={fault !== null}
          aria-describedby={described === "" ? undefined : described}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
        <button id={`${id}-show`} type="button" aria-pressed={seen} aria-label={`${t.show}: ${label}`} onClick={() => setSeen(!seen)}>
          {seen ? t.hide : t.show}
        </button>
      </div>
      {hint !== undefined && (
        <p id={`${id}-hint`} class="hint">
          {hint}
        </p>
      )}
      {fault !== null && (
        <p id={`${id}-fault`} class="fault" role="alert">
          {fault}
        </p>
      )}
    </div>
  );
}
