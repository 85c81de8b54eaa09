import type { Spool, SpoolFile } from '#store/large';

/** plaintext that is taken at once: a chunk of the payload */
export const takenBytes = 64 * 1024;
/** ciphertext that is gathered for one durable write, two chunks: each one costs the disk a sync */
const writeBytes = 2 * takenBytes;
/** nonce and tags of what is gathered */
const slackBytes = 64;

/**
 * Ciphertext on its way into a spool file, through one buffer of its own.
 *
 * The pieces that the cipher makes are copied and given back at once: kept until the disk has them, or until they are collected, they
 * would be several times as much memory as is in use.
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

  /** Writes what there was before, at once; comes before the first `add`, and takes the pieces as that does. */
  async begin(pieces: readonly Uint8Array[]): Promise<void> {
    if (pieces.length > 0) await this.#file.append(pieces);
    for (const piece of pieces) giveBack(piece);
  }

  /** Takes what one chunk gave, which is not there afterwards. A promise: wait for it before the next call. */
  add(pieces: readonly Uint8Array[]): void | Promise<void> {
    for (const piece of pieces) {
      this.#buffer.set(piece, this.#used);
      this.#used += piece.length;
      giveBack(piece);
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

/** smaller ones may share their memory with others, and are not worth it */
const givenBackBytesMin = 8 * 1024;

/** Frees the memory of a piece that nobody else has. */
const giveBack = ({ buffer, byteLength }: Uint8Array): void => {
  if (byteLength >= givenBackBytesMin && buffer.byteLength === byteLength && buffer instanceof ArrayBuffer)
    buffer.transfer(0);
};
