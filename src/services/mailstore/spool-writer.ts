import type { Spool, SpoolFile } from '#store/large';

/** ciphertext that is gathered for one durable write: each one costs the disk a sync */
const writeBytes = 128 * 1024;
/** plaintext that is taken at once: a chunk of the payload */
export const takenBytes = 64 * 1024;
/** what one chunk can add to what is nearly enough for a write, with nonce and tags */
const slackBytes = takenBytes + 64;

/**
 * Ciphertext on its way into a spool file, through one buffer of its own.
 *
 * The pieces that the cipher makes are copied and die young; kept until the disk has them, they would outlive many collections and be
 * several times as much memory as is in use.
 */
export class SpoolWriter {
  readonly #file: SpoolFile;
  readonly #buffer = Buffer.allocUnsafeSlow(writeBytes + slackBytes);
  #used = 0;

  private constructor(file: SpoolFile) {
    this.#file = file;
  }

  static async create(spool: Spool): Promise<SpoolWriter> {
    return new SpoolWriter(await spool.create());
  }

  get name(): string {
    return this.#file.name;
  }

  get heldBytes(): number {
    return this.#buffer.length;
  }

  /** Takes what up to `takenBytes` of plaintext gave. A promise: wait for it before the next call. */
  add(pieces: readonly Uint8Array[]): void | Promise<void> {
    for (const piece of pieces) {
      this.#buffer.set(piece, this.#used);
      this.#used += piece.length;
    }
    if (this.#used >= writeBytes) return this.#flush();
  }

  /** The octets are complete; all of them are durable when it resolves. */
  async end(): Promise<void> {
    if (this.#used > 0) await this.#flush();
    await this.#file.close();
  }

  discard(): Promise<void> {
    return this.#file.discard();
  }

  async #flush(): Promise<void> {
    await this.#file.append([this.#buffer.subarray(0, this.#used)]);
    this.#used = 0;
  }
}
