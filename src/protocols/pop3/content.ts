const LF = 0x0a;
const CR = 0x0d;
const lineDot = Buffer.from('\n.');
const dot = Buffer.from('.');
const end = Buffer.from('.\r\n');
const crlfEnd = Buffer.from('\r\n.\r\n');

/** Stuffed dots in a chunk before the rest of it is copied in one go. */
const piecesMax = 64;

/**
 * A message on its way to a POP3 client: dots stuffed, a CRLF added where the last one is missing, the final dot.
 *
 * A dot is also stuffed after a bare LF: a client that reads lines by LF would otherwise take a single dot for the end.
 * The pieces are parts of the chunks.
 *
 * @source RFC 1939 §3
 */
export class ContentEncoder {
  #lineStart = true;
  #lastTwo: readonly [number, number] = [CR, LF];

  /** @param emit takes the octets to send, in order */
  encode(chunk: Buffer, emit: (octets: Buffer) => void): void {
    if (chunk.length === 0) return;
    if (this.#lineStart && chunk[0] === dot[0]) emit(dot);
    const last = chunk[chunk.length - 1] ?? 0;
    this.#lastTwo = [chunk.length > 1 ? (chunk[chunk.length - 2] ?? 0) : this.#lastTwo[1], last];
    this.#lineStart = last === LF;
    let start = 0;
    for (let pieces = 0; ; pieces++) {
      const found = chunk.indexOf(lineDot, start);
      if (found < 0) break;
      if (pieces === piecesMax) {
        emit(Buffer.from(chunk.toString('latin1', start).replaceAll('\n.', '\n..'), 'latin1'));
        return;
      }
      emit(chunk.subarray(start, found + 1));
      emit(dot);
      start = found + 1;
    }
    emit(start === 0 ? chunk : chunk.subarray(start));
  }

  /** The end of the reply. */
  finish(): Buffer {
    const [before, last] = this.#lastTwo;
    return before === CR && last === LF ? end : crlfEnd;
  }
}

/**
 * Lets the header, the empty line and a number of lines of the body pass.
 *
 * @source RFC 1939 §7 TOP
 */
export class TopLimit {
  #inHeader = true;
  #bodyLines: number;
  /** octets of the line at hand in earlier chunks, and whether they are nothing but a CR */
  #lineBytes = 0;
  #lineIsCr = false;

  constructor(bodyLines: number) {
    this.#bodyLines = bodyLines;
  }

  /** Nothing more will pass. */
  get done(): boolean {
    return !this.#inHeader && this.#bodyLines <= 0;
  }

  pass(chunk: Buffer): Buffer {
    let at = 0;
    while (!this.done) {
      const lf = chunk.indexOf(LF, at);
      if (lf < 0) {
        this.#lineIsCr =
          this.#lineBytes === 0
            ? chunk.length - at === 1 && chunk[at] === CR
            : this.#lineIsCr && at === chunk.length;
        this.#lineBytes += chunk.length - at;
        return chunk;
      }
      const hereBytes = lf - at;
      const empty =
        this.#lineBytes === 0
          ? hereBytes === 0 || (hereBytes === 1 && chunk[at] === CR)
          : this.#lineIsCr && hereBytes === 0;
      if (!this.#inHeader) this.#bodyLines -= 1;
      else if (empty) this.#inHeader = false;
      this.#lineBytes = 0;
      this.#lineIsCr = false;
      at = lf + 1;
    }
    return chunk.subarray(0, at);
  }
}
