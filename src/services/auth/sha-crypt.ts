import { hash, timingSafeEqual } from 'node:crypto';
import { yielding } from './yielding.ts';

const alphabet = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const roundsDefault = 5_000;
const roundsMin = 1_000;
/** a million take about two seconds of a core; `crypt` itself would allow 999,999,999 */
const roundsMax = 1_000_000;
const roundsAtOnce = 2_000;

export interface ShaCrypt {
  readonly algorithm: 'sha256' | 'sha512';
  readonly rounds: number;
  /** up to 16 octets, as they stand in the text */
  readonly salt: string;
  readonly hash: string;
}

const pattern = /^\$([56])\$(?:rounds=(\d{1,9})\$)?([^$:\n]{0,16})\$([./0-9A-Za-z]+)$/;

/** Reads `$5$…` and `$6$…`; null where it is none, or asks for more than a million rounds. */
export const parseShaCrypt = (text: string): ShaCrypt | null => {
  const match = pattern.exec(text);
  if (match === null) return null;
  const algorithm = match[1] === '5' ? 'sha256' : 'sha512';
  const encoded = match[4] ?? '';
  if (encoded.length !== (algorithm === 'sha256' ? 43 : 86)) return null;
  const rounds = match[2] === undefined ? roundsDefault : Number(match[2]);
  if (rounds < roundsMin || rounds > roundsMax) return null;
  return { algorithm, rounds, salt: match[3] ?? '', hash: encoded };
};

/** @source U. Drepper, Unix crypt using SHA-256 and SHA-512, https://www.akkadia.org/drepper/SHA-crypt.txt */
export const shaCryptMatches = async (password: Uint8Array, crypt: ShaCrypt): Promise<boolean> =>
  timingSafeEqual(Buffer.from(await shaCrypt(password, crypt)), Buffer.from(crypt.hash));

/** The numbers of steps are the specification's. */
const shaCrypt = async (
  password: Uint8Array,
  { algorithm, rounds, salt: saltText }: Omit<ShaCrypt, 'hash'>,
): Promise<string> => {
  const digest = (...parts: Uint8Array[]): Buffer => hash(algorithm, Buffer.concat(parts), 'buffer');
  const salt = Buffer.from(saltText, 'utf8');
  // 4-8
  const b = digest(password, salt, password);
  // 9-12
  const parts: Uint8Array[] = [password, salt, repeated(b, password.length)];
  for (let bits = password.length; bits > 0; bits >>>= 1) parts.push((bits & 1) === 1 ? b : password);
  let at = digest(...parts);
  // 13-16
  const p = repeated(digest(...new Array<Uint8Array>(password.length).fill(password)), password.length);
  // 17-20
  const s = repeated(digest(...new Array<Uint8Array>(16 + (at[0] ?? 0)).fill(salt)), salt.length);
  // 21
  for (let round = 0; round < rounds; round++) {
    const step: Uint8Array[] = [(round & 1) === 1 ? p : at];
    if (round % 3 !== 0) step.push(s);
    if (round % 7 !== 0) step.push(p);
    step.push((round & 1) === 1 ? at : p);
    at = digest(...step);
    if (round % roundsAtOnce === roundsAtOnce - 1) await yielding();
  }
  return encode(at);
};

const repeated = (octets: Uint8Array, length: number): Uint8Array => {
  const out = Buffer.alloc(length);
  for (let from = 0; from < length; from += octets.length)
    out.set(octets.subarray(0, Math.min(octets.length, length - from)), from);
  return out;
};

/** Three octets by three, in the order that step 22 names, six bits at a time from the right. */
const encode = (digest: Uint8Array): string => {
  const octet = (at: number): number => digest[at] ?? 0;
  const third = digest.length === 32 ? 10 : 21;
  let out = '';
  const put = (value: number, signs: number): void => {
    for (let sign = 0, rest = value; sign < signs; sign++, rest >>>= 6) out += alphabet[rest & 63];
  };
  for (let at = 0, order = [0, third, 2 * third]; at < third; at++) {
    const [high = 0, middle = 0, low = 0] = order;
    put((octet(high) << 16) | (octet(middle) << 8) | octet(low), 4);
    // SHA-512 turns its thirds to the left, SHA-256 to the right
    order = digest.length === 32 ? [low + 1, high + 1, middle + 1] : [middle + 1, low + 1, high + 1];
  }
  if (digest.length === 32) put((octet(31) << 8) | octet(30), 3);
  else put(octet(63), 2);
  return out;
};
