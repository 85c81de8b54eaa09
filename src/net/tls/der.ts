import { concat } from '#base/bytes';

/** DER of the few types that our certificates need. @source ITU-T X.690 §8, §10 */
const tlv = (tag: number, ...contents: Uint8Array[]): Uint8Array => {
  let length = 0;
  for (const content of contents) length += content.length;
  const head = [tag];
  if (length < 0x80) head.push(length);
  else if (length < 0x100) head.push(0x81, length);
  else if (length < 0x1_0000) head.push(0x82, length >> 8, length & 255);
  else throw new RangeError('der: a value of 64 KiB or more');
  return concat([Uint8Array.from(head), ...contents]);
};

export const derSequence = (...contents: Uint8Array[]): Uint8Array => tlv(0x30, ...contents);
export const derSet = (...contents: Uint8Array[]): Uint8Array => tlv(0x31, ...contents);
export const derOctets = (...contents: Uint8Array[]): Uint8Array => tlv(0x04, ...contents);
export const derTrue = Uint8Array.of(0x01, 0x01, 0xff);
export const derUtf8 = (text: string): Uint8Array => tlv(0x0c, Buffer.from(text, 'utf8'));

/** Context-specific, constructed: an explicit tag, or an implicit one over a sequence. */
export const derContext = (number: number, ...contents: Uint8Array[]): Uint8Array =>
  tlv(0xa0 | number, ...contents);
/** Context-specific, primitive: an implicit tag. */
export const derImplicit = (number: number, content: Uint8Array): Uint8Array => tlv(0x80 | number, content);

/** A non-negative integer of big-endian octets. */
export const derInteger = (octets: Uint8Array): Uint8Array => {
  let at = 0;
  while (at < octets.length - 1 && octets[at] === 0) at++;
  const least = octets.subarray(at);
  return (least[0] ?? 0) >= 0x80 ? tlv(0x02, Uint8Array.of(0), least) : tlv(0x02, least);
};

export const derBits = (octets: Uint8Array, unusedBits = 0): Uint8Array =>
  tlv(0x03, Uint8Array.of(unusedBits), octets);

export const derOid = (dotted: string): Uint8Array => {
  const arcs = dotted.split('.').map(Number);
  const octets: number[] = [];
  for (const arc of [(arcs[0] ?? 0) * 40 + (arcs[1] ?? 0), ...arcs.slice(2)]) {
    const groups = [arc & 0x7f];
    for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128))
      groups.unshift(0x80 | (rest & 0x7f));
    octets.push(...groups);
  }
  return tlv(0x06, Uint8Array.from(octets));
};

/** UTCTime to 2049, GeneralizedTime after. @source RFC 5280 §4.1.2.5 */
export const derTime = (ms: number): Uint8Array => {
  const text = new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14);
  return Number(text.slice(0, 4)) < 2050
    ? tlv(0x17, Buffer.from(`${text.slice(2)}Z`, 'latin1'))
    : tlv(0x18, Buffer.from(`${text}Z`, 'latin1'));
};

export interface DerValue {
  tag: number;
  content: Uint8Array;
}

/** The values that lie one after the other in the octets, or null where they are not DER. Low tag numbers only. */
export const derValues = (octets: Uint8Array): DerValue[] | null => {
  const values: DerValue[] = [];
  let at = 0;
  while (at < octets.length) {
    const tag = octets[at++] ?? 0;
    let length = octets[at++];
    if (length === undefined || (tag & 0x1f) === 0x1f) return null;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 4 || at + count > octets.length) return null;
      length = 0;
      for (let index = 0; index < count; index++) length = length * 256 + (octets[at++] ?? 0);
      // X.690 §10.1: the shortest form only
      if (length < 0x80 || length < 256 ** (count - 1)) return null;
    }
    if (at + length > octets.length) return null;
    values.push({ tag, content: octets.subarray(at, at + length) });
    at += length;
  }
  return values;
};
