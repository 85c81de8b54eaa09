import { FengniError } from '#base/errors';
import { encodeProof, type Leaf, leafHash, parseLeaf } from '#trust/seal';
import { type Ledgers, ledgerOf, newestHead, type PublishedHead, publishedHead } from './sealed-place.ts';

/** A leaf as people look at it. */
export interface ShownLeaf {
  index: number;
  leaf: Leaf;
  /** the ledger's entry */
  octets: Uint8Array;
}

/**
 * The head to look at: the newest of all, or a generation's.
 *
 * @throws {FengniError} `ledger-empty` before the first head
 */
export const headToShow = async (ledgers: Ledgers, generation: number | null): Promise<PublishedHead> => {
  const head = generation === null ? await newestHead(ledgers) : await publishedHead(ledgers, generation);
  if (head !== null) return head;
  throw new FengniError('ledger-empty', {
    subject: generation === null ? 'no head was signed yet' : `generation ${generation} has no signed head`,
    remedy: 'wait a moment after the first message, and see "fengni status": the sealer has to sign',
  });
};

/**
 * The leaves `from` to before `from + count` under a head; fewer where it ends.
 *
 * @throws {FengniError} `ledger-damaged`, `leaf-malformed` (exit status 1)
 */
export async function* shownLeaves(
  ledgers: Ledgers,
  head: PublishedHead,
  from: number,
  count: number,
): AsyncGenerator<ShownLeaf> {
  const { size } = head.checkpoint;
  const first = Math.min(from, size);
  let index = first;
  for await (const octets of ledgerOf(ledgers, head.generation).entries(
    first,
    Math.min(first + count, size),
    size,
  )) {
    yield { index, leaf: parseLeaf(octets), octets };
    index += 1;
  }
}

export interface ShownProof {
  /** of the tree that it leads to */
  size: number;
  root: Uint8Array;
  path: readonly Uint8Array[];
}

/**
 * Proves that a leaf stands in the tree of `size` leaves, which the signed head is or continues.
 *
 * @throws {FengniError} `ledger-damaged` (exit status 1)
 */
export const proveInclusion = async (
  ledgers: Ledgers,
  head: PublishedHead,
  index: number,
  size: number,
): Promise<ShownProof & { leafHash: Uint8Array; octets: Uint8Array; tlogProof: Uint8Array | null }> => {
  const reader = ledgerOf(ledgers, head.generation);
  const root = await reader.rootOf(size, head.checkpoint);
  for await (const octets of reader.entries(index, index + 1, head.checkpoint.size)) {
    const path = await reader.inclusion(index, octets, { size, root });
    // Only the tree that is signed gives a proof that stands alone.
    const tlogProof =
      size === head.checkpoint.size ? encodeProof({ extra: null, index, path, checkpoint: head.note }) : null;
    return { size, root, path, leafHash: leafHash(octets), octets, tlogProof };
  }
  throw new TypeError('the leaf is in the tree');
};

/** Proves that the tree of `newSize` leaves begins with that of `oldSize`. @throws {FengniError} `ledger-damaged` (exit status 1) */
export const proveConsistency = async (
  ledgers: Ledgers,
  head: PublishedHead,
  oldSize: number,
  newSize: number,
): Promise<ShownProof & { oldRoot: Uint8Array }> => {
  const reader = ledgerOf(ledgers, head.generation);
  const oldRoot = await reader.rootOf(oldSize, head.checkpoint);
  const root = await reader.rootOf(newSize, head.checkpoint);
  const path = await reader.consistency({ size: oldSize, root: oldRoot }, { size: newSize, root });
  return { size: newSize, root, path, oldRoot };
};
