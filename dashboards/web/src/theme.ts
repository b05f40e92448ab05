// Light or dark: by the system's wish until a person chooses by hand. The choice is kept in this browser.

export type Theme = "system" | "light" | "dark";
export const themes: Theme[] = ["system", "light", "dark"];

const key = "plimsoll-theme";

export function chosen(): Theme {
  try {
    const t = localStorage.getItem(key) as Theme;
    return themes.includes(t) ? t : "system";
  } catch {
    return "system"; // storage may be forbidden
  }
}

export function choose(t: Theme) {
  try {
    if (t === "system") localStorage.removeItem(key);
    else localStorage.setItem(key, t);
  } catch {
    // the choice then holds for this visit only
  }
  apply(t);
}

export function apply(t: Theme) {
  if (t === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = t;
  dispatchEvent(new Event("plimsoll-theme"));
}

/** onTheme calls f whenever the colours may have changed, and returns what ends that. */
export function onTheme(f: () => void): () => void {
  const m = matchMedia("(prefers-color-scheme: dark)");
  m.addEventListener("change", f);
  addEventListener("plimsoll-theme", f);
  return () => {
    m.removeEventListener("change", f);
    removeEventListener("plimsoll-theme", f);
  };
}

const colours = ["a", "b", "c", "d", "hot", "ink", "soft", "rule", "card"] as const;
export type Ink = (typeof colours)[number];

/** inks reads the colours of the moment from the style sheet, for the canvases. */
export function inks(at: Element): Record<Ink, string> {
  const probe = at.appendChild(document.createElement("i"));
  const out = {} as Record<Ink, string>;
  for (const k of colours) {
    probe.style.color = `var(--${k})`;
    out[k] = getComputedStyle(probe).color;
  }
  probe.remove();
  return out;
}
