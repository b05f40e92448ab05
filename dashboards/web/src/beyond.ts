// What lies beyond the stream, which brings the first so many rows of what hurts: with more containers than that the server sorts and searches.
import { useEffect, useState } from "preact/hooks";
import type { Container, Overview } from "./contract.ts";

/** Wish is which containers are wanted. */
export interface Wish {
  q: string;
  sort: string; // as the server calls it; "" for what hurts
  most: number;
}

/** Answer is GET /plimsoll/v1/containers. */
export interface Answer {
  time: string;
  found: number; // how many there are that match
  items: Container[];
}

const widest = 200; // bytes of a search that the server takes

/** ask writes the query for a wish. */
export function ask(w: Wish): string {
  const bytes = new TextEncoder().encode(w.q);
  const q = bytes.length <= widest ? w.q : new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.slice(0, widest)).replace(/\ufffd+$/, "");
  return "plimsoll/v1/containers?" + new URLSearchParams({ limit: String(w.most), ...(w.sort && { sort: w.sort }), ...(q.trim() && { q }) });
}

/**
 * useBeyond asks again and again for the containers of a wish, when the stream does not bring all there are. null: it does, or nothing is
 * wished, or the answer is still to come.
 */
export function useBeyond(data: Overview, wish: Wish | null): Answer | null {
  const [found, setFound] = useState<{ url: string; answer: Answer } | null>(null);
  const url = wish && beyond(data) ? ask(wish) : "";
  useEffect(() => {
    if (!url) return;
    const stop = new AbortController();
    const go = () =>
      fetch(url, { signal: stop.signal })
        .then((r) => (r.ok ? (r.json() as Promise<Answer>) : Promise.reject(new Error(String(r.status)))))
        .then((answer) => setFound({ url, answer }), () => {}); // the stream tells whether the server is away
    const wait = setTimeout(go, 200);
    const again = setInterval(go, 2000);
    return () => {
      clearTimeout(wait);
      clearInterval(again);
      stop.abort();
    };
  }, [url]);
  return found && found.url === url ? found.answer : null;
}

/** beyond says whether there are more containers than the stream brings. */
export const beyond = (data: Overview) => data.total > data.containers.length;
