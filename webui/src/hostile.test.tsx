// What senders and operators write is shown as text, whatever it is.

import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import hostile from "../testdata/hostile.json";
import { distinct, safeName } from "./names";
import { Compose } from "./parts/compose";
import { Revealed } from "./pages/revealed";
import { paragraphs } from "./prose";
import { placeOf } from "./place";
import { saveFile } from "./save";

const elements = new Set(["A", "BDI", "BUTTON", "DIV", "FIELDSET", "H1", "INPUT", "LABEL", "LEGEND", "LI", "P", "PRE", "SECTION", "SPAN", "UL"]);

let root: HTMLElement;
beforeEach(() => {
  root = document.createElement("div");
  document.body.append(root);
});
afterEach(() => {
  render(null, root);
  root.remove();
});

/** Draws something, and checks that nothing became an element or a handler that the pages do not have. */
function draw(node: Parameters<typeof render>[0]): void {
  void act(() => render(node, root));
  for (const element of root.querySelectorAll("*")) {
    expect(elements.has(element.tagName), element.tagName).toBe(true);
    for (const { name, value } of element.attributes) {
      expect(name.startsWith("on"), name).toBe(false);
      if (name === "href" || name === "src") {
        expect(value).toMatch(/^(?:https?:\/\/|\/[a-z]*$)/);
      }
    }
  }
}

it("is three hundred at least", () => expect(new Set(hostile).size).toBeGreaterThanOrEqual(300));

describe("a hostile text", () => {
  it("is shown as it is", () => {
    for (const text of hostile) {
      if (text.includes("\0")) {
        continue; // not a text: offered as a file
      }
      draw(<Revealed key={text} content={{ data: new TextEncoder().encode(text), filename: "" }} />);
      expect(root.querySelector("#secret")!.textContent).toBe(new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text)));
      expect(root.querySelector("#secret")!.children.length).toBe(0);
    }
  });
  it("of an operator has no links but to web pages", () => {
    for (const text of hostile) {
      for (const part of paragraphs(text).flat()) {
        if (part.link) {
          expect(new URL(part.text).protocol).toMatch(/^https?:$/);
          expect(part.text).not.toMatch(/[\s<>"'`]/);
        }
      }
      expect(paragraphs(text).flat().map((part) => part.text).join("").replace(/\s/g, "")).toBe(text.replace(/\s/g, ""));
    }
  });
  it("as an address is a page of this server or none", () => {
    for (const text of hostile) {
      const { page } = placeOf(`/${text}`, text);
      expect(["home", "nowhere", "reveal"]).toContain(page);
    }
  });
});

describe("a hostile file name", () => {
  it("is shown made safe", () => {
    for (const name of hostile) {
      if (name === "") {
        continue;
      }
      draw(<Revealed key={name} content={{ data: new Uint8Array([1]), filename: name }} />);
      expect(root.querySelector("#file-name")!.textContent).toBe(safeName(name));
    }
  });
  it("among those chosen is shown as text", () => {
    const files = hostile.map((name) => new File(["x"], name));
    const none = () => undefined;
    draw(<Compose kind="files" text="" files={files} limit={0} fault={null} disabled={false} onKind={none} onText={none} onFiles={none} />);
    expect(root.querySelectorAll("#files li").length).toBe(files.length);
  });
  it("becomes one that can be saved anywhere", () => {
    for (const name of hostile) {
      const safe = safeName(name);
      expect(safe).not.toBe("");
      expect(new TextEncoder().encode(safe).length).toBeLessThanOrEqual(201);
      expect(safe).not.toMatch(/[/\\:<>"|?*]|^[.\- ]|[. ]$/);
      expect(safe).not.toMatch(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u);
      expect(safe).not.toMatch(/^(?:con|prn|aux|nul|com[0-9]|lpt[0-9]) *(?:\.|$)/i);
      expect(safeName(safe)).toBe(safe);
    }
  });
  it("becomes what the command line makes of it", () => {
    const pairs: Record<string, string> = {
      "": "secret", ".": "secret", "..": "secret", "/": "secret", "\\": "secret", "...": "secret", " ": "secret", "\0": "secret",
      "../../etc/passwd": "passwd", "/etc/passwd": "passwd", "..\\..\\boot.ini": "boot.ini", "C:\\Windows\\win.ini": "win.ini", "C:evil": "C_evil",
      "\\\\server\\share\\x": "x", "a/": "secret", "x/..": "secret", ".bashrc": "_bashrc", ".ssh/authorized_keys": "authorized_keys",
      "-rf": "_rf", "--help": "_-help", "a\x1b[2Jb": "a_[2Jb", "a\nb": "a_b", "a\u202egnp.exe": "a_gnp.exe", "a\u200bb": "a_b", "a\u0085b": "a_b",
      "file.txt:stream": "file.txt_stream", "a.txt.": "a.txt", "a.txt ": "a.txt", "a. . .": "a", " a": "a", CON: "_CON", "con.txt": "_con.txt",
      Nul: "_Nul", "aux.tar.gz": "_aux.tar.gz", COM1: "_COM1", "lpt9.x": "_lpt9.x", "COM¹": "_COM¹", CONIN$: "_CONIN$", "con .txt": "_con .txt",
      '<>:"|?*': "secret", "a*b?": "a_b_", "\ufeffa": "_a", "Prüfbericht 2025 – 最終.pdf": "Prüfbericht 2025 – 最終.pdf",
    };
    for (const [name, safe] of Object.entries(pairs)) {
      expect(safeName(name), JSON.stringify(name)).toBe(safe);
    }
    for (const stem of ["n", "界", "é", "𝒳"]) {
      const long = safeName(`${stem.repeat(10_000)}.pdf`);
      expect(long).toMatch(/\.pdf$/);
      expect(long.isWellFormed()).toBe(true);
    }
  });
  it("stays apart from its like", () => {
    expect(distinct(["a.txt", "A.TXT", "a.txt", "b", "b", "a (2).txt"])).toEqual(["a.txt", "A (2).TXT", "a (3).txt", "b", "b (2)", "a (2) (2).txt"]);
  });
});

it("saves bytes as nothing but bytes, under a safe name", () => {
  const made: Blob[] = [];
  const clicked: HTMLAnchorElement[] = [];
  vi.spyOn(URL, "createObjectURL").mockImplementation((blob) => `blob:${made.push(blob as Blob)}`);
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
    clicked.push(this);
  });
  for (const name of hostile) {
    saveFile(new TextEncoder().encode("<script>alert(1)</script>"), name);
  }
  vi.restoreAllMocks();
  expect(new Set(made.map((blob) => blob.type))).toEqual(new Set(["application/octet-stream"]));
  clicked.forEach((link, i) => expect(link.download).toBe(safeName(hostile[i]!)));
});
