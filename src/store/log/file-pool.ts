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
    const { file, release } = await this.acquire(name);
    try {
      return await task(file);
    } finally {
      release();
    }
  }

  /** As `use`, for what does not end with one call; `release` once. */
  async acquire(name: string): Promise<{ file: T; release(): void }> {
    let entry = this.#entries.get(name);
    // Least recently used first: a map keeps the order of insertion.
    if (entry !== undefined) this.#entries.delete(name);
    else entry = { opening: this.#open(name), users: 0 };
    this.#entries.set(name, entry);
    entry.users++;
    const release = (): void => {
      entry.users--;
      this.#evict();
    };
    try {
      return { file: await entry.opening, release };
    } catch (error) {
      if (this.#entries.get(name) === entry) this.#entries.delete(name);
      release();
      throw error;
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
