import path from 'node:path';
import type { Config } from '#app/config';
import { removeProjections } from '#app/control';
import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import { type Ledgers, ledgerGenerations, publishedHead } from '#services/integrity';
import { Sealer } from '#services/sealer';
import { nodeIo } from '#store/durable';
import { encodeRow } from '#store/index';
import {
  type ClosedSegment,
  type GapInfo,
  gapSeqs,
  type KnownHead,
  type LeafPlace,
  newGeneration,
  openLog,
} from '#store/log';
import { type Checkpoint, encodeLeaf, encodeOrigin, parseOrigin } from '#trust/seal';
import { requireFolderLock } from './connect.ts';
import { openLocalWriter } from './local-writer.ts';

const shard = 0;
/** UIDs that are left out in every mailbox, since the lost part may have given out some (FORMATS §3) */
const gapUids = 2 ** 20;

export type AcceptedLoss =
  | { kind: 'begun'; info: GapInfo; sealerFolderKept: string | null }
  /** the log had begun the generation, the sealer not yet: an earlier run was cut short */
  | { kind: 'sealer-followed'; generation: number }
  /** log and sealer agree: nothing was changed */
  | { kind: 'nothing-lost' };

interface Options {
  dataFolder: string;
  config: Config;
  logger: Logger;
}

/**
 * Accepts that a part of the log, or the sealer's memory, is lost: the log goes on as a new generation behind what can be believed, with
 * numbers that were never given out, a new key and a new ledger; its genesis names the last head known. Only a person decides that. Cut
 * short at any point, it can be run again.
 *
 * @throws {FengniError} `data-folder-in-use`; `log-from-the-future`, which is no loss; `sealer-elsewhere`
 */
export const acceptLoss = async (options: Options): Promise<AcceptedLoss> => {
  const { socket } = options.config.sealer;
  // A sealer of its own user accepts no loss because somebody on this side says so.
  if (socket !== null) {
    throw new FengniError('sealer-elsewhere', {
      subject: `[sealer] socket ${socket}`,
      remedy: 'nothing was changed; begin the generation where the sealer keeps its folder',
    });
  }
  const lock = await requireFolderLock(options.dataFolder);
  try {
    process.umask(0o077);
    return await accept(options);
  } finally {
    lock.release();
  }
};

const accept = async (options: Options): Promise<AcceptedLoss> => {
  const { dataFolder } = options;
  const sealer = await sealerOf(dataFolder);
  const heads = await knownHeadsOf(dataFolder, sealer);
  const found = await lookAtLog(dataFolder, heads);

  if (found.kind === 'whole') {
    if (sealer.kind === 'agrees' && sealer.head.generation < found.generation) {
      await sealerFollows(options, sealer.sealer, found.generation, heads);
      return { kind: 'sealer-followed', generation: found.generation };
    }
    const isNew = sealer.kind === 'empty' && heads.length === 0;
    if (sealer.kind === 'agrees' || isNew) return { kind: 'nothing-lost' };
  }

  const previous = heads.reduce<Known | null>(
    (best, head) => (best === null || isLater(head, best) ? head : best),
    null,
  );
  const info = await newGeneration({
    io: nodeIo,
    folder: dataFolder,
    shard,
    knownHeads: heads,
    segmentLeaf,
    gapLeaf: ({ before, after }, { seq, timeMs }) =>
      encodeLeaf({ kind: 'gap', seq, timeMs, before, after, uids: gapUids, modSeqs: gapSeqs }),
    alsoSay: (group, { generation, after }) => {
      const leaf = encodeLeaf({
        kind: 'genesis',
        seq: group.nextSeq(),
        timeMs: nodeIo.clock.nowMs(),
        previous: previous === null ? null : previous.checkpoint,
      });
      group.add({ type: 'LEAF', critical: true, leaf, key: null, body: { kind: 'none' } });
      const row = encodeRow(
        { table: 'setting', key: `begin-g${generation}`, value: { firstSeq: after, generation } },
        null,
      );
      group.add({ type: 'ROW', critical: true, leaf: null, key: null, body: { kind: 'clear', octets: row } });
    },
  });
  const kept = await sealerBegins(options, sealer, info.generation, heads);
  await rebuild(options);
  return { kind: 'begun', info, sealerFolderKept: kept };
};

type SealerState =
  | {
      kind: 'agrees';
      sealer: Sealer;
      head: { generation: number; size: number; root: Uint8Array; origin: string };
    }
  /** never used */
  | { kind: 'empty'; sealer: Sealer }
  /** a copy of the folder that it was made in */
  | { kind: 'copied'; sealer: Sealer }
  /** its memory or its key is gone */
  | { kind: 'lost' };

const sealerFolderOf = (dataFolder: string): string => path.join(dataFolder, 'sealer');
const openSealer = (dataFolder: string): Promise<Sealer> =>
  Sealer.open({
    io: nodeIo,
    folder: sealerFolderOf(dataFolder),
    ledgerFolder: (generation) => path.join(dataFolder, 'ledger', `g${generation}`),
  });

