import { ascii, fromHex, hex, utf8 } from '#base/bytes';
import { canonicalJson, type Json, parseCanonicalJson } from '#base/canonical-json';

/** Body of COMMIT: the frames first..last (this one not among them) happened, all or none. */
export interface CommitBody {
  /** last seq known to be durable when this group was written: the end of the group before */
  acked: number;
  count: number;
  /** key epoch in use after this group, and slots taken in it */
  epoch: number;
  slots: number;
  first: number;
  generation: number;
  /** gap-free from 1 in each generation */
  group: number;
  last: number;
  /** leaves in the generation's ledger after this group */
  leaves: number;
  /** RFC 6962 root over the record hashes first..last */
  root: Uint8Array;
}

/** Body of SEAL: the segment's frames first..last, this one and COMMIT not among them. */
export interface SealBody {
  count: number;
  first: number;
  last: number;
  root: Uint8Array;
}

/** What an ERASED frame takes away: keys, each with what it held. */
export interface ErasedKey {
  epoch: number;
  slot: number;
}

export const encodeCommitBody = (body: CommitBody): Uint8Array =>
  utf8(canonicalJson({ ...body, root: hex(body.root) }));

/** Where each member of COMMIT's canonical JSON begins, in its order. */
const commitMembers = [
  'acked',
  'count',
  'epoch',
  'first',
  'generation',
  'group',
  'last',
  'leaves',
  'root',
  'slots',
].map((name, at) => ascii(`${at === 0 ? '{' : ','}"${name}":`));
const rootMember = 8;

/** Reads the octets as they stand, since a start reads one for each group: canonical JSON of these ten members, and nothing else. */
export const parseCommitBody = (octets: Uint8Array): CommitBody | null => {
  const numbers: number[] = [];
  let root: Uint8Array | null = null;
  let at = 0;
  for (const [number, member] of commitMembers.entries()) {
    for (let letter = 0; letter < member.length; letter++) if (octets[at++] !== member[letter]) return null;
    if (number === rootMember) {
      root = quotedHash(octets, at);
      if (root === null) return null;
      at += 66;
      continue;
    }
    const begun = at;
    let value = 0;
    for (; isDigit(octets[at]); at++) value = value * 10 + ((octets[at] as number) - zeroDigit);
    const length = at - begun;
    // More digits than a safe integer has, none, or a zero in front.
    if (length === 0 || length > 16 || (length > 1 && octets[begun] === zeroDigit)) return null;
    if (value > Number.MAX_SAFE_INTEGER) return null;
    numbers.push(value);
  }
  if (octets[at] !== closingBrace || at + 1 !== octets.length || root === null) return null;
  const [
    acked = 0,
    count = 0,
    epoch = 0,
    first = 0,
    generation = 0,
    group = 0,
    last = 0,
    leaves = 0,
    slots = 0,
  ] = numbers;
  if (first === 0 || group === 0 || last - first + 1 !== count || acked >= first) return null;
  return { acked, count, epoch, first, generation, group, last, leaves, slots, root };
};

const zeroDigit = 0x30;
const closingBrace = 0x7d;
const quote = 0x22;
const isDigit = (octet: number | undefined): boolean =>
  octet !== undefined && octet >= zeroDigit && octet <= 0x39;

/** 64 lower-case hexadecimal digits in quotation marks. */
const quotedHash = (octets: Uint8Array, at: number): Uint8Array | null => {
  if (octets[at] !== quote || octets[at + 65] !== quote) return null;
  const hash = new Uint8Array(32);
  for (let index = 0; index < 32; index++) {
    const high = digitOf(octets[at + 1 + 2 * index]);
    const low = digitOf(octets[at + 2 + 2 * index]);
    if (high < 0 || low < 0) return null;
    hash[index] = high * 16 + low;
  }
  return hash;
};

const digitOf = (octet: number | undefined): number =>
  octet === undefined
    ? -1
    : octet >= 0x30 && octet <= 0x39
      ? octet - 0x30
      : octet >= 0x61 && octet <= 0x66
        ? octet - 0x57
        : -1;

export const encodeSealBody = (body: SealBody): Uint8Array =>
  utf8(canonicalJson({ ...body, root: hex(body.root) }));

export const parseSealBody = (octets: Uint8Array): SealBody | null => {
  const value = objectOf(octets);
  if (value === null || Object.keys(value).length !== 4) return null;
  const { count, first, last } = value;
  const root = rootOf(value['root']);
  if (root === null || !isCount(count) || !isCount(first) || !isCount(last)) return null;
  return first > 0 && last - first + 1 === count ? { count, first, last, root } : null;
};

/** The keys that an ERASED frame destroys: `keys` in its canonical JSON, beside whatever else it says. */
export const parseErasedKeys = (octets: Uint8Array): readonly ErasedKey[] | null => {
  const keys = objectOf(octets)?.['keys'];
  if (!Array.isArray(keys)) return null;
  const parsed: ErasedKey[] = [];
  for (const key of keys as readonly Json[]) {
    if (typeof key !== 'object' || key === null || Array.isArray(key)) return null;
    const { epoch, slot } = key as Readonly<Record<string, Json>>;
    if (!isCount(epoch) || !isCount(slot)) return null;
    parsed.push({ epoch, slot });
  }
  return parsed;
};

const objectOf = (octets: Uint8Array): Readonly<Record<string, Json>> | null => {
  try {
    const value = parseCanonicalJson(octets);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, Json>>)
      : null;
  } catch {
    return null;
  }
};

const isCount = (value: Json | undefined): value is number => typeof value === 'number' && value >= 0;

const rootOf = (value: Json | undefined): Uint8Array | null =>
  typeof value === 'string' && /^[0-9a-f]{64}$/.test(value) ? fromHex(value) : null;
