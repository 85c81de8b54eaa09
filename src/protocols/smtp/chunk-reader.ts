import type { BareOctet } from './data-reader.ts';

const CR = 0x0d;
const LF = 0x0a;
const bare = /\r[^\n]|[^\r]\n/;

/**
 * The octets of a message that comes by BDAT: counted, not dot-stuffed, and without BINARYMIME looked through for bare CR and LF.
 *
 * A CRLF may be cut between two chunks. Octets are searched by native code, never one by one.
 *
 * @source RFC 3030 §2, §3
 */
export class ChunkReader {
  readonly #binary: boolean;
  #bare: BareOctet | null = null;
  /** the last octet so far was a CR, of which nobody can tell yet */
  #endsInCr = false;
  #readBytes = 0;

  constructor(binary: boolean) {
    this.#binary = binary;
  }

  /** the first bare octet, or null; from there on nothing is emitted */
  get bare(): BareOctet | null {
    return this.#bare;
  }

  /** octets read so far */
  get readBytes(): number {
    return this.#readBytes;
  }

  /** Reads the next octets, at least one. */
  read(octets: Buffer, emit: (octets: Buffer) => void): void {
    if (!this.#binary && this.#bare === null) this.#look(octets);
    this.#readBytes += octets.length;
    if (this.#bare === null) emit(octets);
  }

  /** The message is complete: a CR at its very end stands alone. */
  end(): void {
    if (this.#endsInCr) this.#bare ??= { octet: 'CR', offset: this.#readBytes - 1 };
  }

  #look(octets: Buffer): void {
    const base = this.#readBytes;
    if (this.#endsInCr && octets[0] !== LF) this.#bare = { octet: 'CR', offset: base - 1 };
    else if (!this.#endsInCr && octets[0] === LF) this.#bare = { octet: 'LF', offset: base };
    const from = this.#endsInCr ? 1 : 0;
    this.#endsInCr = octets[octets.length - 1] === CR;
    if (this.#bare !== null) return;
    const text = octets.toString('latin1', from, octets.length - (this.#endsInCr ? 1 : 0));
    // Without its CRLFs a good text has neither octet; only a bad one is searched for the place.
    const rest = text.replaceAll('\r\n', '');
    if (rest.includes('\r') || rest.includes('\n')) this.#find(octets.toString('latin1', from), base + from);
  }

  #find(text: string, base: number): void {
    // The text begins behind a CRLF or anything else but a CR. A CR at its end is nobody's yet: the next octets tell.
    const found = ` ${text}`.search(bare);
    if (found < 0) return;
    const octet = text[found - 1] === '\r' ? 'CR' : 'LF';
    this.#bare = { octet, offset: base + found - (octet === 'LF' ? 0 : 1) };
  }
}
