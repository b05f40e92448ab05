// The overview, in the order of a tired person's questions: is the machine well, what is scaled and why, who hurts.
import { Containers } from "./containers.tsx";
import type { ViewProps } from "./page.tsx";
import { Scaled } from "./scaled.tsx";
import { Machines, Tiles } from "./tiles.tsx";

export function Overview(p: ViewProps) {
  return (
    <>
      <h1 class="unseen">Overview</h1>
      {!p.address.q && <Tiles {...p} />}
      {!p.address.q && <Machines {...p} />}
      <Scaled {...p} />
      <Containers {...p} />
    </>
  );
}

/** matches says whether all words of a search are somewhere in the texts. */
export function matches(q: string, ...texts: string[]): boolean {
  const all = texts.join(" ").toLowerCase();
  return q.toLowerCase().split(/\s+/).every((w) => all.includes(w));
}
