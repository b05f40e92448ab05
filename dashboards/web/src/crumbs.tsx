// Where we are, and the way out of a zoom.
import { format, home, link, type Address, type View } from "./address.ts";
import type { ViewProps } from "./page.tsx";
import { zoom } from "./picture.ts";
import { clock, day, moment, span } from "./units.ts";

interface CrumbsProps {
  address: Address;
  several: boolean; // machines
  namespace?: string;
  middle?: { text: string; view: View } | null;
  name: string;
}

export function Crumbs({ address, several, namespace, middle, name }: CrumbsProps) {
  return (
    <nav class="crumbs" aria-label="Where this is">
      <a href={link(address, home.view)}>{several ? "Machines" : "Machine"}</a>
      {namespace && <a href={format({ ...home, range: address.range, q: namespace })}>{namespace}</a>}
      {middle && <a href={link(address, middle.view)}>{middle.text}</a>}
      <b aria-current="page">{name}</b>
    </nav>
  );
}

/** Zoom says which window is looked at, and leads back to the present. */
export function Zoom({ address: a, go }: Pick<ViewProps, "address" | "go">) {
  if (a.from === null || a.to === null) return null;
  const now = Date.now() / 1000;
  const [from, to] = zoom(a, now)!;
  const end = day(from) === day(to) ? clock(to) : moment(to, now);
  return (
    <p class="note zoom">
      Looking at {moment(from, now)} to {end} ({span(to - from)}).{" "}
      <button type="button" onClick={() => go({ from: null, to: null })}>
        Back to now
      </button>
    </p>
  );
}
