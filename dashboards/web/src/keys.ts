// The keys: / searches, the arrows walk the rows, Enter opens, Esc goes back.
import { format, home, link, parse } from "./address.ts";

const rows = () => [...document.querySelectorAll<HTMLAnchorElement>("a[data-row]")];
const box = () => document.getElementById("search") as HTMLInputElement;

/** listen takes the page's keys until the function it returns is called. */
export function listen(): () => void {
  document.addEventListener("keydown", press);
  return () => document.removeEventListener("keydown", press);
}

function press(e: KeyboardEvent) {
  if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey) return;
  const el = document.activeElement;
  const typing = el instanceof HTMLInputElement;
  if (e.key === "/" && !typing) {
    e.preventDefault();
    box().focus();
    box().select();
  }
  if (e.key === "ArrowDown" || e.key === "ArrowUp") walk(e, typing);
  if (e.key === "Enter" && el === box()) rows()[0]?.click();
  if (e.key === "Escape") back(e);
}

function walk(e: KeyboardEvent, typing: boolean) {
  const all = rows();
  const i = all.indexOf(document.activeElement as HTMLAnchorElement);
  const idle = document.activeElement === document.body || document.activeElement?.id === "main";
  if (i < 0 && !typing && !(idle && parse(location.hash).view.at === "overview")) return; // elsewhere the arrows scroll
  const to = i + (e.key === "ArrowDown" ? 1 : -1);
  if (i < 0 && e.key === "ArrowUp") return;
  e.preventDefault();
  if (to < 0) return box().focus();
  all[to]?.focus();
  all[to]?.scrollIntoView({ block: "nearest" });
}

/** back undoes the nearest thing: the search, the zoom, the view. */
function back(e: KeyboardEvent) {
  const a = parse(location.hash);
  e.preventDefault();
  if (a.q) location.hash = format({ ...a, q: "" });
  else if (a.from !== null) location.hash = format({ ...a, from: null, to: null });
  else if (a.view.at !== "overview") location.hash = link(a, home.view);
  if (document.activeElement instanceof HTMLElement && document.activeElement !== document.body) document.activeElement.blur();
}
