/**
 * Answers by question until they expire, the longest unused going first when it is full.
 *
 * Bounded by entries and by octets; time comes in and never falls.
 */
export class DnsCache<Value> {
  readonly #entries = new Map<string, { value: Value; bytes: number; untilMs: number }>();
  readonly #entriesMax: number;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(entriesMax: number, bytesMax: number) {
    this.#entriesMax = entriesMax;
    this.#bytesMax = bytesMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @returns the value and how long it is good for, or null */
  get(key: string, nowMs: number): { value: Value; leftMs: number } | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    this.#remove(key);
    if (entry.untilMs <= nowMs) return null;
    this.#put(key, entry);
    return { value: entry.value, leftMs: entry.untilMs - nowMs };
  }

  /** Keeps nothing that expires at once or is larger than the whole. */
  set(key: string, value: Value, bytes: number, untilMs: number, nowMs: number): void {
    this.#remove(key);
    if (untilMs <= nowMs || bytes > this.#bytesMax) return;
    this.#put(key, { value, bytes, untilMs });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#entriesMax && this.#bytes <= this.#bytesMax) break;
      this.#remove(oldest);
    }
  }

  #put(key: string, entry: { value: Value; bytes: number; untilMs: number }): void {
    this.#entries.set(key, entry);
    this.#bytes += entry.bytes;
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }
}
