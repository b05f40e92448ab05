// What lies beyond the stream: with more containers than it brings, a search asks the server.
import { useEffect, useState } from "preact/hooks";
import type { Overview } from "./contract.ts";

/** useBeyond asks for the containers that match q, again and again, when the stream does not bring all; else null. */
export function useBeyond(data: Overview, q: string): Overview | null {
  const [found, setFound] = useState<Overview | null>(null);
  const more = data.total > data.containers.length;
  useEffect(() => {
    setFound(null);
    if (!q || !more) return;
    const stop = new AbortController();
    const ask = () =>
      fetch("plimsoll/v1/overview?limit=200&q=" + encodeURIComponent(q), { signal: stop.signal })
        .then((r) => (r.ok ? (r.json() as Promise<Overview>) : Promise.reject(new Error(String(r.status)))))
        .then(setFound, () => {}); // the stream tells whether the server is away
    const wait = setTimeout(ask, 200);
    const again = setInterval(ask, 2000);
    return () => {
      clearTimeout(wait);
      clearInterval(again);
      stop.abort();
    };
  }, [q, more]);
  return found;
}
