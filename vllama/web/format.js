// Numbers and times as people read them. Unknown values become "".

const known = (value) => typeof value === "number" && Number.isFinite(value);
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** `1.5 GiB` */
export function bytes(value) {
  if (!known(value)) return "";
  const step = Math.min(UNITS.length - 1, value < 1 ? 0 : Math.floor(Math.log2(value) / 10));
  return `${digits(value / 1024 ** step)} ${UNITS[step]}`;
}

/** Three digits that matter: `0.214`, `12.5`, `1,234` */
export function digits(value) {
  if (!known(value)) return "";
  const places = Math.abs(value) >= 100 || value === 0 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3;
  return value.toLocaleString("en", { maximumFractionDigits: places });
}

/** `1,500,000` */
export const count = (value) => (known(value) ? Math.round(value).toLocaleString("en") : "");

/** `71 %`, of a share from 0 to 1 */
export const percent = (share, places = 0) => (known(share) ? `${(100 * share).toFixed(places)} %` : "");

/** How long: `214 ms`, `3.3 s`, `4 min 50 s`, `1 d 1 h` */
export function seconds(value) {
  if (!known(value)) return "";
  if (value < 0) return `-${seconds(-value)}`;
  if (value < 0.9995) return `${digits(1000 * value)} ms`;
  if (value < 59.95) return `${value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 })} s`;
  const whole = Math.round(value);
  const steps = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = steps.findIndex(([, size]) => whole >= size);
  const parts = steps.slice(first, first + 2);
  return parts
    .map(([unit, size], at) => [Math.floor((at ? whole % parts[0][1] : whole) / size), unit])
    .filter(([amount]) => amount)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(" ");
}

/** The time of day, with the date when that is not today. `at`: Unix seconds. */
export function moment(at) {
  if (!known(at)) return "";
  const when = new Date(1000 * at);
  const time = when.toLocaleTimeString("en-GB");
  return when.toDateString() === new Date().toDateString() ? time : `${day(when)} ${time}`;
}

/** `2026-11-30`, by the reader's clock */
export function day(when) {
  const two = (number) => String(number).padStart(2, "0");
  return `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
}
