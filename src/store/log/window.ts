import type { Hash } from 'node:crypto';
import type { IoFile } from '#store/durable';

const windowBytes = 256 * 1024;
const firstWindowBytes = 8 * 1024;

/**
 * Forward reading of a file through one buffer: a walk over small frames costs a read for each 256 KiB, and a large body
 * never lies in memory as a whole.
 */
export class Window {
  readonly #file: IoFile;
  #buffer = new Uint8Array(firstWindowBytes);
  #loads = 0;
  #start = 0;
  #length = 0;

  constructor(file: IoFile) {
    this.#file = file;
  }

  /** The octets at `position`, fewer only where the file ends. Valid until the next call: copy what you keep. */
  async view(position: number, lengthBytes: number): Promise<Uint8Array> {
    const held = this.held(position, lengthBytes);
    if (held !== null) return held;
    await this.#load(position, lengthBytes);
    const at = position - this.#start;
    return this.#buffer.subarray(at, Math.min(at + lengthBytes, this.#length));
  }

  /** As `view`, when the octets are at hand, else null: a walk waits only where it reads. */
  held(position: number, lengthBytes: number): Uint8Array | null {
    const at = position - this.#start;
    return at >= 0 && at + lengthBytes <= this.#length ? this.#buffer.subarray(at, at + lengthBytes) : null;
  }

  /** Feeds a range to hashers. @returns false when the file ends before it */
  async hash(hashers: readonly Hash[], position: number, lengthBytes: number): Promise<boolean> {
    for (let at = position; at < position + lengthBytes; ) {
      const piece = await this.view(at, Math.min(windowBytes, position + lengthBytes - at));
      if (piece.length === 0) return false;
      for (const hasher of hashers) hasher.update(piece);
      at += piece.length;
    }
    return true;
  }

  /** The next position from `from`, a multiple of `align`, where `octets` stand; null when there is none before `end`. */
  async find(octets: Uint8Array, from: number, end: number, align: number): Promise<number | null> {
    for (let at = from; at < end; ) {
      const view = await this.view(at, Math.min(windowBytes, end - at));
      if (view.length < octets.length) return null;
      const buffer = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
      for (let hit = buffer.indexOf(octets); hit !== -1; hit = buffer.indexOf(octets, hit + 1)) {
        if ((at + hit) % align === 0) return at + hit;
      }
      at += view.length - octets.length + 1;
    }
    return null;
  }

  async #load(position: number, lengthBytes: number): Promise<void> {
    // A look at one place needs little; a walk grows to what a long walk needs.
    const wanted = Math.max(
      lengthBytes,
      Math.min(windowBytes, this.#loads++ === 0 ? 0 : 2 * this.#buffer.length),
    );
    if (wanted > this.#buffer.length) this.#buffer = new Uint8Array(wanted);
    this.#start = position;
    this.#length = 0;
    this.#length = await this.#file.read(this.#buffer, position);
  }
}
