import { ChunkReader } from './chunk-reader.ts';
import { type BareOctet, DataReader } from './data-reader.ts';
import { ReceivedCount } from './received-count.ts';

export type MessageVerdict = 'bare-octet' | 'size' | 'loop';

export interface MessageLimits {
  sizeBytesMax: number;
  receivedMax: number;
}

/** What is known of the message at hand, whichever way its octets come. */
export class MessageIntake {
  readonly #data: DataReader | null;
  readonly #chunks: ChunkReader | null;
  readonly #limits: MessageLimits;
  readonly #received = new ReceivedCount();
  sizeBytes = 0;
  nul = false;
  /** the service has been told that it will not be completed */
  aborted = false;
  #tooLarge = false;
  #loop = false;

  /** @param by `DATA`, or `BDAT` with or without BODY=BINARYMIME */
  constructor(by: 'data' | 'chunks' | 'binary', limits: MessageLimits) {
    this.#data = by === 'data' ? new DataReader() : null;
    this.#chunks = by === 'data' ? null : new ChunkReader(by === 'binary');
    this.#limits = limits;
  }

  get bare(): BareOctet | null {
    return this.#data?.bare ?? this.#chunks?.bare ?? null;
  }

  /** octets of the peer that were read for it, dots as sent */
  get readBytes(): number {
    return this.#data?.readBytes ?? this.#chunks?.readBytes ?? 0;
  }

  /** why it is refused, the gravest first, whatever came first: so it does not depend on how the octets were cut */
  get verdict(): MessageVerdict | null {
    if (this.bare !== null) return 'bare-octet';
    if (this.#tooLarge) return 'size';
    return this.#loop ? 'loop' : null;
  }

  /** Reads after DATA. @returns the index after the end mark, or -1 */
  readData(chunk: Buffer, from: number, emit: (piece: Buffer) => void): number {
    return this.#data?.read(chunk, from, (piece) => this.#pass(piece, emit)) ?? -1;
  }

  /** Reads after BDAT: all of it belongs to the message. */
  readChunk(octets: Buffer, emit: (piece: Buffer) => void): void {
    this.#chunks?.read(octets, (piece) => this.#pass(piece, emit));
  }

  /** The last chunk is complete. */
  endChunks(): void {
    this.#chunks?.end();
  }

  #pass(piece: Buffer, emit: (piece: Buffer) => void): void {
    const { sizeBytesMax, receivedMax } = this.#limits;
    this.sizeBytes += piece.length;
    if (this.sizeBytes > sizeBytesMax) this.#tooLarge = true;
    if (!this.nul && piece.includes(0)) this.nul = true;
    if (!this.#received.done) {
      this.#received.pass(piece);
      if (this.#received.count > receivedMax) this.#loop = true;
    }
    if (this.verdict === null) emit(piece);
  }
}
