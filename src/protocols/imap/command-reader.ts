import { latin1 } from '#base/bytes';

/** Bounds of what one command may take before it is understood; the message of an APPEND is streamed and not counted. */
export interface ReaderLimits {
  /** octets of a command outside its literals */
  readonly lineBytesMax: number;
  /** octets of all its literals together */
  readonly literalBytesMax: number;
}

/**
 * Octets of an ID command, whatever the limit: RFC 2971 §3.3 lets a client send 30 names of 30 and values of 1,024 octets, before
 * the log-in too.
 */
export const idLineBytesMax = 36 * 1024;

/** Octets of a refused command that are read and dropped; a client that sends more is cut off. */
export const discardBytesMax = 64 * 1024 * 1024;

/**
 * Stands for a literal in the text of a command: no other CR gets there, since a line with a stray one is refused.
 */
export const literalMark = '\r';

export type ReaderEvent =
  /** nothing more to tell before more octets come */
  | { readonly kind: 'need' }
  /** a literal is announced: call `keepLiteral`, `streamLiteral` or `refuseLiteral` */
  | {
      readonly kind: 'literal';
      /** the command so far, without this literal's mark */
      readonly text: string;
      readonly sizeBytes: number;
      /** whether the client waits for a continuation */
      readonly waits: boolean;
      /** a literal8 */
      readonly binary: boolean;
      /** those before it in the same command */
      readonly literals: readonly Uint8Array[];
    }
  /** a piece of a streamed literal: only valid until the next call */
  | { readonly kind: 'octets'; readonly octets: Uint8Array }
  /** the streamed literal is complete; the command goes on */
  | { readonly kind: 'streamed' }
  | { readonly kind: 'command'; readonly text: string; readonly literals: readonly Uint8Array[] }
  /** a refused command has been read to its end */
  | { readonly kind: 'discarded' }
  | { readonly kind: 'broken'; readonly reason: BrokenLine; readonly text: string }
  /** more was sent after a refusal than is read and dropped: close */
  | { readonly kind: 'flood' };

export type BrokenLine = 'line-too-long' | 'bare-line-feed' | 'stray-control';

type Mode = 'line' | 'keep' | 'stream' | 'stream-end' | 'swallow' | 'discard-line';

const LF = 10;
const CR = 13;
/** an octet more than the longest literal announcement that is understood */
const tailBytesMax = 32;

const beginningBytes = 128;

const empty = new Uint8Array(0);

/**
 * Cuts octets, in any chunking, into commands with their literals.
 *
 * A line ends in CRLF. Keeps nothing between commands but a few numbers.
 *
 * @source RFC 9051 §2.2.1, §4.3; RFC 7888 (`{n+}`); RFC 3516 §4.2 (`~{n}`)
 */
export class CommandReader {
  limits: ReaderLimits;
  /** a line is a line: no literals (an answer to a continuation, IDLE's DONE) */
  plainLines = false;
  #buffer: Uint8Array = empty;
  #at = 0;
  /** where to go on looking for LF */
  #scanned = 0;
  #mode: Mode = 'line';
  #text = '';
  #lineBytes = 0;
  #literals: Uint8Array[] = [];
  #literalBytes = 0;
  #pieces: Uint8Array[] = [];
  /** octets of the present literal still to come */
  #left = 0;
  #offer: { sizeBytes: number; waits: boolean } | null = null;
  #discarded = 0;
  #afterDiscard: ReaderEvent = { kind: 'discarded' };

  constructor(limits: ReaderLimits) {
    this.limits = limits;
  }

  /** Octets that wait to be read. */
  get bufferedBytes(): number {
    return this.#buffer.length - this.#at;
  }

  /** Whether a command has begun. */
  get midCommand(): boolean {
    return this.#mode !== 'line' || this.#text !== '' || this.bufferedBytes > 0;
  }

