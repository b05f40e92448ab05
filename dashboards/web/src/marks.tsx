// The small marks: the logo, bars with their line, replicas as squares, sparklines. None speaks by colour alone.
import type { ComponentChildren } from "preact";
import type { Num, Parts, Scaled } from "./contract.ts";
import type { Cell } from "./frame.ts";
import { counted } from "./lines.ts";

export const Logo = () => (
  <svg class="logo" viewBox="0 0 24 24" aria-hidden="true">
    <circle cx="12" cy="12" r="6.5" fill="none" stroke="currentColor" stroke-width="2" />
    <path d="M1.5 12h21" stroke="currentColor" stroke-width="2" />
  </svg>
);

/** scaledAt and limitAt are where on a bar its line stands: the same place in every row, so that the lines make one line. */
export const scaledAt = 0.6;
export const limitAt = 0.85;

interface BarProps {
  value: Num;
  line: Num; // what it must not stay above; null: it has no line, and whole is the bar's end
  whole: Num;
  at?: number;
  ink?: "a" | "b";
  hot?: boolean;
  lacks?: boolean; // it is a sum that lacks a part: what is beyond it is not known
}

/** partsSay is the mark of a sum that lacks a part: "2 of 3 pods"; "" where it is whole. */
export const partsSay = (p: Parts | undefined) => (p ? `${p.counted} of ${p.of}\u00a0${p.unit}` : "");

/** Bar shows a value against its line, or against the whole machine where it has none. */
export function Bar({ value, line, whole, at = limitAt, ink = "a", hot, lacks }: BarProps) {
  const end = line !== null ? line / at : whole;
  const part = value === null || !end ? 0 : Math.min(1, value / end);
  const over = value !== null && !!end && value > end;
  return (
    <span class={`bar ${hot ? "hot" : ink} ${value === null ? "gap" : ""} ${line === null ? "open" : ""} ${over ? "over" : ""} ${lacks && value !== null ? "part" : ""}`} aria-hidden="true">
      <b style={{ width: `${(part * 100).toFixed(1)}%` }} />
      {line !== null && <i style={{ left: `${at * 100}%` }} />}
    </span>
  );
}

const nearly = (v: Num, line: Num) => v !== null && line !== null && v > 0.9 * line;

interface MeterProps {
  label: string;
  value: Num;
  line: Num;
  whole: Num;
  ink?: "a" | "b";
  text: [figure: string, of: string];
  bare?: boolean; // the figure stands alone
  parts?: Parts; // it is a sum, and lacks some of these
}

/** Meter is a cell of a table: a bar, hot where it is near its line, and the figure. */
export const Meter = ({ label, value, line, whole, ink, text: [figure, of], bare, parts }: MeterProps) => (
  <td class="w" data-label={label}>
    {!bare && <Bar value={value} line={line} whole={whole} ink={ink} hot={nearly(value, line)} lacks={!!parts} />}
    <span class="num">
      {figure} {of && <small class="in">{of}</small>}
    </span>
    {parts && <small class="lacks">{partsSay(parts)}</small>}
  </td>
);

/** Head is the head of a table. */
export const Head = ({ columns }: { columns: ComponentChildren[] }) => (
  <thead>
    <tr>
      {columns.map((c, i) => (
        <th key={i} scope="col">
          {c}
        </th>
      ))}
    </tr>
  </thead>
);

const most = 20; // more squares than this nobody counts

/** Dots shows the replicas: filled are ready, outlined are starting, faint are those still allowed. Where they are not counted there are none. */
export function Dots({ s }: { s: Scaled }) {
  if (!counted(s)) return null;
  const troubled = s.members.filter((m) => m.state === "dead" || m.state === "backing-off").length;
  const exist = Math.max(s.replicas, s.desired);
  const starting = Math.max(0, exist - s.ready - troubled);
  const words = [`${s.ready} ready`, starting && `${starting} starting`, troubled && `${troubled} down`, s.max !== null && `${s.max} allowed`].filter(Boolean).join(", ");
  if (Math.max(exist, s.max ?? 0) > most) return <span class="words">{words}</span>;
  const kinds = ["on", "wait", "down"].flatMap((k, i) => Array<string>([s.ready, starting, troubled][i]!).fill(k));
  while (kinds.length < (s.max ?? 0)) kinds.push("");
  return (
    <span class="dots" role="img" aria-label={words} title={words}>
      {kinds.map((k, i) => (
        <i key={i} class={k} />
      ))}
    </span>
  );
}

interface SparkProps {
  t: number[];
  col: Cell[];
  from: number;
  to: number;
  top: number; // the value at the upper edge
  ink: "a" | "b" | "c" | "d";
  line?: boolean; // the upper edge is a line not to be crossed: draw it
  optional?: boolean; // nothing stands there when there is nothing to draw
}

/** Spark is a line without numbers; the figure beside it has them. */
export function Spark({ t, col, from, to, top, ink, line, optional }: SparkProps) {
  const [stroke, fill] = paths(t, col, from, to, top);
  if (optional && !stroke) return null;
  return (
    <svg class={`spark ${ink}`} viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true">
      <path class="fill" d={fill} />
      {line && <path class="mark" d="M0 1H100" />}
      <path class="line" d={stroke} />
    </svg>
  );
}

/** paths draws the line, broken at gaps, and the area below it. */
export function paths(t: number[], col: Cell[], from: number, to: number, top: number): [string, string] {
  let stroke = "";
  let fill = "";
  let run: string[] = [];
  let x0 = "";
  let x1 = "";
  const end = () => {
    if (run.length > 1) {
      stroke += "M" + run.join("L");
      fill += `M${x0} 30L${run.join("L")}L${x1} 30Z`;
    }
    run = [];
  };
  for (let i = 0; i < t.length; i++) {
    const v = col[i];
    if (v === null) end();
    if (typeof v !== "number") continue;
    x1 = (((t[i]! - from) / (to - from)) * 100).toFixed(1);
    if (!run.length) x0 = x1;
    run.push(`${x1} ${(29.2 - Math.min(1, Math.max(0, v / top)) * 28.2).toFixed(1)}`);
  }
  end();
  return [stroke, fill];
}

export function Section({ id, title, sub, children }: { id: string; title: string; sub?: ComponentChildren; children: ComponentChildren }) {
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>
        {title} {sub && <small>{sub}</small>}
      </h2>
      {children}
    </section>
  );
}
