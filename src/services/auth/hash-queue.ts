export type HashPriority = 'first' | 'later';

/**
 * Runs at most `atOnce` hashes (one a core). Of those that wait, all marked `first` come before the others; the others take turns by
 * address, so that many tries from one address delay its own next try, not everybody's.
 */
export class HashQueue {
  readonly #atOnce: number;
  readonly #waitingMax: number;
  readonly #first: (() => void)[] = [];
  readonly #later = new Map<string, (() => void)[]>();
  #waiting = 0;
  #running = 0;

  constructor(options: { atOnce: number; waitingMax: number }) {
    this.#atOnce = options.atOnce;
    this.#waitingMax = options.waitingMax;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** The hash's result, or null where too many wait. Those marked `first` have as many places again. */
  async run<Value>(
    priority: HashPriority,
    address: string,
    hash: () => Promise<Value>,
  ): Promise<Value | null> {
    if (this.#running >= this.#atOnce) {
      if (this.#waiting >= this.#waitingMax * (priority === 'first' ? 2 : 1)) return null;
      this.#waiting++;
      await new Promise<void>((resolve) => this.#enqueue(priority, address, resolve));
    } else this.#running++;
    try {
      return await hash();
    } finally {
      this.#next();
    }
  }

  #enqueue(priority: HashPriority, address: string, start: () => void): void {
    if (priority === 'first') {
      this.#first.push(start);
      return;
    }
    const own = this.#later.get(address);
    if (own === undefined) this.#later.set(address, [start]);
    else own.push(start);
  }

  /** Hands the place on; nobody can come between. */
  #next(): void {
    const start = this.#first.shift() ?? this.#takeLater();
    if (start === undefined) {
      this.#running--;
      return;
    }
    this.#waiting--;
    start();
  }

  #takeLater(): (() => void) | undefined {
    const next = this.#later.entries().next().value;
    if (next === undefined) return undefined;
    const [address, starts] = next;
    const start = starts.shift();
    // to the end of the row
    this.#later.delete(address);
    if (starts.length > 0) this.#later.set(address, starts);
    return start;
  }
}
