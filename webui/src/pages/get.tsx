import type { Fragment } from "../crypto/link";
import { useTitle } from "../parts/hooks";
import { LinkForm } from "../parts/linkform";
import { useText } from "../text";

export function Get({ onOpen }: { onOpen: (id: string, fragment: Fragment | null) => void }) {
  const t = useText();
  useTitle(t.getTitle);
  return (
    <section class="sheet">
      <h1>{t.getTitle}</h1>
      <p class="lede">{t.getLede}</p>
      <LinkForm onOpen={onOpen} />
    </section>
  );
}
