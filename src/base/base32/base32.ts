const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
const values = new Map([...alphabet].map((letter, value) => [letter, value]));

/** Lower-case base 32 without padding of any number of octets. @source RFC 4648 §6 */
export const base32 = (octets: Uint8Array): string => {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const octet of octets) {
    held = ((held << 8) | octet) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet[(held >> bits) & 31];
    }
  }
  if (bits > 0) text += alphabet[(held << (5 - bits)) & 31];
  return text;
};

/** The octets of a text, or null when it is not lower-case, unpadded base 32 with zero spare bits. */
export const parseBase32 = (text: string): Uint8Array | null => {
  const octets = new Uint8Array(Math.floor((text.length * 5) / 8));
  let bits = 0;
  let held = 0;
  let at = 0;
  for (const letter of text) {
    const value = values.get(letter);
    if (value === undefined) return null;
    held = ((held << 5) | value) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      octets[at++] = (held >> bits) & 255;
    }
  }
  if (bits >= 5 || (held & ((1 << bits) - 1)) !== 0) return null;
  return octets;
};

/** A 64-bit number as 13 letters, most significant first: fixed width, so that the texts sort like the numbers. */
export const base32OfNumber = (value: number): string => {
  const octets = new Uint8Array(8);
  new DataView(octets.buffer).setBigUint64(0, BigInt(value));
  return base32(octets);
};

/** The number of a 13-letter text, or null when it is none or exceeds 2^53 − 1. */
export const parseBase32Number = (text: string): number | null => {
  const octets = text.length === 13 ? parseBase32(text) : null;
  if (octets === null) return null;
  const value = new DataView(octets.buffer).getBigUint64(0);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : null;
};
