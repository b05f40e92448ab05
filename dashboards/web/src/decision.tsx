// Decisions in words: the autoscaler's own sentence, its steps, and how long ago.
import type { Decision, Scaled } from "./contract.ts";
import { ago, moment, seconds, tight } from "./units.ts";

/** head says what a decision did: "4 → 6", or "3, held". */
export const head = (d: Decision) => (d.reason === "FailedGetScale" ? "count not known, held" : d.from === d.to ? `${d.to}, held` : `${d.from} → ${d.to}`);

const fresh = 60; // for so many seconds a change is the news, and the holds after it are not

/** news is what a person wants to hear first: a change of the last minute, else the newest decision. */
export function news(s: Scaled, now: number): Decision | null {
  if (s.change && now - seconds(s.change.time)! < fresh) return s.change;
  return s.last ?? s.change;
}

/** Say writes a decision as a sentence. */
export const Say = ({ d }: { d: Decision }) => (
  <>
    <b>{head(d)}</b> {tight(d.message)}
  </>
);

interface LogProps {
  decisions: Decision[];
  now: number;
  onPoint: (t: number | null) => void;
}

/** Log lists decisions, newest first, each with the steps that led to it. */
export function Log({ decisions, now, onPoint }: LogProps) {
  return (
    <ul class="log">
      {decisions.map((d) => (
        <Entry key={d.time} d={d} now={now} onPoint={onPoint} />
      ))}
    </ul>
  );
}

function Entry({ d, now, onPoint }: { d: Decision; now: number; onPoint: LogProps["onPoint"] }) {
  const t = seconds(d.time) ?? now;
  const steps = d.detail?.steps ?? [];
  const kind = d.from === d.to ? "hold" : d.to > d.from ? "up" : "down";
  return (
    <li class={kind} onMouseEnter={() => onPoint(t)} onMouseLeave={() => onPoint(null)}>
      <time dateTime={d.time}>
        {moment(t, now)}
        <small>{ago(t, now)}</small>
      </time>
      <div>
        <p>
          <Say d={d} />
        </p>
        {steps.length > 0 && (
          <ol>
            {steps.map((s) => (
              <li key={s.step}>
                <span>{s.step}</span>
                <span>{s.before === s.after ? s.after : `${s.before} → ${s.after}`}</span>
                <span>{tight(s.why)}</span>
              </li>
            ))}
          </ol>
        )}
      </div>
    </li>
  );
}
