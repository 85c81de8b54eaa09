/** A table of bounded size whose entries end after a time; the one that was set longest ago gives way. */
export class Recent<Value> {
  readonly #entries = new Map<string, { value: Value; endsMs: number }>();
  readonly #countMax: number;
  readonly #lifeMs: number;

  constructor(options: { countMax: number; lifeMs: number }) {
    this.#countMax = options.countMax;
    this.#lifeMs = options.lifeMs;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string, nowMs: number): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.endsMs > nowMs) return entry.value;
    this.#entries.delete(key);
    return undefined;
  }

  /** Sets a value and begins its time anew. */
  set(key: string, value: Value, nowMs: number): void {
    this.#entries.delete(key);
    if (this.#entries.size >= this.#countMax) {
      const oldest = this.#entries.keys().next().value;
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    this.#entries.set(key, { value, endsMs: nowMs + this.#lifeMs });
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}