const sealerOf = async (dataFolder: string): Promise<SealerState> => {
  let sealer: Sealer;
  try {
    sealer = await openSealer(dataFolder);
  } catch (error) {
    if (error instanceof FengniError && /^sealer-(?:state|key)-/.test(error.code)) return { kind: 'lost' };
    throw error;
  }
  const outcome = await sealer.head();
  if (outcome.kind === 'signed') return { kind: 'agrees', sealer, head: outcome.head };
  return { kind: outcome.reason === 'no-generation' ? 'empty' : 'copied', sealer };
};

interface Known extends KnownHead {
  checkpoint: Checkpoint;
}

const isLater = (head: Known, other: Known): boolean =>
  head.generation > other.generation || (head.generation === other.generation && head.size > other.size);

const knownHeadsOf = async (dataFolder: string, sealer: SealerState): Promise<Known[]> => {
  const known = (source: string, generation: number, { origin, size, root }: Checkpoint): Known => ({
    source,
    generation,
    size,
    root,
    checkpoint: { origin, size, root },
  });
  const ledgers: Ledgers = { io: nodeIo, folder: dataFolder };
  const heads: Known[] = [];
  for (const generation of await ledgerGenerations(ledgers)) {
    const head = await publishedHead(ledgers, generation).catch((error: unknown) => {
      // A damaged checkpoint knows nothing; the others do.
      if (error instanceof FengniError) return null;
      throw error;
    });
    if (head !== null) heads.push(known(`ledger/g${generation}/checkpoint`, generation, head.checkpoint));
  }
  if (sealer.kind === 'agrees') heads.push(known('the sealer', sealer.head.generation, sealer.head));
  return heads;
};

const segmentLeaf = (closed: ClosedSegment, { seq, timeMs }: LeafPlace): Uint8Array =>
  encodeLeaf({ kind: 'segment', seq, timeMs, ...closed });

/** Whether there is a loss to accept. A log that is whole is recovered by this, as at any start. */
const lookAtLog = async (
  dataFolder: string,
  knownHeads: readonly KnownHead[],
): Promise<{ kind: 'whole'; generation: number } | { kind: 'loss' }> => {
  const log = await openLog({ io: nodeIo, folder: dataFolder, shard, knownHeads, segmentLeaf });
  if (log.kind === 'refused') {
    if (log.error.code === 'log-from-the-future') throw log.error;
    return { kind: 'loss' };
  }
  const { generation } = log;
  await log.close();
  return { kind: 'whole', generation };
};

/** The name that the log was given on its first day; a log that lost even that has it from its heads or the configuration. */
const originOf = (options: Options, generation: number, heads: readonly Known[]): string => {
  const fromHead = heads.flatMap(({ checkpoint }) => parseOrigin(checkpoint.origin)?.hostname ?? []).at(-1);
  return encodeOrigin({ hostname: fromHead ?? options.config.server.hostname, shard, generation });
};

const sealerBegins = async (
  options: Options,
  state: SealerState,
  generation: number,
  heads: readonly Known[],
): Promise<string | null> => {
  const origin = originOf(options, generation, heads);
  if (state.kind !== 'lost') {
    const outcome =
      state.kind === 'empty'
        ? await state.sealer.create({ generation, origin })
        : await state.sealer.handover({ generation, origin, acceptLoss: true });
    if (outcome.kind === 'refused') throw refused(outcome);
    return null;
  }
  // What is left of it stays for people to look at: it may hold the old key.
  const folder = sealerFolderOf(options.dataFolder);
  const kept = `${folder}.before-g${generation}`;
  await nodeIo.rename(folder, kept);
  await nodeIo.makeFolder(folder);
  await nodeIo.syncFolder(options.dataFolder);
  const outcome = await (await openSealer(options.dataFolder)).create({ generation, origin });
  if (outcome.kind === 'refused') throw refused(outcome);
  return kept;
};

const sealerFollows = async (
  options: Options,
  sealer: Sealer,
  generation: number,
  heads: readonly Known[],
): Promise<void> => {
  const origin = originOf(options, generation, heads);
  const outcome = await sealer.handover({ generation, origin, acceptLoss: true });
  if (outcome.kind === 'refused') throw refused(outcome);
  await rebuild(options);
};

/** The projections may have what is lost: they are made again, and the new generation gets its key and its first head. */
const rebuild = async (options: Options): Promise<void> => {
  removeProjections(options.dataFolder);
  await (await openLocalWriter(options)).close();
};

const refused = ({ reason, detail }: { reason: string; detail: string }): FengniError =>
  new FengniError('sealer-refuses', {
    subject: `${reason}: ${detail}`,
    remedy: 'see "fengni status"; the log itself has begun its new generation, run the command again',
  });
