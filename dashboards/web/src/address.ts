// The address holds what is looked at: the view, the range, the zoom, the search, the order. It lives
// behind the hash, so that the page works below any path that a proxy puts it under.

export type View =
  | { at: "overview" }
  | { at: "machine"; node: string }
  | { at: "container"; node: string; namespace: string; pod: string; name: string }
  | { at: "workload"; namespace: string; kind: string; name: string };

export interface Address {
  view: View;
  range: string; // a key of ranges
  from: number | null; // the zoom, in Unix seconds; null with to when there is none
  to: number | null;
  q: string;
  sort: string;
}

/** ranges are the spans of time to choose from, in seconds. */
export const ranges: Record<string, number> = { "15m": 900, "1h": 3600, "6h": 21600, "24h": 86400, "7d": 604800 };
export const rangeNames: Record<string, string> = { "15m": "15 m", "1h": "1 h", "6h": "6 h", "24h": "24 h", "7d": "7 d" };
export const home: Address = { view: { at: "overview" }, range: "15m", from: null, to: null, q: "", sort: "" };

function text(s: string | undefined): string {
  try {
    return decodeURIComponent(s ?? "");
  } catch {
    return s ?? "";
  }
}

/** names are what tells the things of a view apart, in the order in which they stand in its path. */
const names: Record<string, string[]> = { machine: ["node"], container: ["node", "namespace", "pod", "name"], workload: ["namespace", "kind", "name"] };

function view(path: string): View {
  const [, at = "", ...raw] = path.split("/");
  if (!Object.hasOwn(names, at)) return { at: "overview" };
  return { at, ...Object.fromEntries(names[at]!.map((k, i) => [k, text(raw[i])])) } as View;
}

/** latest is the end of the year 9999: later moments have no date. */
const latest = 253402300799;

function moment(s: string | null): number | null {
  const n = s ? Number(s) : NaN;
  return n >= 0 && n <= latest ? n : null;
}

/** parse reads an address; whatever it does not know falls back to the overview. */
export function parse(hash: string): Address {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  const p = new URLSearchParams(query);
  const range = p.get("range") ?? "";
  let from = moment(p.get("from"));
  let to = moment(p.get("to"));
  if (from === null || to === null || to - from < 1) from = to = null;
  return { view: view(path), range: Object.hasOwn(ranges, range) ? range : home.range, from, to, q: p.get("q") ?? "", sort: p.get("sort") ?? "" };
}

function path(v: Record<string, string>): string {
  const of = names[v.at!];
  return of ? ["", v.at, ...of.map((k) => encodeURIComponent(v[k]!))].join("/") : "/";
}

/** format writes an address so that parse reads the same. */
export function format(a: Address): string {
  const p = new URLSearchParams();
  if (a.range !== home.range) p.set("range", a.range);
  if (a.from !== null && a.to !== null) {
    p.set("from", String(Math.round(a.from)));
    p.set("to", String(Math.round(a.to)));
  }
  if (a.q) p.set("q", a.q);
  if (a.sort) p.set("sort", a.sort);
  const s = p.toString();
  return "#" + path(a.view) + (s ? "?" + s : "");
}

/** go gives the link to a view: the range stays, zoom and search do not. */
export const link = (a: Address, v: View): string => format({ ...home, range: a.range, view: v });
