import assert from 'node:assert/strict';
import { equalBytes } from '#base/bytes';
import { foldRoots, subtrees } from './compact-range.ts';
import { hashBytes, nodeHash } from './hash.ts';

/** The complete subtree over the leaves `index · 2^level` to `(index + 1) · 2^level`, exclusive. */
export interface TreeNode {
  readonly level: number;
  readonly index: number;
}

/** Gives the hashes of complete subtrees, in the order asked for. */
export type HashReader = (
  nodes: readonly TreeNode[],
) => Promise<readonly Uint8Array[]> | readonly Uint8Array[];

/**
 * Makes the audit path of one leaf, from its sibling up.
 *
 * @param index of the leaf, below `size`
 * @param size leaves in the tree
 * @source RFC 6962 §2.1.1
 */
export const makeInclusionProof = (
  index: number,
  size: number,
  read: HashReader,
): Promise<readonly Uint8Array[]> => {
  assert(Number.isSafeInteger(size) && index >= 0 && index < size, 'the leaf is in the tree');
  const ranges: Range[] = [];
  let from = 0;
  let to = size;
  while (to - from > 1) {
    const middle = from + splitPoint(to - from);
    if (index < middle) {
      ranges.unshift([middle, to]);
      to = middle;
    } else {
      ranges.unshift([from, middle]);
      from = middle;
    }
  }
  return rootsOf(ranges, read);
};

/**
 * Makes the proof that the tree of `newSize` leaves begins with the tree of `oldSize`.
 *
 * @param oldSize 0 to `newSize`; 0 and `newSize` give an empty proof
 * @source RFC 6962 §2.1.2
 */
export const makeConsistencyProof = (
  oldSize: number,
  newSize: number,
  read: HashReader,
): Promise<readonly Uint8Array[]> => {
  assert(Number.isSafeInteger(newSize) && oldSize >= 0 && oldSize <= newSize, 'the old tree is not larger');
  const ranges: Range[] = [];
  let from = 0;
  let to = newSize;
  if (oldSize === 0 || oldSize === newSize) return Promise.resolve([]);
  while (to !== oldSize) {
    const middle = from + splitPoint(to - from);
    if (oldSize <= middle) {
      ranges.unshift([middle, to]);
      to = middle;
    } else {
      ranges.unshift([from, middle]);
      from = middle;
    }
  }
  if (from !== 0) ranges.unshift([from, to]);
  return rootsOf(ranges, read);
};

/**
 * Whether a leaf hash stands at `index` of the tree with this size and root.
 *
 * @source RFC 9162 §2.1.3.2 (the algorithm; the tree is that of RFC 6962)
 */
export const verifyInclusion = (inclusion: {
  leafHash: Uint8Array;
  index: number;
  size: number;
  path: readonly Uint8Array[];
  root: Uint8Array;
}): boolean => {
  const { index, size, path } = inclusion;
  if (!isCount(index) || !isCount(size) || index >= size || !path.every(isHash)) return false;
  if (!isHash(inclusion.leafHash) || !isHash(inclusion.root)) return false;
  let node = index;
  let last = size - 1;
  let root = inclusion.leafHash;
  for (const sibling of path) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      root = nodeHash(sibling, root);
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else root = nodeHash(root, sibling);
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equalBytes(root, inclusion.root);
};

/**
 * Whether the tree of the new size and root begins with the tree of the old size and root.
 *
 * An old size of 0 proves nothing and is refused.
 *
 * @source RFC 9162 §2.1.4.2
 */
export const verifyConsistency = (consistency: {
  oldSize: number;
  oldRoot: Uint8Array;
  newSize: number;
  newRoot: Uint8Array;
  path: readonly Uint8Array[];
}): boolean => {
  const { oldSize, oldRoot, newSize, newRoot, path } = consistency;
  if (!isCount(oldSize) || !isCount(newSize) || oldSize > newSize || !path.every(isHash)) return false;
  if (oldSize === 0) return false;
  if (oldSize === newSize) return path.length === 0 && equalBytes(oldRoot, newRoot);
  if (!isHash(oldRoot)) return false;
  let node = oldSize - 1;
  let last = newSize - 1;
  while (node % 2 === 1) {
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  const rest = [...path];
  // an old tree that is one complete subtree is its own first hash
  const first = node === 0 ? oldRoot : rest.shift();
  if (first === undefined) return false;
  let oldHash = first;
  let newHash = first;
  for (const sibling of rest) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      oldHash = nodeHash(sibling, oldHash);
      newHash = nodeHash(sibling, newHash);
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else newHash = nodeHash(newHash, sibling);
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equalBytes(oldHash, oldRoot) && equalBytes(newHash, newRoot);
};

/** The complete subtrees that cover the first `size` leaves, the largest first. */
export const edgeNodes = (size: number): TreeNode[] => coveringNodes([0, size]);

type Range = readonly [from: number, to: number];

/** The largest power of two below `size`. */
const splitPoint = (size: number): number => {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
};

/** The hash of each range, all their nodes read at once. */
const rootsOf = async (ranges: readonly Range[], read: HashReader): Promise<readonly Uint8Array[]> => {
  const wanted = ranges.map(coveringNodes);
  const hashes = await read(wanted.flat());
  let at = 0;
  return wanted.map((nodes) => {
    const own = hashes.slice(at, at + nodes.length);
    at += nodes.length;
    assert(own.length === nodes.length && own.every(isHash), 'the reader gave every hash');
    return foldRoots(own);
  });
};

/** `from` is a multiple of every power of two up to the range's length, as in every split of RFC 6962. */
const coveringNodes = ([from, to]: Range): TreeNode[] => {
  let at = from;
  return subtrees(to - from).map((level) => {
    const node = { level, index: at / 2 ** level };
    at += 2 ** level;
    return node;
  });
};

const isHash = (hash: Uint8Array): boolean => hash.length === hashBytes;
const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
