import { timingSafeEqual } from 'node:crypto';
import { yielding } from './yielding.ts';

const alphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
/** 2^12 rounds take about half a second of a core, 2^14 two */
const costMax = 14;
const costMin = 4;
const passwordBytesMax = 72;
const saltBytes = 16;
const hashBytes = 23;
const magic = Buffer.from('OrpheanBeholderScryDoubt');
const roundsAtOnce = 8;

export interface Bcrypt {
  /** rounds as a power of two */
  readonly cost: number;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

/** `2x` is left out: it names hashes of a broken implementation. */
const pattern = /^\$2[aby]\$(\d\d)\$([./A-Za-z0-9]{22})([./A-Za-z0-9]{31})$/;

/** Reads `$2a$`, `$2b$` and `$2y$`; null where it is none, or asks for more than 2^14 rounds. */
export const parseBcrypt = (text: string): Bcrypt | null => {
  const match = pattern.exec(text);
  if (match === null) return null;
  const cost = Number(match[1]);
  if (cost < costMin || cost > costMax) return null;
  return { cost, salt: decode(match[2] ?? '', saltBytes), hash: decode(match[3] ?? '', hashBytes) };
};

/**
 * Whether a password belongs to a bcrypt hash.
 *
 * @source N. Provos, D. Mazières, A Future-Adaptable Password Scheme (USENIX 1999); Blowfish: B. Schneier (FSE 1993)
 */
export const bcryptMatches = async (password: Uint8Array, bcrypt: Bcrypt): Promise<boolean> =>
  timingSafeEqual(await hash(password, bcrypt), bcrypt.hash);

const hash = async (password: Uint8Array, { cost, salt }: Omit<Bcrypt, 'hash'>): Promise<Uint8Array> => {
  const key = new Uint8Array(Math.min(password.length + 1, passwordBytesMax));
  key.set(password.subarray(0, key.length));
  const keyWords = words(key);
  const saltWords = words(salt);
  const zero = new Uint32Array(18);
  const cipher = new Blowfish();
  cipher.expand(keyWords, saltWords.subarray(0, 4));
  for (let round = 0; round < 2 ** cost; round++) {
    cipher.expand(keyWords, zero);
    cipher.expand(saltWords, zero);
    if (round % roundsAtOnce === roundsAtOnce - 1) await yielding();
  }
  const text = Uint32Array.from({ length: 6 }, (_, at) => magic.readUInt32BE(4 * at));
  for (let block = 0; block < 6; block += 2) {
    for (let time = 0; time < 64; time++) cipher.encrypt(text, block);
  }
  const out = Buffer.alloc(24);
  text.forEach((word, at) => void out.writeUInt32BE(word, 4 * at));
  return out.subarray(0, hashBytes);
};

/** A key's octets over and over as the 18 words that the subkeys take. */
const words = (key: Uint8Array): Uint32Array => {
  const out = new Uint32Array(18);
  for (let at = 0; at < 72; at++) {
    const word = at >> 2;
    out[word] = ((out[word] ?? 0) << 8) | (key[at % key.length] ?? 0);
  }
  return out;
};

/** Blowfish's tables are the first digits of π: 18 subkeys, then four boxes of 256 words. */
let piWords: Uint32Array | null = null;

const blowfishWords = 18 + 4 * 256;

/** The fraction of π in words of 32 bits. @source J. Machin: π = 16 arctan(1/5) - 4 arctan(1/239) */
const pi = (): Uint32Array => {
  if (piWords !== null) return piWords;
  const guardBits = 64n;
  const bits = BigInt(32 * blowfishWords);
  const one = 1n << (bits + guardBits);
  const arctan = (inverse: bigint): bigint => {
    const square = inverse * inverse;
    let term = one / inverse;
    let sum = term;
    for (let at = 3n, negative = true; term !== 0n; at += 2n, negative = !negative) {
      term /= square;
      sum += negative ? -(term / at) : term / at;
    }
    return sum;
  };
  const digits = ((16n * arctan(5n) - 4n * arctan(239n)) >> guardBits) & ((1n << bits) - 1n);
  const text = digits.toString(16).padStart(8 * blowfishWords, '0');
  piWords = Uint32Array.from({ length: blowfishWords }, (_, at) =>
    Number.parseInt(text.slice(8 * at, 8 * at + 8), 16),
  );
  return piWords;
};

class Blowfish {
  readonly #subkeys: Uint32Array;
  readonly #boxes: Uint32Array;
  readonly #block = new Uint32Array(2);

  constructor() {
    const start = pi();
    this.#subkeys = start.slice(0, 18);
    this.#boxes = start.slice(18);
  }

  /** One block of two words, in its place. */
  encrypt(block: Uint32Array, at: number): void {
    const subkeys = this.#subkeys;
    const boxes = this.#boxes;
    let left = block[at] as number;
    let right = block[at + 1] as number;
    for (let round = 0; round < 16; round += 2) {
      left ^= subkeys[round] as number;
      right ^=
        ((((boxes[left >>> 24] as number) + (boxes[256 + ((left >>> 16) & 255)] as number)) ^
          (boxes[512 + ((left >>> 8) & 255)] as number)) +
          (boxes[768 + (left & 255)] as number)) ^
        (subkeys[round + 1] as number);
      left ^=
        (((boxes[right >>> 24] as number) + (boxes[256 + ((right >>> 16) & 255)] as number)) ^
          (boxes[512 + ((right >>> 8) & 255)] as number)) +
        (boxes[768 + (right & 255)] as number);
    }
    block[at] = right ^ (subkeys[17] as number);
    block[at + 1] = left ^ (subkeys[16] as number);
  }

  /** The key schedule, with a salt of 4 words, or of none but zeros. */
  expand(key: Uint32Array, salt: Uint32Array): void {
    const subkeys = this.#subkeys;
    const block = this.#block;
    block.fill(0);
    for (let at = 0; at < 18; at++) subkeys[at] = (subkeys[at] as number) ^ (key[at] as number);
    let from = 0;
    for (const table of [subkeys, this.#boxes]) {
      for (let at = 0; at < table.length; at += 2) {
        block[0] = (block[0] as number) ^ (salt[from] as number);
        block[1] = (block[1] as number) ^ (salt[from + 1] as number);
        from = (from + 2) & 3;
        this.encrypt(block, 0);
        table[at] = block[0] as number;
        table[at + 1] = block[1] as number;
      }
    }
  }
}

/** bcrypt's own base64: the usual bits, another alphabet, no padding. */
const decode = (text: string, length: number): Uint8Array => {
  const out = new Uint8Array(length);
  let bits = 0;
  let count = 0;
  let at = 0;
  for (const sign of text) {
    bits = ((bits << 6) | alphabet.indexOf(sign)) & 0xffff;
    count += 6;
    if (count < 8 || at === length) continue;
    count -= 8;
    out[at++] = (bits >> count) & 255;
  }
  return out;
};
