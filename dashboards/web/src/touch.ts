// Fingers on a chart: one across reads the values, two zoom and pan, up and down still scrolls the page.

/** Window is a span of time, in Unix seconds. */
export type Window = [from: number, to: number];

/** Pair is where two fingers are, in pixels from the left of the chart. */
export type Pair = [a: number, b: number];

const finest = 20; // seconds: nothing shorter is worth a chart
const widest = 8 * 86400;

/** pinch gives the window in which the moments that two fingers took hold of are under the fingers still. */
export function pinch([from, to]: Window, was: Pair, is: Pair, width: number): Window {
  const at = (x: number) => from + ((to - from) * x) / width;
  const apart = (p: Pair) => Math.max(24, Math.abs(p[1] - p[0])); // closer fingers than this cannot be told apart
  const span = Math.min(widest, Math.max(finest, ((to - from) * apart(was)) / apart(is)));
  const mid = (p: Pair) => (p[0] + p[1]) / 2;
  const start = at(mid(was)) - (span * mid(is)) / width;
  return [start, start + span];
}

/** past moves a window that reaches beyond now back to it: nothing is there yet. Nor is there anything before the clocks began. */
export function past([from, to]: Window, now: number): Window {
  const over = Math.max(0, to - now);
  return [Math.max(1, from - over), to - over];
}

export interface Fingers {
  window: () => Window;
  onRead: (x: number) => void; // one finger is here
  onPinch: (w: Window) => void; // two fingers want this window
  onZoom: (w: Window) => void; // they let go of it
  onLeave: () => void; // something else was touched
}

const slack = 8; // pixels that a resting finger moves

/** follow listens for fingers on a chart until the function that it gives is called. */
export function follow(el: HTMLElement, f: Fingers): () => void {
  const stop = new AbortController();
  let first: { x: number; y: number } | null = null; // where one finger came down
  let reading = false;
  let held: { was: Pair; window: Window; now: Window } | null = null; // two fingers
  const x = (t: Touch) => t.clientX - el.getBoundingClientRect().left;
  const pair = (e: TouchEvent): Pair => [x(e.touches[0]!), x(e.touches[1]!)];
  const down = (e: TouchEvent) => {
    reading = false;
    first = e.touches.length === 1 ? { x: e.touches[0]!.clientX, y: e.touches[0]!.clientY } : null;
    if (e.touches.length === 2) held = { was: pair(e), window: f.window(), now: f.window() };
  };
  const move = (e: TouchEvent) => {
    if (held && e.touches.length === 2) {
      e.preventDefault(); // else the page is zoomed
      f.onPinch((held.now = pinch(held.window, held.was, pair(e), el.clientWidth)));
    } else if (first) {
      const t = e.touches[0]!;
      const across = Math.abs(t.clientX - first.x);
      reading ||= across > slack && across > Math.abs(t.clientY - first.y);
      if (reading) f.onRead(x(t));
    }
  };
  const up = () => {
    const done = held;
    held = first = null;
    if (done && done.now.join() !== done.window.join()) f.onZoom(done.now);
  };
  const elsewhere = (e: TouchEvent) => el.contains(e.target as Node) || f.onLeave();
  const o = { signal: stop.signal };
  el.addEventListener("touchstart", down, { ...o, passive: true });
  el.addEventListener("touchmove", move, { ...o, passive: false });
  el.addEventListener("touchend", up, o);
  el.addEventListener("touchcancel", up, o);
  document.addEventListener("touchstart", elsewhere, { ...o, passive: true });
  return () => stop.abort();
}
