import assert from 'node:assert/strict';
import { commitContent } from './commitment.ts';
import { treeRoot } from './compact-range.ts';
import { encodeRecipient } from './evidence.ts';
import { hashBytes, leafHash } from './hash.ts';
import { makeInclusionProof, verifyInclusion } from './merkle-proof.ts';

export interface Recipient {
  /** as given in RCPT TO, without angle brackets */
  readonly address: string;
  /** 32 octets of its own */
  readonly salt: Uint8Array;
}

/** Where one recipient's commitment stands, and the way from it to the root. */
export interface RecipientPlace {
  readonly index: number;
  /** one hash a level: the tree has 2^length leaves */
  readonly path: readonly Uint8Array[];
}

export interface RecipientsTree {
  /** what the leaf's `rcp` says */
  readonly root: Uint8Array;
  /** in the order of the recipients given */
  readonly places: readonly RecipientPlace[];
}

/** levels of the smallest tree: 4 leaves, so that one recipient looks like three */
export const recipientLevelsMin = 2;
/** levels of the largest: 65,536 recipients */
export const recipientLevelsMax = 16;

/**
 * Commits to each recipient alone: random order, the rest filled with random values, so that opening one says nothing
 * of the others and little of their number.
 *
 * @param recipients 1 to 65,536
 * @param random gives fresh octets
 */
export const buildRecipientsTree = async (
  recipients: readonly Recipient[],
  random: (lengthBytes: number) => Uint8Array,
): Promise<RecipientsTree> => {
  assert(recipients.length > 0 && recipients.length <= 2 ** recipientLevelsMax, '1 to 65,536 recipients');
  let levels = recipientLevelsMin;
  while (2 ** levels < recipients.length) levels++;
  const count = 2 ** levels;
  const order = shuffled(count, random);
  const leaves: Uint8Array[] = new Array(count);
  for (let place = 0; place < count; place++) {
    const recipient = recipients[place];
    const value =
      recipient === undefined
        ? random(hashBytes)
        : commitContent('rcp', recipient.salt, encodeRecipient(recipient.address));
    leaves[order[place] as number] = leafHash(value);
  }
  const nodes = [leaves];
  for (let level = 0; level < levels; level++) nodes.push(pairs(nodes[level] as Uint8Array[]));
  const read = (wanted: readonly { level: number; index: number }[]): Uint8Array[] =>
    wanted.map(({ level, index }) => nodes[level]?.[index] ?? assert.fail('a node of the tree'));
  const places = await Promise.all(
    recipients.map(async (_, place) => {
      const index = order[place] as number;
      return { index, path: await makeInclusionProof(index, count, read) };
    }),
  );
  return { root: treeRoot(leaves), places };
};

/** Whether an address with its salt is a recipient under this root. */
export const verifyRecipient = (root: Uint8Array, recipient: Recipient, place: RecipientPlace): boolean => {
  const levels = place.path.length;
  if (levels < recipientLevelsMin || levels > recipientLevelsMax) return false;
  return verifyInclusion({
    leafHash: leafHash(commitContent('rcp', recipient.salt, encodeRecipient(recipient.address))),
    index: place.index,
    size: 2 ** levels,
    path: place.path,
    root,
  });
};

const pairs = (hashes: readonly Uint8Array[]): Uint8Array[] =>
  Array.from({ length: hashes.length / 2 }, (_, index) => treeRoot(hashes.slice(2 * index, 2 * index + 2)));

/** The numbers 0 to count − 1, a power of two up to 65,536, every order equally likely. @source Fisher and Yates */
const shuffled = (count: number, random: (lengthBytes: number) => Uint8Array): number[] => {
  const order = Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last--) {
    const other = below(last + 1, random);
    [order[last], order[other]] = [order[other] as number, order[last] as number];
  }
  return order;
};

/** A number below `bound` ≤ 2^16; of 48 random bits, a bias below 2^-32 remains. */
const below = (bound: number, random: (lengthBytes: number) => Uint8Array): number => {
  const octets = random(6);
  const view = new DataView(octets.buffer, octets.byteOffset, 6);
  return (view.getUint16(0) * 2 ** 32 + view.getUint32(2)) % bound;
};
