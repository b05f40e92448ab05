// The frame around every view: where we are, how fresh it is, the range, the search, the keys.
import { render } from "preact";
import { useEffect, useReducer, useState } from "preact/hooks";
import { format, home, link, parse, rangeNames, ranges, type Address } from "./address.ts";
import { ContainerPage } from "./container.tsx";
import type { Overview as Data } from "./contract.ts";
import { listen } from "./keys.ts";
import { Live } from "./live.ts";
import { MachinePage } from "./machine.tsx";
import { Logo, partsSay } from "./marks.tsx";
import { Overview } from "./overview.tsx";
import { apply, choose, chosen, themes, type Theme } from "./theme.ts";
import { ago, clock, memory, moment, seconds, sold, span, tight } from "./units.ts";
import { WorkloadPage } from "./workload.tsx";

export interface ViewProps {
  live: Live;
  data: Data;
  address: Address;
  go: (change: Partial<Address>, quietly?: boolean) => void;
}

const live = new Live();

function App() {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const [address, setAddress] = useState(parse(location.hash));
  useEffect(() => live.subscribe(() => redraw(0)), []);
  useEffect(() => {
    const read = () => setAddress(parse(location.hash));
    addEventListener("popstate", read);
    addEventListener("hashchange", read);
    return listen();
  }, []);
  useEffect(() => {
    const v = address.view;
    live.watch(v.at === "workload" ? v : null, v.at === "machine" ? v.node : "");
    document.title = title(address);
  }, [format(address)]);
  useEffect(() => {
    if (live.state !== "away") return;
    const t = setInterval(() => redraw(0), 1000);
    return () => clearInterval(t);
  }, [live.state]);
  const go = (change: Partial<Address>, quietly = false) => {
    const next = { ...parse(location.hash), ...change };
    if (format(next) === location.hash) return;
    history[quietly ? "replaceState" : "pushState"](null, "", format(next));
    setAddress(parse(location.hash));
  };
  const data = live.overview;
  return (
    <>
      <Header address={address} data={data} go={go} />
      {live.state === "away" && <Away />}
      <main id="main" tabIndex={-1} class={live.state === "away" ? "away" : ""}>
        {live.updated && (
          <p class="note">
            Plimsoll has a new version. <a href={location.href} onClick={() => location.reload()}>Load its page</a>
          </p>
        )}
        {data ? <Conditions data={data} /> : live.state !== "away" && <p class="empty">Waiting for the first picture…</p>}
        {data && <Body live={live} data={data} address={address} go={go} />}
      </main>
      <Footer data={data} />
    </>
  );
}

function Body(p: ViewProps) {
  const key = format({ ...home, view: p.address.view });
  switch (p.address.view.at) {
    case "container":
      return <ContainerPage key={key} {...p} view={p.address.view} />;
    case "workload":
      return <WorkloadPage key={key} {...p} view={p.address.view} />;
    case "machine":
      return <MachinePage key={key} {...p} view={p.address.view} />;
  }
  return <Overview {...p} />;
}

function title({ view: v, q }: Address): string {
  const what = v.at === "container" ? v.pod || v.name : v.at === "workload" ? v.name : v.at === "machine" ? v.node || "machine" : q && `“${q}”`;
  return (what ? what + " · " : "") + "Plimsoll";
}

function Header({ address, data, go }: { address: Address; data: Data | null; go: ViewProps["go"] }) {
  const n = data?.node;
  const several = (data?.nodes.length ?? 0) > 1;
  const search = (q: string) => go(address.view.at === "overview" ? { q } : { ...home, range: address.range, q }, address.view.at === "overview" && !!address.q);
  return (
    <header>
      <a class="brand" href={link(address, home.view)} aria-label="Plimsoll, overview">
        <Logo />
        <b>Plimsoll</b>
      </a>
      {n && (
        <span class="machine">
          {[several ? partsSay(n.parts) || `${data!.totalNodes} machines` : n.name, n.cores !== null && sold(n.cores), n.memory !== null && memory(n.memory)].filter(Boolean).join(" · ")}
        </span>
      )}
      <span class="grow" />
      <Freshness data={data} />
      <nav class="ranges" aria-label="Range of time">
        {Object.keys(ranges).map((r) => (
          <a key={r} href={format({ ...address, range: r, from: null, to: null })} aria-current={r === address.range && address.from === null ? "true" : undefined}>
            {rangeNames[r]}
          </a>
        ))}
      </nav>
      <input id="search" type="search" placeholder="Search  /" aria-label="Search containers and workloads" aria-keyshortcuts="/" autocomplete="off" spellcheck={false} value={address.q} onInput={(e) => search(e.currentTarget.value)} />
      <ThemeButton />
    </header>
  );
}

function Freshness({ data }: { data: Data | null }) {
  if (live.state === "live" && data) return <span class="fresh live">live, {span(data.interval)}</span>;
  return <span class="fresh">{live.state === "away" ? "away" : "connecting"}</span>;
}

function Away() {
  const now = Date.now() / 1000;
  return (
    <p class="banner" role="status">
      <b>The server does not answer</b> since {clock(live.away)} ({ago(live.away, now)}). {live.overview ? "What you see is the last picture." : ""} The page tries again by itself.
    </p>
  );
}

function Conditions({ data }: { data: Data }) {
  const bad = data.conditions.filter((c) => c.status !== "True");
  if (!bad.length) return null;
  return (
    <ul class="conditions">
      {bad.map((c) => (
        <li key={c.type}>
          <b>{c.reason || c.type}</b> {tight(c.message)} {seconds(c.since) !== null && <span>since {moment(seconds(c.since)!, live.now())}</span>}
        </li>
      ))}
    </ul>
  );
}

const touches = [
  ["pinch", "in a chart: zoom"],
  ["one finger across", "its values"],
  ["double tap", "back"],
];

const keys = [
  ["/", "search"],
  ["↑ ↓ Enter", "open"],
  ["Esc", "back"],
  ["← → + −", "in a chart: cursor, zoom"],
  ["drag, double click", "zoom, back"],
];

function Footer({ data }: { data: Data | null }) {
  return (
    <footer>
      {[...keys, ...touches].map(([key, what], i) => (
        <span key={key} class={i < keys.length ? "keys" : "touches"}>
          <kbd>{key}</kbd> {what}
        </span>
      ))}
      <span class="grow" />
      {data && (
        <span>
          Plimsoll {data.version} · <a href="plimsoll/v1/overview">as JSON</a>
        </span>
      )}
    </footer>
  );
}

function ThemeButton() {
  const [theme, setTheme] = useState<Theme>(chosen());
  const next = themes[(themes.indexOf(theme) + 1) % themes.length]!;
  const names = { system: ["◐", "Auto"], light: ["○", "Light"], dark: ["●", "Dark"] };
  const turn = () => {
    choose(next);
    setTheme(next);
  };
  return (
    <button type="button" class="theme" onClick={turn} title={`Colours: ${theme}. Switch to ${next}.`}>
      <i aria-hidden="true">{names[theme][0]}</i> <span>{names[theme][1]}</span>
      <span class="unseen"> colours</span>
    </button>
  );
}

apply(chosen());
live.start();
render(<App />, document.getElementById("page")!);
