import assert from 'node:assert/strict';
import { concat } from '#base/bytes';
import { hashBytes } from './hash.ts';
import { malformed } from './text.ts';

/** hashes of a full tile, entries of a full bundle */
export const tileWidth = 256;
/** levels of a tree that one tile spans */
export const tileHeight = 8;
/** octets of an entry: what the length prefix can say */
export const entryBytesMax = 65_535;

/** One file of a ledger. */
export interface TileName {
  /** 0 to 63, or the entries themselves */
  readonly level: number | 'entries';
  readonly index: number;
  /** 1 to 255 for a partial tile, 256 for a full one */
  readonly width: number;
}

/**
 * The path of a tile or entry bundle below the ledger: `tile/0/x001/234`, `tile/entries/000.p/7`.
 *
 * @source C2SP tlog-tiles “Merkle Tree”, “Log entries”
 */
export const tilePath = (tile: TileName): string => {
  assert(Number.isSafeInteger(tile.index) && tile.index >= 0);
  assert(tile.width >= 1 && tile.width <= tileWidth);
  let path = String(tile.index % 1000).padStart(3, '0');
  for (let rest = Math.floor(tile.index / 1000); rest > 0; rest = Math.floor(rest / 1000))
    path = `x${String(rest % 1000).padStart(3, '0')}/${path}`;
  return `tile/${tile.level}/${path}${tile.width === tileWidth ? '' : `.p/${tile.width}`}`;
};

/** The name that a path says, or null unless `tilePath` would write exactly this path. */
export const parseTilePath = (path: string): TileName | null => {
  const match =
    /^tile\/(entries|[0-9]|[1-5][0-9]|6[0-3])\/((?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/.exec(
      path,
    );
  if (match === null) return null;
  const index = Number((match[2] as string).replaceAll(/[x/]/g, ''));
  const width = match[3] === undefined ? tileWidth : Number(match[3]);
  if (!Number.isSafeInteger(index) || width > tileWidth || (match[3] !== undefined && width === tileWidth))
    return null;
  const tile: TileName = {
    level: match[1] === 'entries' ? 'entries' : Number(match[1]),
    index,
    width,
  };
  return tilePath(tile) === path ? tile : null;
};

/**
 * The hash tiles and bundles of a tree of this size that its right edge needs: the last of each level.
 *
 * @source C2SP tlog-tiles “Partial Tiles”
 */
export const edgeTiles = (size: number): TileName[] => {
  const tiles: TileName[] = [];
  for (let level = 0, count = size; count > 0; level++, count = Math.floor(count / tileWidth)) {
    const index = Math.ceil(count / tileWidth) - 1;
    const width = count - index * tileWidth;
    if (level === 0) tiles.push({ level: 'entries', index, width });
    tiles.push({ level, index, width });
  }
  return tiles;
};

/** The hashes of a tile. @throws {FengniError} `tile-malformed` */
export const parseTile = (octets: Uint8Array, width: number): Uint8Array[] => {
  if (octets.length !== width * hashBytes) throw malformed('tile', `not ${width} hashes`);
  return Array.from({ length: width }, (_, index) =>
    octets.subarray(index * hashBytes, (index + 1) * hashBytes),
  );
};

/** The octets of a bundle: each entry behind its length in two octets. @source C2SP tlog-tiles “Log entries” */
export const encodeBundle = (entries: readonly Uint8Array[]): Uint8Array =>
  concat(
    entries.flatMap((entry) => {
      assert(entry.length <= entryBytesMax);
      return [Uint8Array.of(entry.length >> 8, entry.length & 255), entry];
    }),
  );

/** The entries of a bundle that holds exactly `width`. @throws {FengniError} `bundle-malformed` */
export const parseBundle = (octets: Uint8Array, width: number): Uint8Array[] => {
  const entries: Uint8Array[] = [];
  let at = 0;
  while (at < octets.length) {
    if (entries.length === width) throw malformed('bundle', `more than ${width} entries`);
    const length = ((octets[at] as number) << 8) | (octets[at + 1] ?? 0);
    if (at + 2 + length > octets.length) throw malformed('bundle', 'the last entry is cut');
    entries.push(octets.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  if (entries.length !== width) throw malformed('bundle', `fewer than ${width} entries`);
  return entries;
};
