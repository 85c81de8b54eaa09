import assert from 'node:assert/strict';
import { equalBytes } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { Io } from '#store/durable';
import {
  type Checkpoint,
  CompactRange,
  edgeNodes,
  type HashReader,
  leafHash,
  makeConsistencyProof,
  makeInclusionProof,
  parseBundle,
  parseTile,
  type TileName,
  type TreeNode,
  tileHeight,
  tilePath,
  tileWidth,
  treeRoot,
  verifyConsistency,
  verifyInclusion,
} from '#trust/seal';
import { namesIn, octetsIn, partialsFolder } from './tile-files.ts';

/**
 * Reads a ledger folder beside its writer.
 *
 * Nothing read is believed: a proof is verified against the head that it is for before it leaves.
 */
export class LedgerReader {
  readonly #io: Io;
  readonly #folder: string;
  /** full hash tiles, the last used last */
  readonly #cache = new Map<string, readonly Uint8Array[]>();

  constructor(io: Io, folder: string) {
    this.#io = io;
    this.#folder = folder;
  }

  /**
   * The octets of a tile or bundle, null where the ledger has none. A partial one whose file was replaced by a wider one
   * is cut from that.
   */
  async readTile(tile: TileName): Promise<Uint8Array | null> {
    const full = `${this.#folder}/${tilePath({ ...tile, width: tileWidth })}`;
    for (const width of await this.#widths(tile, full)) {
      const octets = await octetsIn(this.#io, `${this.#folder}/${tilePath({ ...tile, width })}`);
      if (octets === null) continue;
      return width === tile.width ? octets : cut(tile, octets, width);
    }
    return null;
  }

  /** The signed head as it lies in the folder, null before the first. */
  async readCheckpoint(): Promise<Uint8Array | null> {
    return await octetsIn(this.#io, `${this.#folder}/checkpoint`);
  }

  /**
   * The entries `from` to `to`, exclusive, of a tree of `size` leaves.
   *
   * @throws {FengniError} `ledger-damaged` for a bundle that is absent or malformed
   */
  async *entries(from: number, to: number, size: number): AsyncGenerator<Uint8Array> {
    assert(from >= 0 && from <= to && to <= size);
    for (let at = from; at < to; ) {
      const index = Math.floor(at / tileWidth);
      const first = index * tileWidth;
      const tile: TileName = { level: 'entries', index, width: Math.min(tileWidth, size - first) };
      const octets = await this.readTile(tile);
      if (octets === null) throw damaged(`${tilePath(tile)} is absent`);
      const entries = parseOrDamaged(tile, () => parseBundle(octets, tile.width));
      const end = Math.min(to, first + tile.width);
      for (; at < end; at++) yield entries[at - first] as Uint8Array;
    }
  }

  /**
   * Proves that an entry stands at `index` under a head.
   *
   * @throws {FengniError} `ledger-damaged` when the tiles do not lead to the head's root
   */
  async inclusion(
    index: number,
    entry: Uint8Array,
    head: Pick<Checkpoint, 'size' | 'root'>,
  ): Promise<readonly Uint8Array[]> {
    const path = await makeInclusionProof(index, head.size, this.#hashes(head.size));
    const { size, root } = head;
    if (!verifyInclusion({ leafHash: leafHash(entry), index, size, path, root }))
      throw damaged(`the tiles do not prove leaf ${index} under the head of ${size} leaves`);
    return path;
  }

  /** Proves that one head continues another. @throws {FengniError} `ledger-damaged` */
  async consistency(
    old: Pick<Checkpoint, 'size' | 'root'>,
    head: Pick<Checkpoint, 'size' | 'root'>,
  ): Promise<readonly Uint8Array[]> {
    const path = await makeConsistencyProof(old.size, head.size, this.#hashes(head.size));
    const both = { oldSize: old.size, oldRoot: old.root, newSize: head.size, newRoot: head.root, path };
    if (!verifyConsistency(both))
      throw damaged(`the tiles do not lead from the head of ${old.size} to that of ${head.size} leaves`);
    return path;
  }

  /**
   * The root of the first `size` leaves, as a tree that a signed head continues: nothing else of the tiles is believed.
   *
   * @throws {FengniError} `ledger-damaged`
   */
  async rootOf(size: number, head: Pick<Checkpoint, 'size' | 'root'>): Promise<Uint8Array> {
    if (size === head.size) return head.root;
    const root = new CompactRange(size, await this.#hashes(head.size)(edgeNodes(size))).root();
    if (size > 0) await this.consistency({ size, root }, head);
    return root;
  }

  /** Makes hashes of complete subtrees from the tiles of a tree of `size` leaves. */
  #hashes(size: number): HashReader {
    return async (nodes: readonly TreeNode[]) => {
      const hashes: Uint8Array[] = [];
      for (const { level, index } of nodes) {
        const tileLevel = Math.floor(level / tileHeight);
        const count = 2 ** (level % tileHeight);
        const first = index * count;
        const tile = await this.#hashTile(tileLevel, Math.floor(first / tileWidth), size);
        const from = first % tileWidth;
        hashes.push(treeRoot(tile.slice(from, from + count)));
      }
      return hashes;
    };
  }

  async #hashTile(level: number, index: number, size: number): Promise<readonly Uint8Array[]> {
    const count = Math.floor(size / tileWidth ** level);
    const tile: TileName = { level, index, width: Math.min(tileWidth, count - index * tileWidth) };
    const key = tilePath(tile);
    const cached = this.#cache.get(key);
    if (cached !== undefined) {
      this.#cache.delete(key);
      this.#cache.set(key, cached);
      return cached;
    }
    const octets = await this.readTile(tile);
    if (octets === null) throw damaged(`${key} is absent`);
    const hashes = parseOrDamaged(tile, () => parseTile(octets, tile.width));
    if (tile.width === tileWidth) {
      const oldest = this.#cache.keys().next();
      if (this.#cache.size >= cachedTilesMax && !oldest.done) this.#cache.delete(oldest.value);
      this.#cache.set(key, hashes);
    }
    return hashes;
  }

  /** The widths under which a tile may lie, the best first. */
  async #widths(tile: TileName, fullPath: string): Promise<number[]> {
    if (tile.width === tileWidth) return [tileWidth];
    const names = await namesIn(this.#io, partialsFolder(fullPath));
    const wider = names.map(Number).filter((width) => width > tile.width && width < tileWidth);
    return [tile.width, tileWidth, ...wider.sort((a, b) => a - b)];
  }
}

/** 8 KiB each */
const cachedTilesMax = 256;

const cut = (tile: TileName, octets: Uint8Array, width: number): Uint8Array => {
  if (tile.level !== 'entries') return octets.subarray(0, tile.width * 32);
  const entries = parseOrDamaged(tile, () => parseBundle(octets, width));
  const length = entries.slice(0, tile.width).reduce((sum, entry) => sum + 2 + entry.length, 0);
  return octets.subarray(0, length);
};

const parseOrDamaged = <T>(tile: TileName, parse: () => T): T => {
  try {
    return parse();
  } catch (cause) {
    throw damaged(tilePath(tile), cause);
  }
};

const damaged = (subject: string, cause?: unknown): FengniError =>
  new FengniError('ledger-damaged', {
    subject,
    remedy: 'run "fengni verify --repair": the ledger is made again from the log',
    exitStatus: 1,
    cause,
  });

/** Whether two octet strings are equal, null being none. */
export const sameOctets = (a: Uint8Array | null, b: Uint8Array): boolean => a !== null && equalBytes(a, b);
