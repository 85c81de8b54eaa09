/** What stands next in the octets: a command, or why there is none. */
export type LineRead =
  /** `line` is without its CRLF and shares the chunk's memory unless it was cut; `next` is where the following octet stands */
  | { readonly kind: 'line'; readonly line: Buffer; readonly next: number }
  /** the chunk is used up; its last octets were kept */
  | { readonly kind: 'more' }
  /** a line over the limit has ended; none of it was kept */
  | { readonly kind: 'too-long'; readonly next: number }
  /** a line over the limit does not end at all: time to hang up */
  | { readonly kind: 'endless' }
  /** an LF without CR before it, or a CR inside the line: nothing behind it can be trusted to be a command */
  | { readonly kind: 'bare'; readonly octet: 'CR' | 'LF' };

const CR = 0x0d;
const LF = 0x0a;

export interface LineLimits {
  /** octets of a line, its CRLF included */
  lineBytesMax: number;
  /** octets of a line that is too long, before it is given up */
  endlessBytesMax: number;
}

/**
 * Cuts command lines out of a stream of octets. A line ends in CRLF and in nothing else.
 *
 * The same lines come out whatever the chunking. At most `lineBytesMax` octets are held between two calls, none when idle.
 *
 * @source RFC 5321 §2.3.8, §4.5.3.1.4; RFC 1939 §3
 */
export class LineReader {
  readonly #limits: LineLimits;
  #kept: Buffer | null = null;
  /** octets of the line so far, kept or not */
  #lineBytes = 0;
  #lastOctet = 0;

  constructor(limits: LineLimits) {
    this.#limits = limits;
  }

  /** whether a line has begun and not ended */
  get midLine(): boolean {
    return this.#lineBytes > 0;
  }

  read(chunk: Buffer, from: number): LineRead {
    const { lineBytesMax, endlessBytesMax } = this.#limits;
    const lf = chunk.indexOf(LF, from);
    const end = lf < 0 ? chunk.length : lf + 1;
    const lineBytes = this.#lineBytes + end - from;
    const beforeLf = lf > from ? chunk[lf - 1] : this.#lastOctet;
    if (lineBytes > endlessBytesMax) {
      this.#reset();
      return { kind: 'endless' };
    }
    if (lf < 0) {
      if (end > from) this.#lastOctet = chunk[end - 1] ?? 0;
      this.#lineBytes = lineBytes;
      if (lineBytes > lineBytesMax) this.#kept = null;
      else if (end > from) this.#keep(chunk.subarray(from, end));
      return { kind: 'more' };
    }
    const kept = this.#kept;
    this.#reset();
    if (beforeLf !== CR) return { kind: 'bare', octet: 'LF' };
    if (lineBytes > lineBytesMax) return { kind: 'too-long', next: end };
    const piece = chunk.subarray(from, end);
    const whole = kept === null ? piece : Buffer.concat([kept, piece]);
    const line = whole.subarray(0, whole.length - 2);
    return line.includes(CR) ? { kind: 'bare', octet: 'CR' } : { kind: 'line', line, next: end };
  }

  /** Forgets a line that has begun: what came in clear before TLS. */
  forget(): void {
    this.#reset();
  }

  #keep(piece: Buffer): void {
    // A copy: a kept subarray of a few octets would hold the whole chunk for as long as the session idles.
    this.#kept = this.#kept === null ? Buffer.from(piece) : Buffer.concat([this.#kept, piece]);
  }

  #reset(): void {
    this.#kept = null;
    this.#lineBytes = 0;
    this.#lastOctet = 0;
  }
}
