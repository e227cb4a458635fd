import type { Fragment } from "../crypto/link";
import { Name } from "../parts/glyphs";
import { useTitle } from "../parts/hooks";
import { LinkForm } from "../parts/linkform";
import { useText } from "../text";

export function Home({ onOpen }: { onOpen: (id: string, fragment: Fragment | null) => void }) {
  const t = useText();
  useTitle(t.homeTitle);
  return (
    <div class="home">
      <Name class="name" />
      <section class="lead">
        <h1>{t.homeTitle}</h1>
        <ol class="verse">
          <li>{t.homeLine1}</li>
          <li>{t.homeLine2}</li>
          <li>{t.homeLine3}</li>
        </ol>
        <p>
          <a id="go-create" class="button primary" href="/create">
            {t.homeCreate}
          </a>
        </p>
      </section>
      <section class="received" aria-labelledby="received">
        <h2 id="received">{t.homeReceived}</h2>
        <LinkForm onOpen={onOpen} />
      </section>
    </div>
  );
}
