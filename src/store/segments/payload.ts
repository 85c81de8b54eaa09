import { createCipheriv, createDecipheriv, createHash, type Hash } from 'node:crypto';
import { ascii, concat } from '#base/bytes';
import { FengniError } from '#base/errors';
import { fileKeyBytes } from './key-file.ts';
import { sha256, sha256Is, sha256Of } from './sha256.ts';

/** Plaintext octets of a chunk; the last one of a payload may have fewer. */
export const chunkBytes = 65_536;
export const payloadNonceBytes = 16;
const tagBytes = 16;
const sealedChunkBytes = chunkBytes + tagBytes;
/** Up to here all chunks of a range are verified before its first octet is given out. */
const wholeRangeBytesMax = 2 ** 20;

/** Stored octets of a payload of this many plaintext octets. */
export const payloadLength = (plainLength: number): number =>
  payloadNonceBytes + plainLength + chunkCount(plainLength) * tagBytes;

/** Plaintext octets of a payload of this many stored octets, or null when no payload has that length. */
export const plainLengthOf = (storedLength: number): number | null => {
  const sealed = storedLength - payloadNonceBytes;
  if (sealed < tagBytes) return null;
  const chunks = Math.ceil(sealed / sealedChunkBytes);
  const plain = sealed - chunks * tagBytes;
  // An empty last chunk is allowed only as the only one.
  return plain >= 0 && chunkCount(plain) === chunks ? plain : null;
};

const chunkCount = (plainLength: number): number => Math.max(1, Math.ceil(plainLength / chunkBytes));

export interface SealedSummary {
  /** octets of the plaintext */
  lengthBytes: number;
  /** octets of the payload, nonce and tags included */
  storedLength: number;
  /** SHA-256 of the plaintext */
  sha256: Uint8Array;
  /** SHA-256 of each 64 KiB of plaintext, 32 octets each, one after the other */
  chunkHashes: Uint8Array;
}

/**
 * Encrypts one payload as it arrives, in any chunking, and hashes plaintext and ciphertext on the way.
 *
 * It keeps pieces given to it until their chunk of 64 KiB is complete: they must not change meanwhile.
 *
 * @source age v1 (C2SP/age.md), “Payload”
 */
export class PayloadSealer {
  readonly #key: Uint8Array;
  readonly #plainHash = createHash('sha256');
  readonly #storedHash: Hash = createHash('sha256');
  readonly #chunkHashes: Uint8Array[] = [];
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #lengthBytes = 0;
  #storedLength = 0;
  #nonce: Uint8Array | null;
  #finished = false;

  /** @param nonce 16 random octets, never used twice with one key */
  constructor(fileKey: Uint8Array, nonce: Uint8Array) {
    this.#key = payloadKey(fileKey, nonce);
    this.#nonce = nonce;
  }

