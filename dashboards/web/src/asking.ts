// What one page is of and the stream does not bring: asked for at once and every few seconds.

const every = 5000; // milliseconds

export class Asking<T> {
  value: T | null = null;
  unknown = false; // the server has no such thing
  unread = ""; // why the newest answer could not be read; "": it could
  private path: string | null = null;
  private timer = 0;

  /** live says whether the server answers, and tell what is new. */
  constructor(
    private readonly live: () => boolean,
    private readonly tell: () => void,
  ) {}

  /** watch asks for another path; null ends that. It says whether it is another one. */
  watch(path: string | null): boolean {
    if (path === this.path) return false;
    clearInterval(this.timer);
    this.path = path;
    this.value = null;
    this.unknown = false;
    this.unread = "";
    if (path === null) return true;
    void this.fetch(path);
    this.timer = window.setInterval(() => this.live() && void this.fetch(path), every);
    return true;
  }

  private async fetch(path: string) {
    const r = await fetch("plimsoll/v1/" + path).catch(() => null);
    const found = r?.ok ? ((await r.json().catch(() => null)) as T | null) : null;
    const unread = found || r?.status === 404 ? "" : await refusal(r);
    if (path !== this.path) return;
    this.unread = unread;
    if (!unread) {
      this.value = found;
      this.unknown = !found;
    }
    this.tell();
  }
}

/** refusal says why there is no answer that can be read, in the words of Plimsoll or of the API server before it, where there are any. */
export async function refusal(r: Response | null): Promise<string> {
  if (!r) return "the server does not answer";
  if (r.ok) return "its answer was cut off";
  const said = (await r.json().catch(() => null)) as { error?: string; message?: string } | null;
  return said?.error || said?.message || `the server answered ${r.status}`;
}
