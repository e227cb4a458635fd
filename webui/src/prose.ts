/** A piece of a paragraph: text, or a web address to be linked. */
export interface Part {
  text: string;
  link: boolean;
}

/** Splits plain text at empty lines, and finds http and https addresses in it. No other scheme is ever a link. */
export function paragraphs(text: string): Part[][] {
  return text
    .replace(/\r\n?/g, "\n")
    .split(/\n[ \t]*\n+/)
    .filter((paragraph) => paragraph.trim() !== "")
    .map((paragraph) => parts(paragraph.trim()));
}

function parts(paragraph: string): Part[] {
  return paragraph
    .split(/(\bhttps?:\/\/[^\s<>"'`{}|\\^]*[^\s<>"'`{}|\\^.,;:!?()[\]])/i)
    .map((text, i) => ({ text, link: i % 2 === 1 && isWebAddress(text) }))
    .filter((part) => part.text !== "");
}

function isWebAddress(text: string): boolean {
  try {
    const url = new URL(text);
    return (url.protocol === "https:" || url.protocol === "http:") && url.username === "";
  } catch {
    return false;
  }
}
