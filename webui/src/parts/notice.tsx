import type { ComponentChildren } from "preact";

/** Says what happened, to the eye and to a screen reader. Errors interrupt, the rest waits for its turn. */
export function Notice({ id, kind, children }: { id?: string; kind: "error" | "hint"; children: ComponentChildren }) {
  return (
    <div id={id} class={`notice ${kind}`} role={kind === "error" ? "alert" : "status"}>
      {children}
    </div>
  );
}
