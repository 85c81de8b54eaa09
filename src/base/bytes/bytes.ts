const encoder = new TextEncoder();

/** The octets of a text in UTF-8. */
export const utf8 = (text: string): Uint8Array => encoder.encode(text);

/** The octets of a text of ASCII characters; anything else is a bug in the caller. */
export const ascii = (text: string): Uint8Array => {
  const octets = encoder.encode(text);
  if (octets.length !== text.length) throw new RangeError('ascii: the text has characters beyond U+007F');
  return octets;
};

/** One character an octet, U+0000 to U+00FF: reversible for any octets. */
export const latin1 = (octets: Uint8Array): string =>
  Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('latin1');

/** The inverse of `latin1`. */
export const fromLatin1 = (text: string): Uint8Array => Buffer.from(text, 'latin1');

/** A new array with the pieces one after the other. For headers and frames; bodies are passed on in pieces. */
export const concat = (pieces: readonly Uint8Array[]): Uint8Array => {
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

export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false;
  if (a.length > comparedHereBytesMax) return Buffer.compare(a, b) === 0;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
};

/** Up to here, V8 keeps an array's octets in its own heap: native code would have them moved first, which costs more than comparing them. */
const comparedHereBytesMax = 64;

export const hex = (octets: Uint8Array): string =>
  Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('hex');

/** The octets of an even number of hexadecimal digits, or null. */
export const fromHex = (text: string): Uint8Array | null =>
  text.length % 2 === 0 && /^[0-9a-fA-F]*$/.test(text) ? new Uint8Array(Buffer.from(text, 'hex')) : null;
