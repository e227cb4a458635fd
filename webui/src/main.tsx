// Starts the page. Its address is read first, so that a key is out of sight before anything is shown.

import { render } from "preact";
import { App } from "./app";
import { takePlace } from "./place";
import { readTheme } from "./settings";
import "./style.css";

const theme = readTheme();
if (theme !== "system") {
  document.documentElement.dataset["theme"] = theme; // before the first paint
}

let place = takePlace();

function start(): void {
  const root = document.getElementById("app")!;
  root.replaceChildren();
  render(<App place={place} />, root);
  // A link to another secret of the same path, or another key, changes only the fragment.
  window.addEventListener("hashchange", () => {
    if (location.hash !== "") {
      place = takePlace();
      render(null, root);
      render(<App place={place} />, root);
    }
  });
  // Whoever leaves the page leaves nothing in it, also not for the back button.
  window.addEventListener("pagehide", () => {
    place = { ...place, fragment: "" };
    render(null, root);
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) {
      location.reload();
    }
  });
}

if (document.readyState === "loading") {
  document.addEventListener("DOMContentLoaded", start);
} else {
  start();
}
