// Which page the address names. A fragment is read once: it leaves the address bar and the history at once, and is never
// kept but in the page's memory.

export type Place =
  | { page: "home" | "create" | "get" | "share" | "impressum" | "privacy" | "nowhere"; fragment: string }
  | { page: "reveal"; id: string; fragment: string };

const pages = ["create", "get", "share", "impressum", "privacy"] as const;

export function takePlace(): Place {
  const fragment = location.hash.slice(1);
  if (location.href.includes("#")) {
    history.replaceState(null, "", location.pathname + location.search);
  }
  return placeOf(location.pathname, fragment);
}

export function placeOf(path: string, fragment: string): Place {
  if (path === "/") {
    return { page: "home", fragment };
  }
  const [, first, second] = path.split("/");
  if (first === "s" && second !== undefined) {
    return { page: "reveal", id: second, fragment };
  }
  const page = pages.find((name) => path === `/${name}`);
  return { page: page ?? "nowhere", fragment };
}
