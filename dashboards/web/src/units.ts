// Numbers as people read them. Every figure has its unit; what is not known is a dash, never a zero.
import type { Gap, Num } from "./contract.ts";

const nb = "\u00a0"; // keeps the unit on its number's line
export const none = "–";

/** fixed rounds to as many digits as a glance can use: 0.42, 7.4, 42, 1240. */
function fixed(v: number): string {
  const a = Math.abs(v);
  return v.toFixed(a >= 99.95 ? 0 : a >= 9.995 ? 1 : 2);
}

function scaled(v: number, base: number, units: string[]): [string, string] {
  let i = 0;
  let x = v;
  while (Math.abs(x) >= base * 0.9995 && i < units.length - 1) {
    x /= base;
    i++;
  }
  if (i === 0) return [x.toFixed(0), units[0]!];
  const a = Math.abs(x);
  return [x.toFixed(a >= 99.95 ? 0 : 1), units[i]!];
}

const binary = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const decimal = ["B", "kB", "MB", "GB", "TB", "PB"];

/** memoryParts splits memory into a figure and a unit, in powers of 1024. */
export const memoryParts = (v: Num): [string, string] => (v === null ? [none, ""] : scaled(v, 1024, binary));
/** rateParts splits bytes a second into a figure and a unit, in powers of 1000. */
export const rateParts = (v: Num): [string, string] => {
  if (v === null) return [none, ""];
  const [n, u] = scaled(v, 1000, decimal);
  return [n, u + "/s"];
};

const bare = ([n, u]: [string, string]): [string, string] => [n.replace(/\.0$/, ""), u];
const joined = ([n, u]: [string, string]) => (u ? n + nb + u : n);

export const memory = (v: Num) => joined(memoryParts(v));
export const rate = (v: Num) => joined(rateParts(v));
/** size is memory for what does not move: a limit, a mark on the scale. */
export const size = (v: Num) => joined(bare(memoryParts(v)));
/** disk gives a size on disk, in powers of 1000, as disks are sold. */
export const disk = (v: Num) => (v === null ? none : joined(bare(scaled(v, 1000, decimal))));

/** ratesIn gives two rates in the unit of their sum: ["0.4", "3.9"] of "4.3 MB/s". */
export function ratesIn(a: Num, b: Num): [string, string] {
  const i = decimal.indexOf(scaled((a ?? 0) + (b ?? 0), 1000, decimal)[1]);
  const text = (v: Num) => (v === null ? none : (v / 1000 ** i).toFixed(i && v / 1000 ** i < 99.95 ? 1 : 0));
  return [text(a), text(b)];
}

/** memoryOf says a part and its whole in the whole's unit: "58 of 64 MiB"; a part that would read as nothing has its own: "29.0 MiB of 1 GiB". */
export function memoryOf(part: Num, whole: Num): [string, string] {
  if (whole === null || part === null) return memoryParts(part);
  const [w, u] = scaled(whole, 1024, binary);
  const p = part / 1024 ** binary.indexOf(u);
  const figure = part > 0 && p < 0.05 ? memory(part) : p >= 99.95 || (p >= 9.95 && whole / 1024 ** binary.indexOf(u) >= 99.95) ? p.toFixed(0) : p.toFixed(1);
  return [figure, `of ${w.replace(/\.0$/, "")}${nb}${u}`];
}

/** cores gives CPU without its unit: "0.94", "12.5"; what is more than nothing never reads as nothing. */
export function cores(v: Num): string {
  if (v === null) return none;
  if (v > 0 && v < 0.005) return "<0.01";
  return v >= 9.995 ? fixed(v) : v.toFixed(2);
}

/** whole gives a count of cores as it was sold: "2", "0.5". */
export const whole = (v: Num) => (v === null ? none : String(Math.round(v * 100) / 100));

/** many writes a count with its noun: "1 core", "0.5 cores", "3 containers". */
export const many = (n: string | number, noun: string, nouns = noun + "s") => `${n}${nb}${String(n) === "1" ? noun : nouns}`;
/** sold gives a count of cores with the word: "1 core", "2 cores". */
export const sold = (v: Num) => (v === null ? none : many(whole(v), "core"));

