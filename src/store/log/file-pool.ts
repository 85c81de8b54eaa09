/** Keeps a bounded number of files open; one that is in use is never closed. */
export class FilePool<T> {
  readonly #open: (name: string) => Promise<T>;
  readonly #close: (file: T) => Promise<void>;
  readonly #max: number;
  readonly #entries = new Map<string, { opening: Promise<T>; users: number }>();
  #closed = false;

  constructor(options: { open(name: string): Promise<T>; close(file: T): Promise<void>; filesMax: number }) {
    this.#open = options.open;
    this.#close = options.close;
    this.#max = options.filesMax;
  }

  /** A file that could not be opened is tried again the next time. */
  async use<R>(name: string, task: (file: T) => Promise<R>): Promise<R> {
    let entry = this.#entries.get(name);
    // Least recently used first: a map keeps the order of insertion.
    if (entry !== undefined) this.#entries.delete(name);
    else entry = { opening: this.#open(name), users: 0 };
    this.#entries.set(name, entry);
    entry.users++;
    try {
      let file: T;
      try {
        file = await entry.opening;
      } catch (error) {
        if (this.#entries.get(name) === entry) this.#entries.delete(name);
        throw error;
      }
      return await task(file);
    } finally {
      entry.users--;
      this.#evict();
    }
  }

  /** Closes what is not in use now, and the rest as soon as it is not. */
  async close(): Promise<void> {
    this.#closed = true;
    const idle = [...this.#entries].filter(([, entry]) => entry.users === 0);
    for (const [name, entry] of idle) {
      this.#entries.delete(name);
      await entry.opening.then(this.#close);
    }
  }

  #evict(): void {
    for (const [name, entry] of this.#entries) {
      if (!this.#closed && this.#entries.size <= this.#max) return;
      if (entry.users > 0) continue;
      this.#entries.delete(name);
      entry.opening.then(this.#close).catch(() => {});
    }
  }
}
