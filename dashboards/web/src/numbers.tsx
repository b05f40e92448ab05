// The table of a chart's numbers, for those who do not see it and for those who want to copy it.
import { useState } from "preact/hooks";
import { thin, type Frame } from "./frame.ts";
import { Head } from "./marks.tsx";
import { moment } from "./units.ts";

const rows = 60; // at most about so many

interface Props {
  title: string;
  frame: Frame;
  labels: string[];
  unit: (v: number | null) => string;
  now: number;
}

export function Numbers({ title, frame, labels, unit, now }: Props) {
  const [open, setOpen] = useState(false);
  return (
    <details class="numbers" onToggle={(e) => setOpen((e.currentTarget as HTMLDetailsElement).open)}>
      <summary>Numbers</summary>
      {open && <Table title={title} frame={frame} labels={labels} unit={unit} now={now} />}
    </details>
  );
}

function Table({ title, frame, labels, unit, now }: Props) {
  const [copied, setCopied] = useState(false);
  const span = frame.t.length ? frame.t[frame.t.length - 1]! - frame.t[0]! : 0;
  const f = thin(frame, Math.max(1, Math.ceil(span / rows / 10) * 10));
  const order = f.t.map((_, i) => i).reverse();
  const copy = () => void navigator.clipboard?.writeText(csv(f, labels)).then(() => setCopied(true));
  return (
    <>
      <button type="button" onClick={copy}>
        {copied ? "Copied" : "Copy as CSV"}
      </button>
      <div class="scroll" tabIndex={0} role="region" aria-label={`${title}: numbers`}>
        <table>
          <caption class="unseen">{title}, newest first</caption>
          <Head columns={["Time", ...labels]} />
          <tbody>
            {order.map((i) => (
              <tr key={f.t[i]}>
                <th scope="row">{moment(f.t[i]!, now)}</th>
                {f.cols.map((c, k) => (
                  <td key={k}>{typeof c[i] === "number" ? unit(c[i]) : "no value"}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

/** csv gives the numbers in base units, with RFC 3339 times; a gap is an empty cell. */
export function csv(f: Frame, labels: string[]): string {
  const quote = (s: string) => (/[",\n]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s);
  const line = (cells: string[]) => cells.map(quote).join(",");
  return [line(["time", ...labels]), ...f.t.map((t, i) => line([new Date(t * 1000).toISOString(), ...f.cols.map((c) => (typeof c[i] === "number" ? String(c[i]) : ""))]))].join("\n") + "\n";
}
