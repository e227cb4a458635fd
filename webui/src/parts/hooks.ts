import { useEffect, useRef } from "preact/hooks";

/** Names the browser's window after the page. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} – Hakanai`;
  }, [title]);
}

/** Moves the focus to a heading when it comes to replace another part of the page, so that it is read out. */
export function useArrival<T extends HTMLElement>() {
  const heading = useRef<T>(null);
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, []);
  return heading;
}

/** Has the browser ask before the page is left, while something on it would be lost for good. */
export function useLeaveWarning(active: boolean): void {
  useEffect(() => {
    if (!active) {
      return undefined;
    }
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", warn);
    return () => window.removeEventListener("beforeunload", warn);
  }, [active]);
}
