import { FengniError } from '#base/errors';

/** The standard base 64 text with padding. @source RFC 4648 §4 */
export const base64 = (octets: Uint8Array): string =>
  Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('base64');

/** The octets of a base 64 text, or null unless `base64` would write exactly this text. @source RFC 4648 §3.5 */
export const parseBase64 = (text: string): Uint8Array | null => {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  const octets = Buffer.from(text, 'base64');
  return octets.toString('base64') === text ? new Uint8Array(octets) : null;
};

/** The 32 octets of a base 64 text, or null. As `parseBase64`, for what every leaf and every head has many of. */
export const parseHash = (text: string): Uint8Array | null => {
  if (text.length !== 44 || text[43] !== '=') return null;
  const octets = new Uint8Array(32);
  let at = 0;
  for (let from = 0; from < 40; from += 4) {
    const bits =
      (sextet(text, from) << 18) |
      (sextet(text, from + 1) << 12) |
      (sextet(text, from + 2) << 6) |
      sextet(text, from + 3);
    if (bits < 0) return null;
    octets[at++] = bits >> 16;
    octets[at++] = bits >> 8;
    octets[at++] = bits;
  }
  const bits = (sextet(text, 40) << 12) | (sextet(text, 41) << 6) | sextet(text, 42);
  // Two bits are left over, and have one spelling.
  if (bits < 0 || (bits & 3) !== 0) return null;
  octets[30] = bits >> 10;
  octets[31] = bits >> 2;
  return octets;
};

/** The value of a base 64 character, or −1: which makes everything negative that it is put together with. */
const sextet = (text: string, at: number): number => sextets[text.charCodeAt(at)] ?? -1;
const sextets = new Int8Array(128).fill(-1);
for (const [value, letter] of [
  ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
].entries())
  sextets[letter.charCodeAt(0)] = value;

/** An ASCII decimal without leading zeros, at most 2^53 − 1, or null. */
export const parseDecimal = (text: string): number | null => {
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text)) return null;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : null;
};

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of octets in UTF-8, or null when they are not UTF-8. */
export const parseUtf8 = (octets: Uint8Array): string | null => {
  try {
    return decoder.decode(octets);
  } catch {
    return null;
  }
};

/** An instant in ISO 8601 with milliseconds in UTC, years 0000 to 9999. */
export const isoTime = (timeMs: number): string => {
  const text = Number.isSafeInteger(timeMs) ? safeIso(timeMs) : '';
  if (text.length !== 24) throw new RangeError(`time ${timeMs} has no four-digit year`);
  return text;
};

/** The milliseconds since 1970 of a text that `isoTime` writes, or null. */
export const parseIsoTime = (text: string): number | null => {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text)) return null;
  const timeMs = Date.parse(text);
  return !Number.isNaN(timeMs) && safeIso(timeMs) === text ? timeMs : null;
};

const safeIso = (timeMs: number): string => {
  const date = new Date(timeMs);
  return Number.isNaN(date.getTime()) ? '' : date.toISOString();
};

/** The error of every text of this module that is not what its grammar says. */
export const malformed = (what: string, why: string): FengniError =>
  new FengniError(`${what}-malformed`, {
    subject: why,
    remedy: `it was damaged or is not a ${what}; get it again from where it came`,
    // a key comes from the person who asks, all else from what is checked
    exitStatus: what === 'key' ? 2 : 1,
  });
