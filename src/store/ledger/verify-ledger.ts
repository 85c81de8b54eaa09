import { FengniError } from '#base/errors';
import type { Io } from '#store/durable';
import {
  type Checkpoint,
  hashBytes,
  parseBundle,
  parseCheckpoint,
  parseTilePath,
  type SignedCheckpoint,
  type TileName,
  tilePath,
  tileWidth,
  type VerifierKey,
  verifyNote,
} from '#trust/seal';
import { LedgerReader, sameOctets } from './reader.ts';
import { namesIn, octetsIn, TileFiles, temporaryName } from './tile-files.ts';
import { type PlannedTile, TilePlan } from './writer.ts';

/** One thing that is not as the leaves say. */
export interface LedgerFinding {
  /** below the ledger folder */
  readonly path: string;
  readonly problem:
    | 'absent'
    /** other octets than the leaves give */
    | 'damaged'
    /** a file that a ledger of these leaves does not have: a tile beyond them, or none of ours */
    | 'unexpected'
    /** the signed head is malformed, of another origin or not signed by its key */
    | 'checkpoint-invalid'
    /** the signed head is of another tree: damage or a roll-back */
    | 'checkpoint-mismatch'
    /** the signed head covers more leaves than there are: a roll-back */
    | 'checkpoint-beyond';
  readonly repaired: boolean;
}

export interface LedgerReport {
  readonly size: number;
  readonly root: Uint8Array;
  readonly checkpoint: Checkpoint | null;
  readonly findings: readonly LedgerFinding[];
}

/**
 * Compares every octet of a ledger folder with what its leaves give.
 *
 * @param leaves of the generation, in order, from the log
 * @param keys that may sign its heads; the head must carry no other signature
 * @param repair writes every tile again that is absent or damaged; heads are never made up; not beside a running writer
 */
export const verifyLedger = async (options: {
  io: Io;
  folder: string;
  leaves: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  keys: readonly VerifierKey[];
  repair?: boolean;
  /** a writer goes on beside: only what the signed head covers is checked, what lies beyond it is left alone */
  running?: boolean;
}): Promise<LedgerReport> => {
  const { io, folder, keys } = options;
  const running = options.running ?? false;
  const repair = (options.repair ?? false) && !running;
  const findings: LedgerFinding[] = [];
  const found = await listFiles(io, folder, findings);
  const files = new TileFiles(io, folder);
  const head = await readHead(io, folder, keys, found.hasCheckpoint, findings);
  const reader = new LedgerReader(io, folder);
  const plan = new TilePlan();
  let rootOfHead = head?.size === 0 ? plan.root() : null;

  const check = async (planned: PlannedTile): Promise<void> => {
    const full = tilePath({ ...planned.tile, width: tileWidth });
    const widths = found.tiles.get(full) ?? new Set<number>();
    found.tiles.delete(full);
    widths.add(planned.tile.width);
    for (const width of widths) {
      const tile: TileName = { ...planned.tile, width };
      const path = tilePath(tile);
      if (width > planned.tile.width) {
        if (!running) findings.push({ path, problem: 'unexpected', repaired: false });
        else if (!(await beginsWith(io, `${folder}/${path}`, planned.octets)))
          findings.push({ path, problem: 'damaged', repaired: false });
        continue;
      }
      // beside a writer a wider one may have taken the place meanwhile
      const octets = running ? await reader.readTile(tile) : await octetsIn(io, `${folder}/${path}`);
      const expected = prefixOf(planned, width);
      if (sameOctets(octets, expected)) continue;
      if (repair) await files.write(tile, expected, true);
      findings.push({ path, problem: octets === null ? 'absent' : 'damaged', repaired: repair });
    }
  };

  for await (const leaf of options.leaves) {
    if (running && plan.size === (head?.size ?? 0)) break;
    for (const filled of plan.append(leaf)) await check(filled);
    if (plan.size === head?.size) rootOfHead = plan.root();
  }
  for (const partial of plan.partials()) await check(partial);
  for (const [full, widths] of running ? [] : found.tiles) {
    for (const width of widths) {
      const path = width === tileWidth ? full : `${full}.p/${width}`;
      findings.push({ path, problem: 'unexpected', repaired: false });
    }
  }
  if (head !== null && head.size > plan.size)
    findings.push({ path: 'checkpoint', problem: 'checkpoint-beyond', repaired: false });
  else if (head !== null && !sameOctets(rootOfHead, head.root))
    findings.push({ path: 'checkpoint', problem: 'checkpoint-mismatch', repaired: false });
  return { size: plan.size, root: plan.root(), checkpoint: head, findings };
};

interface FoundFiles {
  /** the path of the full tile, with the widths that lie there */
  tiles: Map<string, Set<number>>;
  hasCheckpoint: boolean;
}

const listFiles = async (io: Io, folder: string, findings: LedgerFinding[]): Promise<FoundFiles> => {
  const found: FoundFiles = { tiles: new Map(), hasCheckpoint: false };
  const visit = async (below: string): Promise<void> => {
    for (const name of await namesIn(io, below === '' ? folder : `${folder}/${below}`)) {
      const path = below === '' ? name : `${below}/${name}`;
      const known = await io.stat(`${folder}/${path}`);
      if (known?.kind === 'folder') {
        // no tile lies deeper: tile/<level>/ and six parts of an index, the last with its widths
        if (path.split('/').length < 9) await visit(path);
        continue;
      }
      const tile = parseTilePath(path);
      if (tile !== null) {
        const full = tilePath({ ...tile, width: tileWidth });
        const widths = found.tiles.get(full) ?? new Set();
        found.tiles.set(full, widths.add(tile.width));
      } else if (path === 'checkpoint') found.hasCheckpoint = true;
      else if (path !== temporaryName && !/^checkpoint\.[0-9a-f]+\.tmp$/.test(path))
        findings.push({ path, problem: 'unexpected', repaired: false });
    }
  };
  await visit('');
  return found;
};

const readHead = async (
  io: Io,
  folder: string,
  keys: readonly VerifierKey[],
  isThere: boolean,
  findings: LedgerFinding[],
): Promise<SignedCheckpoint | null> => {
  if (!isThere) return null;
  try {
    const head = parseCheckpoint(await io.readFile(`${folder}/checkpoint`));
    const own = keys.filter((key) => key.name === head.origin);
    const signed = own.filter((key) => verifyNote(head.note, key).kind === 'signed');
    if (signed.length > 0 && signed.length === head.note.signatures.length) return head;
  } catch (error) {
    if (!(error instanceof FengniError) || !error.code.endsWith('-malformed')) throw error;
  }
  findings.push({ path: 'checkpoint', problem: 'checkpoint-invalid', repaired: false });
  return null;
};

/** What a narrower tile of the same place holds. */
const prefixOf = (planned: PlannedTile, width: number): Uint8Array => {
  if (width === planned.tile.width) return planned.octets;
  if (planned.tile.level !== 'entries') return planned.octets.subarray(0, width * hashBytes);
  const entries = parseBundle(planned.octets, planned.tile.width).slice(0, width);
  return planned.octets.subarray(
    0,
    entries.reduce((sum, entry) => sum + 2 + entry.length, 0),
  );
};

/** Whether a file begins with these octets, or is gone. */
const beginsWith = async (io: Io, path: string, octets: Uint8Array): Promise<boolean> => {
  const found = await octetsIn(io, path);
  return found === null || sameOctets(found.subarray(0, octets.length), octets);
};
