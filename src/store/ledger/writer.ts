import assert from 'node:assert/strict';
import { concat } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { Io } from '#store/durable';
import { replaceFileDurable } from '#store/durable';
import {
  CompactRange,
  encodeBundle,
  entryBytesMax,
  hashBytes,
  leafHash,
  parseBundle,
  parseTile,
  type TileName,
  tileWidth,
  treeRoot,
} from '#trust/seal';
import { octetsIn, TileFiles } from './tile-files.ts';

/** A tile ready to be written. */
export interface PlannedTile {
  readonly tile: TileName;
  readonly octets: Uint8Array;
}

/** The tiles that a tree fills as leaves are appended: what a ledger folder must hold is a function of its leaves. */
export class TilePlan {
  /** hashes of the last tile of each level, fewer than 256 */
  readonly #levels: Uint8Array[][] = [[]];
  /** the same hashes as trees, so that a root costs a few hashes */
  readonly #ranges: CompactRange[] = [new CompactRange()];
  /** full tiles of each level */
  readonly #full: number[] = [0];
  #entries: Uint8Array[] = [];

  /** @param edges the last tile of each level, from level 0 up, of a tree whose last bundle is empty */
  static fromFullTiles(size: number, edges: readonly (readonly Uint8Array[])[]): TilePlan {
    assert(size % tileWidth === 0);
    const plan = new TilePlan();
    for (let level = 1, count = size / tileWidth; count > 0; level++, count = Math.floor(count / tileWidth)) {
      plan.#full[level - 1] = count;
      plan.#full[level] = Math.floor(count / tileWidth);
      plan.#levels[level] = [...(edges[level] ?? [])];
      assert.equal(plan.#levels[level]?.length, count % tileWidth);
      plan.#ranges[level] = rangeOf(edges[level] ?? []);
    }
    return plan;
  }

  /** leaves so far */
  get size(): number {
    return (this.#full[0] as number) * tileWidth + this.#entries.length;
  }

  root(): Uint8Array {
    return this.range().root();
  }

  /** The right edge, made of the last tile of each level. */
  range(): CompactRange {
    const hashes = this.#ranges.map((range) => range.hashes);
    return new CompactRange(this.size, hashes.reverse().flat());
  }

  /** Appends an entry. @returns the tiles that it filled: the bundle first, then hashes from level 0 up */
  append(entry: Uint8Array): PlannedTile[] {
    assert(entry.length <= entryBytesMax);
    this.#entries.push(entry.slice());
    const filled: PlannedTile[] = [];
    if (this.#entries.length === tileWidth) {
      const tile: TileName = { level: 'entries', index: this.#full[0] as number, width: tileWidth };
      filled.push({ tile, octets: encodeBundle(this.#entries) });
      this.#entries = [];
    }
    let hash = leafHash(entry);
    for (let level = 0; ; level++) {
      if (level === this.#levels.length) {
        this.#levels.push([]);
        this.#ranges.push(new CompactRange());
        this.#full.push(0);
      }
      const own = this.#levels[level] as Uint8Array[];
      const range = this.#ranges[level] as CompactRange;
      own.push(hash);
      range.append(hash);
      if (own.length < tileWidth) return filled;
      filled.push({
        tile: { level, index: this.#full[level] as number, width: tileWidth },
        octets: concat(own),
      });
      hash = range.root();
      this.#levels[level] = [];
      this.#ranges[level] = new CompactRange();
      this.#full[level] = (this.#full[level] as number) + 1;
    }
  }

  /** The partial tiles of the present size, the bundle first. */
  partials(): PlannedTile[] {
    const planned: PlannedTile[] = [];
    if (this.#entries.length > 0) {
      const tile: TileName = {
        level: 'entries',
        index: this.#full[0] as number,
        width: this.#entries.length,
      };
      planned.push({ tile, octets: encodeBundle(this.#entries) });
    }
    for (const [level, own] of this.#levels.entries()) {
      if (own.length === 0) continue;
      const tile: TileName = { level, index: this.#full[level] as number, width: own.length };
      planned.push({ tile, octets: concat(own) });
    }
    return planned;
  }
}

const rangeOf = (hashes: readonly Uint8Array[]): CompactRange => {
  const range = new CompactRange();
  for (const hash of hashes) range.append(hash);
  return range;
};

/** leaves that one `append` takes */
export const appendedLeavesMax = 65_536;

/**
 * Writes the tiles of one generation from its leaves in order. One writer for a folder; calls do not overlap.
 *
 * The ledger is a function of the log: nothing here is synced before an answer. Full tiles are durable before what comes
 * after them is written; the last, partial bundle and tile are not synced and are written again after every start.
 */
export class LedgerWriter {
  readonly #io: Io;
  readonly #files: TileFiles;
  readonly #plan: TilePlan;
  #running = false;
  #failed = false;

  private constructor(io: Io, files: TileFiles, plan: TilePlan) {
    this.#io = io;
    this.#files = files;
    this.#plan = plan;
  }

  /**
   * Opens a ledger folder, makes it where it is absent, and finds how far its full tiles reach.
   *
   * @returns a writer whose `size` says from which leaf on the caller must append
   */
  static async open(io: Io, folder: string): Promise<LedgerWriter> {
    const files = new TileFiles(io, folder);
    await files.makeFolder(folder);
    const count = await countFullTiles(io, files);
    // not synced when the process ended, so nothing is known of them; those of the present size are written by `append`
    for (const index of count === 0 ? [0] : [count - 1, count])
      for (const level of ['entries', 0] as const)
        await files.removePartials({ level, index, width: tileWidth });
    const edges: Uint8Array[][] = [[]];
    for (let level = 1, own = count; own > 0; level++, own = Math.floor(own / tileWidth))
      edges.push(await edgeHashes(io, files, level, own));
    const plan = TilePlan.fromFullTiles(count * tileWidth, edges);
    // what stands above the last full tile may not have been written any more
    for (const { tile, octets } of [...(await lastUpperTiles(io, files, count)), ...plan.partials()]) {
      const found = await octetsIn(io, files.path(tile));
      if (found === null || found.length !== octets.length) await files.write(tile, octets, true);
    }
    return new LedgerWriter(io, files, plan);
  }

  /** leaves that were appended or found in full tiles */
  get size(): number {
    return this.#plan.size;
  }

  root(): Uint8Array {
    return this.#plan.root();
  }

  /** What a sealer's own calculation must agree with. */
  range(): CompactRange {
    return this.#plan.range();
  }

  /**
   * Appends leaves and writes the tiles of the new size: one file for each 256 leaves and level, and the two partial ones.
   *
   * After an error the writer is of no use any more; open the folder again.
   */
  async append(entries: readonly Uint8Array[]): Promise<void> {
    assert(entries.length <= appendedLeavesMax);
    assert(!this.#running, 'calls do not overlap');
    if (this.#failed)
      throw new FengniError('ledger-unusable', {
        subject: this.#files.folder,
        remedy: 'open the ledger again: an earlier write failed',
      });
    this.#running = true;
    try {
      await this.#append(entries);
    } catch (error) {
      this.#failed = true;
      throw error;
    } finally {
      this.#running = false;
    }
  }

  /** Puts a signed head in place, durably; its tiles are there already. */
  async writeCheckpoint(note: Uint8Array): Promise<void> {
    await replaceFileDurable(this.#io, `${this.#files.folder}/checkpoint`, [note]);
  }

  async #append(entries: readonly Uint8Array[]): Promise<void> {
    const filled = entries.flatMap((entry) => this.#plan.append(entry));
    for (const { tile, octets } of filled) {
      await this.#files.write(tile, octets, true);
      await this.#files.removePartials(tile);
    }
    for (const { tile, octets } of this.#plan.partials()) {
      const upper = tile.level !== 'entries' && tile.level > 0;
      // the hash of a full tile below is new here only when one was filled
      if (upper && filled.length === 0) continue;
      await this.#files.write(tile, octets, upper);
    }
  }
}

/** Full tiles of level 0: they are written in order and durably, so that the first gap ends them. */
const countFullTiles = async (io: Io, files: TileFiles): Promise<number> => {
  const isThere = async (index: number): Promise<boolean> => {
    const hashes = await io.stat(files.path({ level: 0, index, width: tileWidth }));
    const bundle = await io.stat(files.path({ level: 'entries', index, width: tileWidth }));
    return hashes?.size === tileWidth * hashBytes && bundle !== null;
  };
  let high = 1;
  while (await isThere(high - 1)) high *= 2;
  let low = Math.floor(high / 2);
  // isThere(low − 1), not isThere(high − 1)
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await isThere(middle - 1)) low = middle;
    else high = middle;
  }
  return low;
};

/** The hashes in the last, partial tile of a level above 0: from its file or else from the tiles below. */
const edgeHashes = async (io: Io, files: TileFiles, level: number, below: number): Promise<Uint8Array[]> => {
  const width = below % tileWidth;
  if (width === 0) return [];
  const index = Math.floor(below / tileWidth);
  const octets = await octetsIn(io, files.path({ level, index, width }));
  if (octets?.length === width * hashBytes) return parseTile(octets, width).map((hash) => hash.slice());
  const hashes: Uint8Array[] = [];
  for (let at = 0; at < width; at++)
    hashes.push(treeRoot(await fullTile(io, files, level - 1, index * tileWidth + at)));
  return hashes;
};

/** The last full tile of each level above 0. */
const lastUpperTiles = async (io: Io, files: TileFiles, count: number): Promise<PlannedTile[]> => {
  const tiles: PlannedTile[] = [];
  for (let level = 1, full = Math.floor(count / tileWidth); full > 0; level++) {
    const hashes = await fullTile(io, files, level, full - 1);
    tiles.push({ tile: { level, index: full - 1, width: tileWidth }, octets: concat(hashes) });
    full = Math.floor(full / tileWidth);
  }
  return tiles;
};

const fullTile = async (io: Io, files: TileFiles, level: number, index: number): Promise<Uint8Array[]> => {
  const octets = await octetsIn(io, files.path({ level, index, width: tileWidth }));
  if (octets?.length === tileWidth * hashBytes) return parseTile(octets, tileWidth);
  if (level > 0) {
    const hashes: Uint8Array[] = [];
    for (let at = 0; at < tileWidth; at++)
      hashes.push(treeRoot(await fullTile(io, files, level - 1, index * tileWidth + at)));
    return hashes;
  }
  const bundle = await io.readFile(files.path({ level: 'entries', index, width: tileWidth }));
  return parseBundle(bundle, tileWidth).map(leafHash);
};
