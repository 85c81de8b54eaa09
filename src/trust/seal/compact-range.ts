import assert from 'node:assert/strict';
import { concat } from '#base/bytes';
import { emptyRoot, hashBytes, nodeHash } from './hash.ts';
import { malformed } from './text.ts';

/**
 * The right edge of a tree: what is needed to append to it and to know its root.
 *
 * One hash for each set bit of `size`, the largest subtree first. At most 53 hashes.
 */
export class CompactRange {
  #size: number;
  readonly #hashes: Uint8Array[];

  constructor(size = 0, hashes: readonly Uint8Array[] = []) {
    assert(Number.isSafeInteger(size) && size >= 0, 'size is a count');
    assert.equal(hashes.length, subtrees(size).length, 'one hash for each set bit of the size');
    this.#size = size;
    this.#hashes = [...hashes];
  }

  /** leaves so far */
  get size(): number {
    return this.#size;
  }

  /** the hashes of the complete subtrees, the largest first */
  get hashes(): readonly Uint8Array[] {
    return this.#hashes;
  }

  /** Appends the hash of one leaf. */
  append(hash: Uint8Array): void {
    assert.equal(hash.length, hashBytes);
    assert(this.#size < Number.MAX_SAFE_INTEGER);
    let node = hash;
    for (let size = this.#size; size % 2 === 1; size = (size - 1) / 2) {
      const left = this.#hashes.pop();
      assert(left !== undefined);
      node = nodeHash(left, node);
    }
    this.#hashes.push(node);
    this.#size += 1;
  }

  /** The Merkle tree hash of all leaves so far. @source RFC 6962 §2.1 */
  root(): Uint8Array {
    return foldRoots(this.#hashes);
  }

  copy(): CompactRange {
    const copy = new CompactRange();
    copy.#size = this.#size;
    copy.#hashes.push(...this.#hashes);
    return copy;
  }

  /** 8 octets of size, then the hashes. */
  serialise(): Uint8Array {
    const size = new Uint8Array(8);
    new DataView(size.buffer).setBigUint64(0, BigInt(this.#size));
    return concat([size, ...this.#hashes]);
  }

  /** @throws {FengniError} `compact-range-malformed` */
  static parse(octets: Uint8Array): CompactRange {
    if (octets.length < 8) throw malformed('compact-range', 'shorter than its size field');
    const big = new DataView(octets.buffer, octets.byteOffset).getBigUint64(0);
    if (big > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed('compact-range', 'size beyond 2^53');
    const count = subtrees(Number(big)).length;
    if (octets.length !== 8 + count * hashBytes) throw malformed('compact-range', 'wrong number of hashes');
    const hashes = Array.from({ length: count }, (_, index) =>
      octets.slice(8 + index * hashBytes, 8 + (index + 1) * hashBytes),
    );
    return new CompactRange(Number(big), hashes);
  }
}

/** The root over complete subtrees of falling size, the largest first. */
export const foldRoots = (hashes: readonly Uint8Array[]): Uint8Array => {
  let root: Uint8Array | undefined;
  for (let index = hashes.length - 1; index >= 0; index--) {
    const hash = hashes[index] as Uint8Array;
    root = root === undefined ? hash : nodeHash(hash, root);
  }
  return root ?? emptyRoot;
};

/** The Merkle tree hash over the hashes of leaves. @source RFC 6962 §2.1 */
export const treeRoot = (leafHashes: Iterable<Uint8Array>): Uint8Array => {
  const range = new CompactRange();
  for (const hash of leafHashes) range.append(hash);
  return range.root();
};

/** The levels of the complete subtrees of a tree, the largest first: 13 = 8 + 4 + 1 gives 3, 2, 0. */
export const subtrees = (size: number): number[] => {
  const levels: number[] = [];
  for (let level = 0, rest = size; rest > 0; level++, rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) levels.unshift(level);
  }
  return levels;
};
