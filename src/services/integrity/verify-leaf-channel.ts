/** leaves on their way from the log to whoever compares them */
const queuedMax = 1_024;

/** Hands leaves from the one reading of the log to a reader that works at its own pace; the slower one is waited for. */
export class LeafChannel implements AsyncIterable<Uint8Array> {
  readonly #queue: Uint8Array[] = [];
  #ended = false;
  #failure: Error | null = null;
  #discarding = false;
  #wakeReader: (() => void) | null = null;
  #wakeWriter: (() => void) | null = null;

  /** Fulfilled when there is room for more. */
  async push(leaf: Uint8Array): Promise<void> {
    if (this.#discarding) return;
    this.#queue.push(leaf.slice());
    this.#wakeReader?.();
    while (this.#queue.length >= queuedMax && !this.#discarding)
      await new Promise<void>((resolve) => {
        this.#wakeWriter = resolve;
      });
  }

  end(): void {
    this.#ended = true;
    this.#wakeReader?.();
  }

  /** The reader gets this error behind what was pushed. */
  fail(failure: Error): void {
    this.#failure = failure;
    this.#wakeReader?.();
  }

  /** Nobody reads any more. */
  discard(): void {
    this.#discarding = true;
    this.#queue.length = 0;
    this.#wakeWriter?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    try {
      for (;;) {
        const leaf = this.#queue.shift();
        if (leaf !== undefined) {
          this.#wakeWriter?.();
          yield leaf;
          continue;
        }
        if (this.#failure !== null) throw this.#failure;
        if (this.#ended) return;
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
        this.#wakeReader = null;
      }
    } finally {
      this.discard();
    }
  }
}
