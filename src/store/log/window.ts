import { createHash, type Hash } from 'node:crypto';
import type { IoFile } from '#store/durable';

const windowBytes = 256 * 1024;
const firstWindowBytes = 8 * 1024;

/** what is read ahead at once, and the most that is kept of the block before */
const aheadBlockBytes = 512 * 1024;
const aheadKeptBytes = windowBytes;

/** A part of the file: `kept` octets of room, then what was read. */
interface Block {
  buffer: Uint8Array;
  start: number;
  length: number;
}

/**
 * Forward reading of a file through one buffer: a walk over small frames costs a read for each 256 KiB, and a large body
 * never lies in memory as a whole.
 */
export class Window {
  readonly #file: IoFile;
  #buffer: Uint8Array;
  #loads = 0;
  /** where in the buffer the octets begin, and where in the file these stand */
  #from = 0;
  #start = 0;
  #length = 0;
  /** the block that is being read while the one before is looked at; it never rejects */
  #next: Promise<Block | Error> | null = null;
  #spare: Uint8Array | null = null;
  #hash: Hash | null = null;
  #hashedTo = 0;

  /**
   * @param how `ahead`: for a walk over a whole file from its beginning. The next block is read while this one is looked at, and every
   * octet goes through one hash on the way. To be ended with `end`
   */
  constructor(file: IoFile, how: 'as needed' | 'ahead' = 'as needed') {
    this.#file = file;
    if (how === 'as needed') {
      this.#buffer = new Uint8Array(firstWindowBytes);
      return;
    }
    this.#buffer = new Uint8Array(aheadKeptBytes + aheadBlockBytes);
    this.#spare = new Uint8Array(aheadKeptBytes + aheadBlockBytes);
    this.#hash = createHash('sha256');
    this.#readAhead(0);
  }

  /** Nothing is being read any more: the file may be closed. */
  async end(): Promise<void> {
    await this.#next;
    this.#next = null;
  }

  /** Of the first `lengthBytes` of the file, when the walk went over exactly these. */
  hashOf(lengthBytes: number): Hash | null {
    return this.#hash !== null && this.#hashedTo === lengthBytes ? this.#hash : null;
  }

  /** The octets at `position`, fewer only where the file ends. Valid until the next call: copy what you keep. */
  async view(position: number, lengthBytes: number): Promise<Uint8Array> {
    const held = this.held(position, lengthBytes);
    if (held !== null) return held;
    await this.#load(position, lengthBytes);
    const at = this.#from + position - this.#start;
    return this.#buffer.subarray(at, Math.min(at + lengthBytes, this.#from + this.#length));
  }

  /** As `view`, when the octets are at hand, else null: a walk waits only where it reads. */
  held(position: number, lengthBytes: number): Uint8Array | null {
    const at = position - this.#start;
    return at >= 0 && at + lengthBytes <= this.#length
      ? this.#buffer.subarray(this.#from + at, this.#from + at + lengthBytes)
      : null;
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

  #readAhead(start: number): void {
    const buffer = this.#spare as Uint8Array;
    this.#spare = null;
    this.#next = this.#file.read(buffer.subarray(aheadKeptBytes), start).then(
      (length) => ({ buffer, start, length }),
      (error: Error) => error,
    );
  }

  /** Takes the block that was read ahead. @returns false where that does not bring the octets */
  async #takeNext(position: number, lengthBytes: number): Promise<boolean> {
    if (this.#next === null) return false;
    const block = await this.#next;
    if (block instanceof Error) throw block;
    const { start, length } = block;
    // What the walk has not looked at yet of the block before is put in front.
    const kept = Math.max(0, start - position);
    const isNext =
      start === (this.#length === 0 ? 0 : this.#start + this.#length) &&
      position >= this.#start &&
      kept <= aheadKeptBytes &&
      (position + lengthBytes <= start + length || length < aheadBlockBytes) &&
      position <= start + length;
    if (!isNext) {
      // Somebody looks elsewhere: from here on there is no walk.
      this.#next = null;
      return false;
    }
    const keptFrom = this.#from + this.#length - kept;
    block.buffer.set(this.#buffer.subarray(keptFrom, keptFrom + kept), aheadKeptBytes - kept);
    const before = this.#buffer;
    this.#buffer = block.buffer;
    this.#from = aheadKeptBytes - kept;
    this.#start = start - kept;
    this.#length = kept + length;
    this.#hash?.update(block.buffer.subarray(aheadKeptBytes, aheadKeptBytes + length));
    this.#hashedTo += length;
    this.#next = null;
    if (length < aheadBlockBytes) return true;
    this.#spare = before;
    this.#readAhead(start + length);
    return true;
  }

  async #load(position: number, lengthBytes: number): Promise<void> {
    if (await this.#takeNext(position, lengthBytes)) return;
    // A look at one place needs little; a walk grows to what a long walk needs.
    const wanted = Math.max(
      lengthBytes,
      Math.min(windowBytes, this.#loads++ === 0 ? 0 : 2 * this.#buffer.length),
    );
    if (wanted > this.#buffer.length) this.#buffer = new Uint8Array(wanted);
    this.#from = 0;
    this.#start = position;
    this.#length = 0;
    this.#length = await this.#file.read(this.#buffer, position);
  }
}