/** share gives a ratio as a percentage: "31 %", "7.4 %", "0 %". */
export function share(v: Num): string {
  if (v === null) return none;
  const p = v * 100;
  if (p > 0 && p < 0.05) return "<0.1" + nb + "%";
  const r = Math.abs(p) >= 9.95 ? p.toFixed(0) : p.toFixed(1);
  return (r.endsWith(".0") ? r.slice(0, -2) : r) + nb + "%";
}

export const count = (v: Num) => (v === null ? none : String(Math.round(v)));

/** span says a length of time, given in seconds, in its two largest units. */
export function span(s: number): string {
  s = Math.max(0, Math.round(s));
  if (s < 120) return s + nb + "s";
  const m = Math.floor(s / 60);
  if (m < 60) return m + nb + "min";
  const h = Math.floor(m / 60);
  if (h < 48) return h + nb + "h" + (h < 10 && m % 60 ? " " + (m % 60) + nb + "min" : "");
  if (h >= 2 * 8766) return Math.floor(h / 8766) + nb + "years";
  return Math.floor(h / 24) + nb + "d" + (h < 240 && h % 24 ? " " + (h % 24) + nb + "h" : "");
}

/** ago says how long before now a moment was, both in Unix seconds. */
export function ago(t: number, now: number): string {
  return now - t < 1.5 ? "now" : span(now - t) + " ago";
}

const two = (n: number) => String(n).padStart(2, "0");

/** clock gives the local time of day of Unix seconds: "14:02:04". */
export function clock(t: number): string {
  const d = new Date(t * 1000);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** moment is clock with the date before it unless it is today's, and the year unless it is this one's. */
export function moment(t: number, now: number): string {
  const [d, n] = [new Date(t * 1000), new Date(now * 1000)];
  if (n.toDateString() === d.toDateString()) return clock(t);
  return `${day(t)}${n.getFullYear() === d.getFullYear() ? "" : " " + d.getFullYear()} ${clock(t)}`;
}

const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
/** day gives the local date of Unix seconds: "24 Nov". */
export const day = (t: number) => `${new Date(t * 1000).getDate()} ${months[new Date(t * 1000).getMonth()]}`;
/** month gives the month of Unix seconds: "Nov 2026". */
export const month = (t: number) => `${months[new Date(t * 1000).getMonth()]} ${new Date(t * 1000).getFullYear()}`;

/** seconds reads RFC 3339 into Unix seconds; null and zero times are null. */
export function seconds(s: string | null | undefined): Num {
  if (!s || s.startsWith("0001-")) return null;
  const t = Date.parse(s) / 1000;
  return Number.isFinite(t) ? t : null;
}

/** tight keeps the units in a sentence of the server's on the lines of their numbers. */
export const tight = (s: string) => s.replace(/(\d) (?=(%|s|min|h|d|[kMGT]i?B|cores?)(?![\w]))/g, "$1" + nb);

/** silent says whether a gap is that of a whole machine. */
export const silent = (g: Gap | null) => g?.reason === "silent";

/** hidden says whether a gap is there because whoever looks has not the right to see more. */
export const hidden = (g: Gap | null) => g?.reason === "hidden";

/** absent says that something is not there, of which nobody who may not see all is told whether it is. */
export const absent = (said: string, { limited }: { limited?: boolean }) => said + (limited ? ", or it is one that you may not see." : ".");

/** gapSays tells since when there is no sample, or what else is wrong, and why, once; without a full stop. */
export function gapSays(g: Gap, now: number): string {
  const why = (g.detail || g.reason).replace(/\.$/, "");
  const since = seconds(g.since);
  if (hidden(g)) return `Not shown to you: ${why}`;
  if (since !== null && ["scale", "target", "policy"].includes(g.reason)) return `For ${span(now - since)}: ${why}`;
  if (/: no sample/i.test(why)) return why; // a name, and its reason
  if (/^(no|one) sample/i.test(why) || since === null) return why[0]!.toUpperCase() + why.slice(1);
  return `No sample for ${span(now - since)}: ${why}`;
}
