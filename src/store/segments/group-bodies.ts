import { fromHex, hex, utf8 } from '#base/bytes';
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

export const parseCommitBody = (octets: Uint8Array): CommitBody | null => {
  const value = objectOf(octets);
  if (value === null) return null;
  const names = [
    'acked',
    'count',
    'epoch',
    'first',
    'generation',
    'group',
    'last',
    'leaves',
    'slots',
  ] as const;
  const numbers = names.map((name) => value[name]);
  const root = rootOf(value['root']);
  if (root === null || !numbers.every(isCount) || Object.keys(value).length !== names.length + 1) return null;
  const [acked, count, epoch, first, generation, group, last, leaves, slots] = numbers as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (first === 0 || group === 0 || last - first + 1 !== count || acked >= first) return null;
  return { acked, count, epoch, first, generation, group, last, leaves, slots, root };
};

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