  push(octets: Uint8Array): void {
    if (this.#at === this.#buffer.length) {
      this.#buffer = octets;
      this.#at = 0;
      this.#scanned = 0;
      return;
    }
    const rest = this.#buffer.length - this.#at;
    const joined = new Uint8Array(rest + octets.length);
    joined.set(this.#buffer.subarray(this.#at));
    joined.set(octets, rest);
    this.#scanned -= this.#at;
    this.#buffer = joined;
    this.#at = 0;
  }

  /** Forgets what has not been read, as before a TLS handshake. */
  clear(): void {
    this.#buffer = empty;
    this.#at = 0;
    this.#scanned = 0;
    this.#reset();
  }

  /** The announced literal becomes part of the command, within the limit. */
  keepLiteral(): void {
    this.#mode = 'keep';
    this.#left = this.#takeOffer().sizeBytes;
    this.#literalBytes += this.#left;
  }

  fitsLimit(sizeBytes: number): boolean {
    return this.#literalBytes + sizeBytes <= this.limits.literalBytesMax;
  }

  /** The announced literal is told in pieces. */
  streamLiteral(): void {
    this.#mode = 'stream';
    this.#left = this.#takeOffer().sizeBytes;
  }

  /** The command is over: at once where the client waits, otherwise when the rest of it has been dropped. Then `discarded`. */
  refuseLiteral(): void {
    const { sizeBytes, waits } = this.#takeOffer();
    this.#afterDiscard = { kind: 'discarded' };
    if (waits) {
      this.#mode = 'discard-line';
      this.#discarded = -1;
      return;
    }
    this.#mode = 'swallow';
    this.#left = sizeBytes;
    this.#discarded = 0;
  }

  next(): ReaderEvent {
    for (;;) {
      switch (this.#mode) {
        case 'line': {
          const event = this.#line();
          if (event !== null) return event;
          break;
        }
        case 'keep': {
          if (!this.#keep()) return this.#need();
          break;
        }
        case 'stream': {
          const octets = this.#take(this.#left);
          this.#left -= octets.length;
          if (this.#left === 0) this.#mode = 'stream-end';
          if (octets.length > 0) return { kind: 'octets', octets };
          if (this.#left > 0) return this.#need();
          break;
        }
        case 'stream-end':
          this.#mode = 'line';
          this.#text += literalMark;
          this.#literals.push(empty);
          return { kind: 'streamed' };
        case 'swallow': {
          const dropped = this.#take(this.#left).length;
          this.#left -= dropped;
          this.#discarded += dropped;
          if (this.#discarded + this.#left > discardBytesMax) return { kind: 'flood' };
          if (this.#left > 0) return this.#need();
          this.#mode = 'discard-line';
          break;
        }
        case 'discard-line': {
          const event = this.#discardLine();
          if (event !== null) return event;
          break;
        }
      }
    }
  }

  #need(): ReaderEvent {
    if (this.#at === this.#buffer.length) {
      this.#buffer = empty;
      this.#at = 0;
      this.#scanned = 0;
    } else if (this.#buffer.buffer.byteLength > 2 * this.bufferedBytes) {
      // the rest of a chunk would keep all of its memory for as long as the client pauses
      this.#buffer = new Uint8Array(this.#buffer.subarray(this.#at));
      this.#scanned -= this.#at;
      this.#at = 0;
    }
    return { kind: 'need' };
  }

  #line(): ReaderEvent | null {
    const end = this.#buffer.indexOf(LF, Math.max(this.#scanned, this.#at));
    const length = (end === -1 ? this.#buffer.length : end + 1) - this.#at;
    if (this.#lineBytes + length > this.limits.lineBytesMax && !this.#isLongId(length))
      return this.#tooLong(end);
    if (end === -1) {
      this.#scanned = this.#buffer.length;
      return this.#need();
    }
    const line = this.#buffer.subarray(this.#at, end);
    this.#at = end + 1;
    this.#scanned = this.#at;
    this.#lineBytes += length;
    if (line.length === 0 || line[line.length - 1] !== CR) return this.#broken('bare-line-feed', line);
    const content = line.subarray(0, line.length - 1);
    if (content.includes(CR) || content.includes(0)) return this.#broken('stray-control', content);
    const text = latin1(content);
    const announced = this.plainLines ? null : announcedLiteral(text);
    if (announced === null) {
      const event: ReaderEvent = { kind: 'command', text: this.#text + text, literals: this.#literals };
      this.#reset();
      return event;
    }
    this.#text += announced.before;
    this.#offer = announced;
    return {
      kind: 'literal',
      text: this.#text,
      sizeBytes: announced.sizeBytes,
      waits: announced.waits,
      binary: announced.binary,
      literals: this.#literals,
    };
  }

  #isLongId(length: number): boolean {
    return (
      this.#lineBytes + length <= idLineBytesMax &&
      /^[^ ]{1,64} ID [(]/i.test(this.#text + latin1(this.#buffer.subarray(this.#at, this.#at + 72)))
    );
  }

  #keep(): boolean {
    const octets = this.#take(this.#left);
    this.#left -= octets.length;
    // the socket's buffer would be kept alive by a view
    if (octets.length > 0) this.#pieces.push(new Uint8Array(octets));
    if (this.#left > 0) return false;
    this.#literals.push(this.#pieces.length === 1 ? (this.#pieces[0] ?? empty) : joined(this.#pieces));
    this.#pieces = [];
    this.#text += literalMark;
    this.#mode = 'line';
    return true;
  }

  #take(max: number): Uint8Array {
    const octets = this.#buffer.subarray(this.#at, this.#at + max);
    this.#at += octets.length;
    this.#scanned = this.#at;
    return octets;
  }

  #takeOffer(): { sizeBytes: number; waits: boolean } {
    const offer = this.#offer ?? { sizeBytes: 0, waits: true };
    this.#offer = null;
    return offer;
  }

  #broken(reason: BrokenLine, line: Uint8Array): ReaderEvent {
    const event: ReaderEvent = {
      kind: 'broken',
      reason,
      text: beginning(this.#text, line),
    };
    this.#reset();
    return event;
  }

  #tooLong(end: number): ReaderEvent | null {
    const text = beginning(this.#text, this.#buffer.subarray(this.#at));
    this.#reset();
    this.#afterDiscard = { kind: 'broken', reason: 'line-too-long', text };
    this.#mode = 'discard-line';
    this.#discarded = 0;
    if (end === -1) this.#scanned = this.#at;
    return null;
  }

  /** Drops octets to the end of the refused command, and the literals in it that are sent without waiting. */
  #discardLine(): ReaderEvent | null {
    // a negative count: the client waits, there is no rest
    if (this.#discarded < 0) return this.#discardDone();
    const end = this.#buffer.indexOf(LF, Math.max(this.#scanned, this.#at));
    if (end === -1) {
      // the end of what is here may be the beginning of a literal's announcement
      const keepFrom = Math.max(this.#at, this.#buffer.length - tailBytesMax);
      this.#discarded += keepFrom - this.#at;
      this.#at = keepFrom;
      this.#scanned = this.#buffer.length;
      if (this.#discarded > discardBytesMax) return { kind: 'flood' };
      return this.#need();
    }
    const line = this.#buffer.subarray(Math.max(this.#at, end - tailBytesMax), end);
    this.#discarded += end + 1 - this.#at;
    this.#at = end + 1;
    this.#scanned = this.#at;
    const announced =
      line[line.length - 1] === CR && !this.plainLines
        ? announcedLiteral(latin1(line.subarray(0, line.length - 1)))
        : null;
    if (announced === null || announced.waits) return this.#discardDone();
    this.#mode = 'swallow';
    this.#left = announced.sizeBytes;
    return null;
  }

  #discardDone(): ReaderEvent {
    const event = this.#afterDiscard;
    this.#reset();
    return event;
  }

  #reset(): void {
    this.#mode = 'line';
    this.#text = '';
    this.#lineBytes = 0;
    this.#literals = [];
    this.#literalBytes = 0;
    this.#pieces = [];
    this.#left = 0;
    this.#offer = null;
  }
}

/** Enough of a broken command to find its tag, the same in every chunking. */
const beginning = (text: string, octets: Uint8Array): string =>
  (text + latin1(octets.subarray(0, beginningBytes))).slice(0, beginningBytes);

/** The literal that a line announces at its end, or null. */
const announcedLiteral = (
  line: string,
): { before: string; sizeBytes: number; waits: boolean; binary: boolean } | null => {
  if (!line.endsWith('}')) return null;
  const open = line.lastIndexOf('{');
  if (open === -1 || line.length - open > 20) return null;
  const match = /^\{(\d{1,15})(\+?)\}$/.exec(line.slice(open));
  if (match === null) return null;
  return {
    before: line.slice(0, open),
    sizeBytes: Number(match[1]),
    waits: match[2] === '',
    binary: line[open - 1] === '~',
  };
};

const joined = (pieces: readonly Uint8Array[]): Uint8Array => {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
};
