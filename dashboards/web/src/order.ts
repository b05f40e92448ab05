// Rows that stay where the eye left them: the order follows the wish at most every ten seconds, and not
// while it is held (the pointer is over the rows, or the keyboard is in them).

export interface Placed<T> {
  key: string;
  row: T;
  gone: boolean; // no longer there; kept in its place until the next reordering
}

export class Order<T> {
  private keys: string[] = [];
  private rows = new Map<string, T>();
  private at = -Infinity;
  private by = "";

  constructor(
    private readonly key: (row: T) => string,
    private readonly every = 10,
  ) {}

  /**
   * place lays out rows, given in the desired order. by names that wish: when it changes (another column,
   * another search) the order follows at once. now is in seconds.
   */
  place(rows: readonly T[], now: number, held: boolean, by: string): Placed<T>[] {
    const fresh = new Map(rows.map((r) => [this.key(r), r]));
    if (by !== this.by || (!held && now - this.at >= this.every)) {
      this.keys = [...fresh.keys()];
      this.at = now;
      this.by = by;
    } else {
      this.settle(fresh, held);
    }
    const out = this.keys.map((key) => {
      const row = fresh.get(key);
      return { key, row: row ?? this.rows.get(key)!, gone: row === undefined };
    });
    this.rows = new Map(out.map((p) => [p.key, p.row]));
    return out;
  }

  /** settle keeps the places: what is new goes last, what is gone goes away unless the rows are held. */
  private settle(fresh: Map<string, T>, held: boolean) {
    const known = new Set(this.keys);
    if (!held) this.keys = this.keys.filter((k) => fresh.has(k));
    for (const k of fresh.keys()) if (!known.has(k)) this.keys.push(k);
  }
}
