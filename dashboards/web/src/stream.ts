// The live connection: server-sent events while the server answers, and an honest word when it does not.

export type State = "connecting" | "live" | "away";

export interface StreamOptions {
  url: () => string;
  events: string[];
  onEvent: (name: string, data: unknown) => void;
  onState: (s: State) => void;
}

const silence = 5000; // milliseconds without an event after which the server counts as away
const patience = 10000; // after which the connection is given up and made anew

export class Stream {
  private source: EventSource | null = null;
  private heard = 0; // when the last event came, or the connection was begun, in milliseconds
  private wait = 1000;
  private timer = 0;
  private watch = 0;
  private state: State = "connecting";

  constructor(private readonly o: StreamOptions) {}

  /** open connects, and stays connected until close. Calling it again connects anew. */
  open() {
    this.close();
    this.heard = Date.now();
    const es = (this.source = new EventSource(this.o.url()));
    for (const name of this.o.events) es.addEventListener(name, (e) => this.event(name, (e as MessageEvent<string>).data));
    es.onerror = () => this.lost();
    this.watch = window.setInterval(() => this.look(), 1000);
  }

  close() {
    this.source?.close();
    this.source = null;
    clearTimeout(this.timer);
    clearInterval(this.watch);
  }

  private event(name: string, data: string) {
    this.heard = Date.now();
    this.wait = 1000;
    this.set("live");
    this.o.onEvent(name, JSON.parse(data));
  }

  private lost() {
    this.close();
    this.set("away");
    this.timer = window.setTimeout(() => this.open(), this.wait);
    this.wait = Math.min(5000, this.wait * 1.5);
  }

  private look() {
    const quiet = Date.now() - this.heard;
    if (quiet > silence) this.set("away");
    if (quiet > patience) this.lost();
  }

  private set(s: State) {
    if (s === this.state) return;
    this.state = s;
    this.o.onState(s);
  }
}
