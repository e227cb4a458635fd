import { useState } from "preact/hooks";
import { LinkError, parseKey, parseLink, type Fault, type Fragment } from "../crypto/link";
import { useText, type Text } from "../text";

/** What is wrong with a link or key, in words. */
export function faultText(fault: Fault, t: Text): string {
  return { link: t.faultLink, id: t.faultID, key: t.faultKey, hash: t.faultHash }[fault];
}

/** Takes a link that somebody has received. Nothing is fetched yet. */
export function LinkForm({ onOpen }: { onOpen: (id: string, fragment: Fragment | null) => void }) {
  const t = useText();
  const [link, setLink] = useState("");
  const [fault, setFault] = useState<Fault | "server" | null>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    try {
      const parsed = parseLink(link);
      if (parsed.server !== location.origin) {
        setFault("server");
        return;
      }
      onOpen(parsed.id, parsed.fragment);
    } catch (error) {
      setFault(error instanceof LinkError ? error.fault : "link");
    }
  };
  return (
    <form id="link-form" onSubmit={submit} noValidate>
      <label for="link-input">{t.linkLabel}</label>
      <div class="joined">
        <input
          id="link-input"
          type="text"
          inputMode="url"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          placeholder={`${location.origin}/s/…`}
          value={link}
          aria-invalid={fault !== null}
          aria-describedby={fault === null ? undefined : "link-fault"}
          onInput={(event) => {
            setLink(event.currentTarget.value);
            setFault(null);
          }}
        />
        <button id="link-open" type="submit">
          {t.linkOpen}
        </button>
      </div>
      {fault !== null && (
        <p id="link-fault" class="fault" role="alert">
          {fault === "server" ? t.faultServer : faultText(fault, t)}
        </p>
      )}
    </form>
  );
}

/** A key that was typed, or what is wrong with it. */
export function readKey(text: string): Fragment | Fault {
  try {
    return parseKey(text);
  } catch (error) {
    return error instanceof LinkError ? error.fault : "key";
  }
}
