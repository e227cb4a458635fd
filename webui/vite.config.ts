import { createHash } from "node:crypto";
import { defineConfig, type Plugin } from "vite";

export default defineConfig({
  base: "/",
  build: {
    target: "es2022",
    assetsDir: "assets",
    assetsInlineLimit: 0, // the page's policy knows no data: addresses
    modulePreload: false, // there is one script
    reportCompressedSize: false,
  },
  plugins: [integrity()],
  test: { environment: "happy-dom", include: ["src/**/*.test.{ts,tsx}"], testTimeout: 60_000 },
});

/** Has the browser check script and style against hashes that stand in the page. */
function integrity(): Plugin {
  return {
    name: "integrity",
    enforce: "post",
    generateBundle(_, bundle) {
      const page = bundle["index.html"];
      if (page?.type !== "asset") {
        throw new Error("there is no page");
      }
      page.source = String(page.source).replace(/<(?:script|link rel="stylesheet")[^>]* (?:src|href)="\/([^"]+)"/g, (tag, name: string) => {
        const file = bundle[name];
        if (file === undefined) {
          throw new Error(`${name} is not in the bundle`);
        }
        const content = file.type === "chunk" ? file.code : file.source;
        const hash = createHash("sha384").update(content).digest("base64");
        // The script sets the theme before the first paint.
        const blocking = tag.startsWith("<script") ? ' blocking="render"' : "";
        return `${tag} integrity="sha384-${hash}"${blocking}`;
      });
    },
  };
}