  /** @returns stored octets that are ready, in pieces */
  write(piece: Uint8Array): Uint8Array[] {
    if (this.#finished) throw new Error('a finished payload takes no more octets');
    const out: Uint8Array[] = [];
    let rest = piece;
    while (rest.length > 0) {
      // Whether a full chunk is the last is known only when more follows.
      if (this.#heldBytes === chunkBytes) this.#seal(out, false);
      const taken = rest.subarray(0, chunkBytes - this.#heldBytes);
      this.#held.push(taken);
      this.#heldBytes += taken.length;
      rest = rest.subarray(taken.length);
    }
    return out;
  }

  /** @returns the rest of the stored octets, and what became of the whole */
  finish(): SealedSummary & { pieces: Uint8Array[] } {
    const pieces: Uint8Array[] = [];
    this.#seal(pieces, true);
    this.#finished = true;
    const [only] = this.#chunkHashes;
    return {
      pieces,
      lengthBytes: this.#lengthBytes,
      storedLength: this.#storedLength,
      sha256: this.#chunkHashes.length === 1 && only !== undefined ? only : this.#plainHash.digest(),
      chunkHashes: concat(this.#chunkHashes),
    };
  }

  /** octets that are kept until their chunk is complete */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** SHA-256 of the stored octets alone, as of a file that holds them. After `finish`, before `storedHash`. */
  fileHash(): Uint8Array {
    if (!this.#finished) throw new Error('the payload is not finished');
    return this.#storedHash.copy().digest();
  }

  /** The frame's `storedHash`: SHA-256(stored octets ‖ stored head). Once, after `finish`. */
  storedHash(storedHead: Uint8Array): Uint8Array {
    if (!this.#finished) throw new Error('the payload is not finished');
    return this.#storedHash.update(storedHead).digest();
  }

  #seal(out: Uint8Array[], last: boolean): void {
    if (this.#nonce !== null) {
      this.#emit(out, this.#nonce);
      this.#nonce = null;
    }
    const index = this.#chunkHashes.length;
    this.#chunkHashes.push(sha256Of(this.#held));
    // A message of one chunk has one hash; hashing it twice would double the cost of most mail.
    if (!(last && index === 0)) for (const piece of this.#held) this.#plainHash.update(piece);
    const cipher = createCipheriv('chacha20-poly1305', this.#key, chunkNonce(index, last), {
      authTagLength: tagBytes,
    });
    for (const piece of this.#held) this.#emit(out, cipher.update(piece));
    cipher.final();
    this.#emit(out, cipher.getAuthTag());
    this.#lengthBytes += this.#heldBytes;
    this.#held = [];
    this.#heldBytes = 0;
  }

  #emit(out: Uint8Array[], piece: Uint8Array): void {
    this.#storedHash.update(piece);
    this.#storedLength += piece.length;
    out.push(piece);
  }
}

/** Encrypts a small text, such as a head, at once. */
export const sealPayload = (fileKey: Uint8Array, nonce: Uint8Array, plain: Uint8Array): Uint8Array => {
  const key = payloadKey(fileKey, nonce);
  const stored = new Uint8Array(payloadLength(plain.length));
  stored.set(nonce, 0);
  const chunks = chunkCount(plain.length);
  for (let index = 0; index < chunks; index++) {
    const cipher = createCipheriv('chacha20-poly1305', key, chunkNonce(index, index === chunks - 1), {
      authTagLength: tagBytes,
    });
    const part = plain.subarray(index * chunkBytes, (index + 1) * chunkBytes);
    const at = payloadNonceBytes + index * sealedChunkBytes;
    stored.set(cipher.update(part), at);
    cipher.final();
    stored.set(cipher.getAuthTag(), at + part.length);
  }
  return stored;
};

/**
 * Decrypts a whole payload that is at hand, such as a head.
 *
 * @throws {FengniError} `payload-damaged`
 */
export const openWholePayload = (fileKey: Uint8Array, stored: Uint8Array): Uint8Array => {
  const plainLength = plainLengthOf(stored.length);
  if (plainLength === null) throw damaged(`a payload cannot have ${stored.length} octets`);
  const key = payloadKey(fileKey, stored.subarray(0, payloadNonceBytes));
  const chunks = chunkCount(plainLength);
  if (chunks === 1) return openChunk(key, 0, true, stored.subarray(payloadNonceBytes));
  const plain = new Uint8Array(plainLength);
  for (let index = 0; index < chunks; index++) {
    const at = payloadNonceBytes + index * sealedChunkBytes;
    plain.set(
      openChunk(key, index, index === chunks - 1, stored.subarray(at, at + sealedChunkBytes)),
      index * chunkBytes,
    );
  }
  return plain;
};

export interface PayloadSource {
  /** octets of the payload as stored */
  storedLength: number;
  /** exactly these octets of the payload, or throws */
  read(position: number, lengthBytes: number): Promise<Uint8Array>;
}

export interface PayloadReader {
  lengthBytes: number;
  /**
   * The octets start (inclusive) to end (exclusive), in pieces, each verified before it is given out; a range of up to
   * 1 MiB is verified as a whole before its first octet. Reads only the chunks that the range touches.
   *
   * @throws {FengniError} `payload-damaged`
   */
  range(start: number, end: number): AsyncGenerator<Uint8Array, void, void>;
  /** As `range`, verified as a whole, where the stored octets are in memory already; else null. */
  rangeAtHand(start: number, end: number): readonly Uint8Array[] | null;
}

/**
 * Opens a payload for reading any range of it.
 *
 * @param chunkHashes SHA-256 per 64 KiB of plaintext, from the head; null to rely on the AEAD alone
 * @throws {FengniError} `payload-damaged` when the stored length is impossible or contradicts the table
 */
export const openPayload = async (
  source: PayloadSource,
  fileKey: Uint8Array,
  chunkHashes: Uint8Array | null,
): Promise<PayloadReader> => {
  const lengthBytes = lengthOf(source.storedLength, chunkHashes);
  const chunks = chunkCount(lengthBytes);
  const key = payloadKey(fileKey, await source.read(0, payloadNonceBytes));

  const chunk = async (index: number): Promise<Uint8Array> => {
    const at = payloadNonceBytes + index * sealedChunkBytes;
    const stored = await source.read(at, Math.min(sealedChunkBytes, source.storedLength - at));
    return openNamedChunk(key, index, chunks, stored, chunkHashes);
  };

  return {
    lengthBytes,
    async *range(from, to) {
      const { start, end, first, last } = chunksOf(from, to, lengthBytes);
      if (end - start > wholeRangeBytesMax) {
        for (let index = first; index <= last; index++) yield part(await chunk(index), index, start, end);
        return;
      }
      const verified: Uint8Array[] = [];
      for (let index = first; index <= last; index++)
        verified.push(part(await chunk(index), index, start, end));
      yield* verified;
    },
    rangeAtHand: () => null,
  };
};

/**
 * As `openPayload`, for a payload whose stored octets are in memory.
 *
 * @throws {FengniError} `payload-damaged` when the stored length is impossible or contradicts the table
 */
export const openPayloadAtHand = (
  stored: Uint8Array,
  fileKey: Uint8Array,
  chunkHashes: Uint8Array | null,
): PayloadReader => {
  const lengthBytes = lengthOf(stored.length, chunkHashes);
  const chunks = chunkCount(lengthBytes);
  const key = payloadKey(fileKey, stored.subarray(0, payloadNonceBytes));
  const rangeAtHand = (from: number, to: number): Uint8Array[] => {
    const { start, end, first, last } = chunksOf(from, to, lengthBytes);
    const verified: Uint8Array[] = [];
    for (let index = first; index <= last; index++) {
      const at = payloadNonceBytes + index * sealedChunkBytes;
      const plain = openNamedChunk(
        key,
        index,
        chunks,
        stored.subarray(at, at + sealedChunkBytes),
        chunkHashes,
      );
      verified.push(part(plain, index, start, end));
    }
    return verified;
  };
  return {
    lengthBytes,
    async *range(from, to) {
      yield* rangeAtHand(from, to);
    },
    rangeAtHand,
  };
};

/** Octets of a payload's plaintext; refuses what its table contradicts. */
const lengthOf = (storedLength: number, chunkHashes: Uint8Array | null): number => {
  const lengthBytes = plainLengthOf(storedLength);
  if (lengthBytes === null) throw damaged(`a payload cannot have ${storedLength} octets`);
  const chunks = chunkCount(lengthBytes);
  if (chunkHashes !== null && chunkHashes.length !== chunks * 32)
    throw damaged(`${chunks} chunks, but a table of ${chunkHashes.length / 32}`);
  return lengthBytes;
};

/** The chunks that a range touches; an empty range touches none. */
const chunksOf = (
  from: number,
  to: number,
  lengthBytes: number,
): { start: number; end: number; first: number; last: number } => {
  const start = Math.max(0, from);
  const end = Math.min(lengthBytes, to);
  if (start >= end) return { start, end, first: 0, last: -1 };
  return { start, end, first: Math.floor(start / chunkBytes), last: Math.floor((end - 1) / chunkBytes) };
};

const part = (plain: Uint8Array, index: number, start: number, end: number): Uint8Array =>
  plain.subarray(Math.max(0, start - index * chunkBytes), end - index * chunkBytes);

const openNamedChunk = (
  key: Uint8Array,
  index: number,
  chunks: number,
  stored: Uint8Array,
  chunkHashes: Uint8Array | null,
): Uint8Array => {
  const plain = openChunk(key, index, index === chunks - 1, stored);
  if (chunkHashes !== null && !sha256Is(plain, chunkHashes.subarray(index * 32, index * 32 + 32)))
    throw damaged(`chunk ${index} is not the one that its head names`);
  return plain;
};

const openChunk = (key: Uint8Array, index: number, last: boolean, stored: Uint8Array): Uint8Array => {
  const cut = stored.length - tagBytes;
  if (cut < 0) throw damaged(`chunk ${index} has only ${stored.length} octets`);
  const decipher = createDecipheriv('chacha20-poly1305', key, chunkNonce(index, last), {
    authTagLength: tagBytes,
  });
  decipher.setAuthTag(stored.subarray(cut));
  const plain = decipher.update(stored.subarray(0, cut));
  try {
    decipher.final();
  } catch (cause) {
    throw damaged(`chunk ${index} fails its authentication`, cause);
  }
  return plain;
};

/**
 * HKDF-SHA-256 of one block. Written out with one-shot hashes over kept blocks: `hkdfSync` costs ten times as much, `createHmac` twice.
 *
 * @source RFC 5869 §2, RFC 2104 §2
 */
const payloadKey = (fileKey: Uint8Array, nonce: Uint8Array): Uint8Array => {
  if (fileKey.length !== fileKeyBytes || nonce.length !== payloadNonceBytes)
    throw new RangeError('file key and payload nonce have 16 octets');
  // extract: HMAC(salt = nonce, fileKey)
  for (let at = 0; at < payloadNonceBytes; at++) {
    const octet = nonce[at] as number;
    extractInner[at] = octet ^ innerPad;
    extractOuter[at] = octet ^ outerPad;
  }
  extractInner.set(fileKey, hmacBlockBytes);
  extractOuter.set(sha256(extractInner), hmacBlockBytes);
  const extracted = sha256(extractOuter);
  // expand: HMAC(extracted, info ‖ 0x01)
  for (let at = 0; at < extracted.length; at++) {
    const octet = extracted[at] as number;
    expandInner[at] = octet ^ innerPad;
    expandOuter[at] = octet ^ outerPad;
  }
  expandOuter.set(sha256(expandInner), hmacBlockBytes);
  const key = sha256(expandOuter);
  // no key stays behind in what is kept
  extractInner.fill(0, hmacBlockBytes);
  extractOuter.fill(0, hmacBlockBytes);
  expandInner.fill(innerPad, 0, extracted.length);
  expandOuter.fill(outerPad, 0, extracted.length).fill(0, hmacBlockBytes);
  return key;
};

const hmacBlockBytes = 64;
const innerPad = 0x36;
const outerPad = 0x5c;
const infoAndCounter = ascii('payload\u0001');
const extractInner = new Uint8Array(hmacBlockBytes + fileKeyBytes).fill(innerPad, 0, hmacBlockBytes);
const extractOuter = new Uint8Array(hmacBlockBytes + 32).fill(outerPad, 0, hmacBlockBytes);
const expandInner = new Uint8Array(hmacBlockBytes + infoAndCounter.length).fill(innerPad);
expandInner.set(infoAndCounter, hmacBlockBytes);
const expandOuter = new Uint8Array(hmacBlockBytes + 32).fill(outerPad, 0, hmacBlockBytes);

/** Valid until the next call: ciphers copy it. */
const chunkNonce = (index: number, last: boolean): Uint8Array => {
  nonceView.setUint32(7, index);
  nonceView.setUint8(11, last ? 1 : 0);
  return nonceOctets;
};

// A view into more octets, which native code takes as it is; a small array of its own would be moved for it each time.
const nonceView = new DataView(new ArrayBuffer(128), 0, 12);
const nonceOctets = new Uint8Array(nonceView.buffer, 0, 12);

const damaged = (subject: string, cause?: unknown): FengniError =>
  new FengniError('payload-damaged', {
    subject,
    remedy: 'run "fengni verify --repair"',
    exitStatus: 1,
    cause,
  });
