import assert from 'node:assert/strict';
import { utf8 } from '#base/bytes';
import { canonicalJson } from '#base/canonical-json';
import type { Io } from '#store/durable';
import type { ChainState } from './chain.ts';
import { readGroup } from './chain.ts';
import type { GroupBuilder } from './group-builder.ts';
import { type Inventory, type SegmentFile, segmentsFolder, takeInventory, withFile } from './inventory.ts';
import { type LeafPlace, type LogOptions, makeLogFolders, startLog } from './log.ts';
import { type Recovered, recover, setFileAside, syncNewest } from './recovery.ts';
import type { LogRefusal } from './refusal.ts';
import { findGroup } from './scan.ts';
import { Window } from './window.ts';

/** Added to seq (and by the projections to MODSEQ) after a loss: no number that may have been given out comes again. */
export const gapSeqs = 2 ** 32;

/** Octets that hold no group that can be believed. */
export interface LostRange {
  file: string;
  from: number;
  to: number;
  /** seqs that would have stood there; null where nothing good follows that would tell the last */
  firstSeq: number;
  lastSeq: number | null;
}

export interface GapInfo {
  generation: number;
  previous: { generation: number; lastSeq: number; leaves: number };
  /** numbers jump from `before` to `after` */
  before: number;
  after: number;
  lost: readonly LostRange[];
}

export interface NewGenerationOptions extends LogOptions {
  /** asked before anything is written, given the number of the generation: what it throws keeps everything as it is */
  mayBegin?(generation: number): Promise<void>;
  /** the text of the `gap` leaf */
  gapLeaf(info: GapInfo, place: LeafPlace): Uint8Array;
  /** more frames for the first group, such as the genesis of the new ledger */
  alsoSay?(group: GroupBuilder, info: GapInfo): void;
}

/** The most ranges that the gap's frame lists; all are returned. */
const listedRangesMax = 1_000;

/**
 * Accepts what is lost: a new generation begins behind the last group that can be believed, with numbers that were never given out.
 *
 * Nothing that can be believed is given up, also what stands behind damage. Cut short at any point, it can be run again.
 *
 * @throws {FengniError} of `Io`
 */
export const newGeneration = async (options: NewGenerationOptions): Promise<GapInfo> => {
  const { io, folder, shard } = options;
  await makeLogFolders(io, folder);
  await syncNewest(io, folder);
  const inventory = await takeInventory(io, folder, shard);
  const { last, lost, empty } = await believable(io, inventory.segments);
  const generation =
    1 + Math.max(last?.state.generation ?? 0, 1, ...options.knownHeads.map((head) => head.generation));
  await options.mayBegin?.(generation);
  // What holds nothing, an unfinished new generation among it, is out of the way before a file takes its place.
  for (const file of empty) await setFileAside(io, segmentsFolder(folder), file.name);

  const previous = {
    generation: last?.state.generation ?? 0,
    lastSeq: last?.state.lastSeq ?? 0,
    leaves: last?.state.leaves ?? 0,
  };
  const info: GapInfo = {
    generation,
    previous,
    before: previous.lastSeq,
    after: previous.lastSeq + 1 + gapSeqs,
    lost,
  };
  const log = await startLog(
    options,
    beginning(inventory, last, { generation, firstSeq: info.after }),
    (place) => ({
      type: 'LEAF',
      critical: true,
      leaf: options.gapLeaf(info, place),
      key: null,
      body: { kind: 'clear', octets: gapBody(info) },
    }),
  );
  const group = log.beginGroup();
  options.alsoSay?.(group, info);
  await log.commit(group);
  await log.close();
  return info;
};

export interface NextGenerationOptions extends LogOptions {
  /** leaves of the generation that ends, all of them under its last head */
  sealedLeaves: number;
  /** the text of the `genesis` leaf */
  genesisLeaf(place: LeafPlace): Uint8Array;
  /** more frames for the first group */
  alsoSay(group: GroupBuilder, begun: { generation: number; firstSeq: number }): void;
}

/**
 * Begins the next generation of a log that handed over: nothing is lost, and numbers go on without a gap. The caller has closed the log.
 * Cut short at any point, it can be run again.
 *
 * @returns the refusal of a log that is not whole
 */
