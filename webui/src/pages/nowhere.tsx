import { useTitle } from "../parts/hooks";
import { useText } from "../text";

export function Nowhere() {
  const t = useText();
  useTitle(t.nowhereTitle);
  return (
    <section class="sheet">
      <h1>{t.nowhereTitle}</h1>
      <p class="lede">{t.nowhere}</p>
      <p>
        <a href="/">{t.toStart}</a>
      </p>
    </section>
  );
}
