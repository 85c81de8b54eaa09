import { equalBytes } from '#base/bytes';

export interface RsaNumbers {
  /** without zeros in front */
  readonly modulus: Uint8Array;
  readonly modulusBits: number;
  readonly exponentOctets: Uint8Array;
  /** null: more than 32 bits */
  readonly exponent: number | null;
}

const integerTag = 0x02;
const bitStringTag = 0x03;
const sequenceTag = 0x30;
/** 1.2.840.113549.1.1.1 and NULL */
const rsaEncryption = Buffer.from('06092a864886f70d0101010500', 'hex');

/**
 * The numbers of an RSA public key, in either of the forms that records have; null unless it is exactly one of them.
 *
 * Read here so that sizes are known before any library computes with them.
 *
 * @source RFC 6376 §3.6.1 (`p=`), RFC 8017 §A.1.1, RFC 5280 §4.1
 */
export const readRsaKey = (der: Uint8Array): RsaNumbers | null => {
  const outer = new DerReader(der);
  const whole = outer.take(sequenceTag);
  if (whole === null || !outer.atEnd) return null;
  const inner = new DerReader(whole);
  const algorithm = inner.take(sequenceTag);
  if (algorithm === null) return numbersOf(whole);
  const bits = inner.take(bitStringTag);
  if (bits === null || bits[0] !== 0 || !inner.atEnd || !equalBytes(algorithm, rsaEncryption)) return null;
  const key = new DerReader(bits.subarray(1));
  const numbers = key.take(sequenceTag);
  return numbers === null || !key.atEnd ? null : numbersOf(numbers);
};

const numbersOf = (sequence: Uint8Array): RsaNumbers | null => {
  const reader = new DerReader(sequence);
  const modulus = reader.takePositive();
  const exponentOctets = reader.takePositive();
  if (modulus === null || exponentOctets === null || !reader.atEnd) return null;
  const firstOctet = modulus[0] ?? 0;
  return {
    modulus,
    modulusBits: modulus.length * 8 - Math.clz32(firstOctet) + 24,
    exponentOctets,
    exponent: exponentOctets.length > 4 ? null : exponentOctets.reduce((sum, octet) => sum * 256 + octet, 0),
  };
};

class DerReader {
  readonly #octets: Uint8Array;
  #at = 0;

  constructor(octets: Uint8Array) {
    this.#octets = octets;
  }

  get atEnd(): boolean {
    return this.#at === this.#octets.length;
  }

  /** The content of the next value when it has this tag; null otherwise, and nothing is taken. */
  take(tag: number): Uint8Array | null {
    if (this.#octets[this.#at] !== tag) return null;
    let at = this.#at + 2;
    let length = this.#octets[this.#at + 1] ?? 0x80;
    if (length >= 0x80) {
      const count = length - 0x80;
      if (count === 0 || count > 3) return null;
      length = 0;
      for (let index = 0; index < count; index++) length = length * 256 + (this.#octets[at++] ?? 0);
    }
    if (at + length > this.#octets.length) return null;
    this.#at = at + length;
    return this.#octets.subarray(at, this.#at);
  }

  /** An INTEGER above 0, without the zero in front of it. Some records leave out that zero: such a number is taken as positive. */
  takePositive(): Uint8Array | null {
    const content = this.take(integerTag);
    if (content === null) return null;
    let start = 0;
    while (start < content.length && content[start] === 0) start++;
    return start === content.length ? null : content.subarray(start);
  }
}