export const nextGeneration = async (
  options: NextGenerationOptions,
): Promise<{ kind: 'begun'; generation: number; firstSeq: number } | LogRefusal> => {
  const { io, folder, shard } = options;
  const recovered = await recover(options);
  const isUnfinished = recovered.kind === 'refused' && recovered.error.code === 'log-generation-unfinished';
  if (recovered.kind === 'refused' && !isUnfinished) return recovered;
  const inventory = await takeInventory(io, folder, shard);
  const { last, lost, empty } = await believable(io, inventory.segments);
  assert(last !== null && lost.length === 0 && last.state.leaves === options.sealedLeaves);
  for (const file of empty) await setFileAside(io, segmentsFolder(folder), file.name);
  const begun = { generation: last.state.generation + 1, firstSeq: last.state.lastSeq + 1 };
  const log = await startLog(options, beginning(inventory, last, begun), (place) => ({
    type: 'LEAF',
    critical: true,
    leaf: options.genesisLeaf(place),
    key: null,
    body: { kind: 'none' },
  }));
  const group = log.beginGroup();
  options.alsoSay(group, begun);
  await log.commit(group);
  await log.close();
  return { kind: 'begun', ...begun };
};

const gapBody = ({ previous, before, after, lost }: GapInfo): Uint8Array =>
  utf8(
    canonicalJson({
      after,
      before,
      lost: lost.slice(0, listedRangesMax).map((range) => ({ ...range })),
      lostRanges: lost.length,
      previous: { ...previous },
    }),
  );

interface Believable {
  last: { file: SegmentFile; state: ChainState; end: number } | null;
  lost: LostRange[];
  empty: SegmentFile[];
}

/** Where a generation begins: behind what is believed of the one before, with a key file of its own. */
const beginning = (
  inventory: Inventory,
  last: Believable['last'],
  begun: { generation: number; firstSeq: number },
): Recovered => ({
  kind: 'recovered',
  state: {
    generation: begun.generation,
    lastSeq: last?.state.lastSeq ?? 0,
    nextSeq: begun.firstSeq,
    lastRecordHash: last?.state.lastRecordHash ?? new Uint8Array(32),
    group: 0,
    leaves: 0,
    epoch: (inventory.epochs.at(-1) ?? -1) + 1,
    slots: 0,
  },
  current: null,
  endOffset: last?.end ?? 0,
  unnamed: last?.file ?? null,
  hashed: null,
});

/** Walks over everything there is, good or bad. */
const believable = async (io: Io, files: readonly SegmentFile[]): Promise<Believable> => {
  const found: Believable = { last: null, lost: [], empty: [] };
  for (const [at, file] of files.entries()) {
    // Octets behind the end that a later file names were void before anything was lost.
    const end = Math.min(file.sizeBytes, files[at + 1]?.header?.prevEnd?.offset ?? file.sizeBytes);
    const groups = await walk(io, file, end, found);
    if (groups === 0) found.empty.push(file);
  }
  return found;
};

const walk = (io: Io, file: SegmentFile, end: number, found: Believable): Promise<number> =>
  withFile(io, file.path, 'read', async (opened) => {
    const window = new Window(opened);
    let state: ChainState | null = null;
    let groups = 0;
    for (let offset = file.groupsAt; offset < end; ) {
      const read = await readGroup(window, offset, end, state);
      if (read.kind === 'group') {
        const { group } = read;
        assert(found.last === null || group.commit.first > found.last.state.lastSeq, 'segments are in order');
        state = group.next;
        found.last = { file, state, end: group.end };
        offset = group.end;
        groups += 1;
        continue;
      }
      const next = await findGroup(window, offset + 8, end);
      const follower = next === null ? null : await readGroup(window, next, end, null);
      found.lost.push({
        file: `segments/${file.name}`,
        from: offset,
        to: next ?? end,
        firstSeq: found.last === null ? file.firstSeq : found.last.state.nextSeq,
        lastSeq: follower?.kind === 'group' ? follower.group.commit.first - 1 : null,
      });
      if (next === null) break;
      offset = next;
      state = null;
    }
    return groups;
  });
