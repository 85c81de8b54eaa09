import { createHash, type Hash } from 'node:crypto';
import type { Canonicalization } from './canonical-header.ts';

export type HashName = 'sha256' | 'sha1';

/** A hash of the body, once the message is complete. */
export interface BodyHash {
  readonly digest: Uint8Array;
  /** octets of the body in this canonicalization */
  readonly bodyOctets: number;
  /** octets of them that were hashed: fewer with `l=` */
  readonly hashedOctets: number;
}

/**
 * The body's hashes in every way that a signature asks for, each way once, while its octets arrive.
 *
 * Nothing of the body is kept: what is open is blanks and line ends, as numbers. Nothing is copied but the pieces that
 * relaxed canonicalization has to change.
 *
 * @source RFC 6376 §3.4.3, §3.4.4, §3.4.5
 */
export class BodyHashes {
  readonly #ways = new Map<Canonicalization, BodyWay>();
  #hasBegun = false;
  #isOver = false;

  /**
   * Asks for a hash, before the first octet of the body.
   *
   * @param lengthMax octets to hash (`l=`), or null for all
   * @returns what gives it when the message is complete; null when it is not
   */
  want(canonicalization: Canonicalization, hash: HashName, lengthMax: number | null): () => BodyHash | null {
    if (this.#hasBegun) throw new Error('a body hash is asked for before the body');
    let way = this.#ways.get(canonicalization);
    if (way === undefined) {
      way = canonicalization === 'simple' ? new BodyWay() : new RelaxedWay();
      this.#ways.set(canonicalization, way);
    }
    const asked = way;
    const sink = asked.sink(hash, lengthMax);
    return () => (this.#isOver ? asked.result(sink) : null);
  }

  write(octets: Uint8Array): void {
    this.#hasBegun = true;
    for (const way of this.#ways.values()) way.write(octets);
  }

  end(): void {
    this.#hasBegun = true;
    for (const way of this.#ways.values()) way.end();
    this.#isOver = true;
  }
}

interface Sink {
  readonly hash: Hash;
  readonly lengthMax: number;
  hashed: number;
  digest: Uint8Array | null;
}

const cr = 13;
const lf = 10;
const crlf = Buffer.from('\r\n');
const manyCrlf = Buffer.from('\r\n'.repeat(4_096));

/** Simple canonicalization: the empty lines at the end count as none. */
class BodyWay {
  readonly #sinks = new Map<string, Sink>();
  /** line ends that were not passed on yet */
  #lineEnds = 0;
  #cr = false;
  protected octets = 0;

  sink(hash: HashName, lengthMax: number | null): Sink {
    const key = `${hash} ${lengthMax}`;
    let sink = this.#sinks.get(key);
    if (sink === undefined) {
      sink = {
        hash: createHash(hash),
        lengthMax: lengthMax ?? Number.POSITIVE_INFINITY,
        hashed: 0,
        digest: null,
      };
      this.#sinks.set(key, sink);
    }
    return sink;
  }

  result(sink: Sink): BodyHash {
    sink.digest ??= sink.hash.digest();
    return { digest: sink.digest, bodyOctets: this.octets, hashedOctets: sink.hashed };
  }

  write(octets: Uint8Array): void {
    this.hold(octets);
  }

  end(): void {
    this.endOfLines();
    this.#pass(crlf);
  }

  /** Passes everything on but line ends at the end. */
  protected hold(octets: Uint8Array): void {
    if (octets.length === 0) return;
    let start = 0;
    if (this.#cr) {
      this.#cr = false;
      if (octets[0] === lf) {
        this.#lineEnds++;
        start = 1;
      } else {
        this.#passLineEnds();
        this.#pass(crlf.subarray(0, 1));
      }
    }
    let end = octets.length;
    if (end > start && octets[end - 1] === cr) {
      this.#cr = true;
      end--;
    }
    let lineEnds = 0;
    while (end - 2 >= start && octets[end - 1] === lf && octets[end - 2] === cr) {
      lineEnds++;
      end -= 2;
    }
    if (end > start) {
      this.#passLineEnds();
      this.#pass(octets.subarray(start, end));
    }
    this.#lineEnds += lineEnds;
  }

  protected endOfLines(): void {
    if (!this.#cr) return;
    this.#cr = false;
    this.#passLineEnds();
    this.#pass(crlf.subarray(0, 1));
  }

  #passLineEnds(): void {
    let left = this.#lineEnds * 2;
    this.#lineEnds = 0;
    while (left > 0) {
      const length = Math.min(left, manyCrlf.length);
      this.#pass(manyCrlf.subarray(0, length));
      left -= length;
    }
  }

  #pass(octets: Uint8Array): void {
    this.octets += octets.length;
    for (const sink of this.#sinks.values()) {
      const room = sink.lengthMax - sink.hashed;
      if (room <= 0) continue;
      const taken = octets.length > room ? octets.subarray(0, room) : octets;
      sink.hash.update(taken);
      sink.hashed += taken.length;
    }
  }

  protected finish(): void {
    this.#pass(crlf);
  }
}

const tab = 9;
const space = 32;

/** what is open at the end of what came: what follows tells what it is */
const nothing = 0;
const blanks = 1;
const blanksCr = 2;

/** Relaxed: also, runs of blanks are one space, and none stand at the end of a line. */
class RelaxedWay extends BodyWay {
  #open: typeof nothing | typeof blanks | typeof blanksCr = nothing;

  override write(octets: Uint8Array): void {
    if (octets.length === 0) return;
    const piece = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
    // Most pieces are as they have to be, and are hashed where they lie.
    const isClean =
      this.#open === nothing &&
      piece[piece.length - 1] !== space &&
      piece.indexOf(tab) < 0 &&
      piece.indexOf(twoSpaces) < 0 &&
      piece.indexOf(spaceCr) < 0;
    this.hold(isClean ? piece : this.#squeeze(piece));
  }

  /** A loop over octets: for pieces with many blanks it costs a tenth of what expressions over strings cost. */
  #squeeze(piece: Buffer): Buffer {
    const out = Buffer.allocUnsafe(piece.length + 2);
    let length = 0;
    let open = this.#open;
    for (let at = 0; at < piece.length; at++) {
      const octet = piece[at] ?? 0;
      if (open === blanksCr) {
        open = nothing;
        if (octet !== lf) out[length++] = space;
        out[length++] = cr;
      }
      if (octet === space || octet === tab) open = blanks;
      else if (open === blanks && octet === cr) open = blanksCr;
      else {
        if (open === blanks) {
          out[length++] = space;
          open = nothing;
        }
        out[length++] = octet;
      }
    }
    this.#open = open;
    return out.subarray(0, length);
  }

  override end(): void {
    // A line that ends with the message: blanks at its end are none; a CR is an octet like others.
    if (this.#open === blanksCr) this.hold(spaceCr);
    this.#open = nothing;
    this.endOfLines();
    // An empty body stays empty.
    if (this.octets > 0) this.finish();
  }
}

const twoSpaces = Buffer.from('  ');
const spaceCr = Buffer.from(' \r');
