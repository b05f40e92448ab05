// The changes of a workload in the window that is looked at, from the decision log, and what the stream has told since.
import { useEffect, useState } from "preact/hooks";
import type { Address } from "./address.ts";
import type { Decision } from "./contract.ts";
import { decidedKey, workloadKey, type Live, type Name } from "./live.ts";
import { window } from "./picture.ts";
import { seconds } from "./units.ts";

/** at most so many changes are read; of more than that the newest. */
export const most = 1000;

export interface Changes {
  list: Decision[]; // newest first
  more: boolean; // there are older ones in the window that were not read
  error: string;
  loading: boolean;
}

interface Answer {
  error?: string;
  items?: Decision[];
}

/** within are the changes of a window among those that were read and those that were told, newest first, each once. */
export function within(read: Decision[], told: Decision[], from: number, to: number): Decision[] {
  const by = new Map([...told, ...read].filter((d) => d.from !== d.to).map((d) => [d.time, d]));
  return [...by].map(([, d]) => d).filter((d) => inside(d, from, to)).sort((a, b) => seconds(b.time)! - seconds(a.time)!);
}

const inside = (d: Decision, from: number, to: number) => seconds(d.time)! >= from && seconds(d.time)! <= to;

const every = 600; // seconds after which the log is read anew: the stream may have dropped something

/** useChanges reads the changes of a workload in the window of an address. */
export function useChanges(live: Live, w: Name, address: Address): Changes {
  const [known, setKnown] = useState<{ key: string; items: Decision[]; error: string } | null>(null);
  const id = [workloadKey(w), address.range, address.from, address.to].join(" ");
  const text = (t: number) => new Date(t * 1000).toISOString();
  const [from, to] = window(address, live.now());
  useEffect(() => {
    const stop = new AbortController();
    const p = new URLSearchParams({ namespace: w.namespace, kind: w.kind, name: w.name, action: "Up,Down", start: text(Math.floor(from)), end: text(Math.ceil(to)), limit: String(most) });
    fetch("plimsoll/v1/decisions?" + p, { signal: stop.signal })
      .then(async (r) => {
        const a = (await r.json().catch(() => ({}))) as Answer;
        if (!r.ok || !a.items) throw new Error(a.error || `the log answered ${r.status}`);
        return a.items.filter((d) => workloadKey(d) === decidedKey(w));
      })
      .then(
        (items) => setKnown({ key: id, items, error: "" }),
        (e: Error) => stop.signal.aborted || setKnown((k) => ({ key: id, items: k?.key === id ? k.items : [], error: e.message })),
      );
    return () => stop.abort();
  }, [id, Math.floor(live.now() / every), live.epoch]);
  const mine = known?.key === id ? known : null;
  const items = mine?.items ?? [];
  return { list: within(items, live.told, from, to), more: items.length >= most && inside(items.at(-1)!, from, to), error: mine?.error ?? "", loading: !mine };
}
