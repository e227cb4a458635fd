/** A language as it is written where the person is, if the browser says: a British date is not an American one. */
function locale(language: string): string {
  return navigator.languages.find((tag) => tag.toLowerCase().startsWith(`${language}-`)) ?? language;
}

/** A number of bytes as people read it. */
export function formatSize(bytes: number, language: string): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    unit++;
  }
  const digits = unit > 0 && bytes < 10 ? 1 : 0;
  // Rounded down: what is said never seems to fit where it does not.
  const rounded = Math.floor(bytes * 10 ** digits) / 10 ** digits;
  return `${rounded.toLocaleString(locale(language))}\u00a0${units[unit]}`;
}

/** A length of time in its largest whole unit: "3 days", "90 minutes". */
export function formatDuration(seconds: number, language: string): string {
  const units: [string, number][] = [
    ["day", 86400],
    ["hour", 3600],
    ["minute", 60],
    ["second", 1],
  ];
  const [unit, length] = units.find(([, length]) => seconds % length === 0)!;
  return new Intl.NumberFormat(locale(language), { style: "unit", unit, unitDisplay: "long" }).format(seconds / length);
}

/** A moment, with the day of the week. */
export function formatMoment(moment: Date, language: string): string {
  return new Intl.DateTimeFormat(locale(language), { dateStyle: "full", timeStyle: "short" }).format(moment);
}
