import path from 'node:path';
import type { Config } from '#app/config';
import { removeProjections } from '#app/control';
import { createRemoteSealer, ledgerIo, openLocalSealer, type SealerClient } from '#app/sealer';
import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import { type Ledgers, ledgerGenerations, publishedHead } from '#services/integrity';
import { type AllowanceKind, allowNext, type NextGeneration } from '#services/sealer';
import { nodeIo } from '#store/durable';
import { encodeRow } from '#store/index';
import {
  type ClosedSegment,
  type GapInfo,
  type GroupBuilder,
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
 * A sealer that is a service of its own begins nothing because somebody on this side says so: whoever keeps its folder has to permit it
 * ("fengni sealer allow new-generation"). Without that nothing is changed here either.
 *
 * @throws {FengniError} `data-folder-in-use`; `log-from-the-future`, which is no loss; `sealer-away`, `sealer-not-allowed`
 */
export const acceptLoss = async (options: Options): Promise<AcceptedLoss> => {
  const lock = await requireFolderLock(options.dataFolder);
  const sealer = sealerFor(options);
  try {
    process.umask(0o077);
    return await accept(options, sealer);
  } finally {
    sealer.close();
    lock.release();
  }
};

/** a sealer in a process of its own that is starting just now */
const sealerWaitMs = 1_500;

/** Whoever signs for a data folder on which no server runs. */
export const sealerFor = ({ dataFolder, config }: Options): SealerClient => {
  const { socket } = config.sealer;
  return socket === null ? openLocalSealer(dataFolder) : createRemoteSealer(socket, sealerWaitMs);
};

const accept = async (options: Options, sealer: SealerClient): Promise<AcceptedLoss> => {
  const { dataFolder, config } = options;
  const state = await stateOf(sealer);
  const heads = await knownHeadsOf(dataFolder, state);
  const found = await lookAtLog(dataFolder, heads);

  if (found.kind === 'whole') {
    if (state.kind === 'agrees' && state.head.generation < found.generation) {
      const { generation } = found;
      await permitHere(options);
      await begin(sealer, state, {
        generation,
        origin: originOf(options, generation, heads),
        acceptLoss: true,
      });
      await rebuild(options, sealer);
      return { kind: 'sealer-followed', generation };
    }
    const isNew = state.kind === 'empty' && heads.length === 0;
    if (state.kind === 'agrees' || isNew) return { kind: 'nothing-lost' };
  }

  let kept: string | null = null;
  let previous: Checkpoint | null = null;
  const info = await newGeneration({
    io: config.sealer.socket === null ? nodeIo : ledgerIo(nodeIo, dataFolder),
    folder: dataFolder,
    shard,
    knownHeads: heads,
    segmentLeaf,
    mayBegin: async (generation) => {
      kept = await permitHere(options);
      const origin = originOf(options, generation, heads);
      const prepared = await sealer.calls.prepare({ generation, origin, acceptLoss: true });
      if (prepared.kind === 'refused') throw refusedBy(prepared, 'new-generation');
      previous = lastKnown(heads, prepared.previous);
    },
    gapLeaf: ({ before, after }, { seq, timeMs }) =>
      encodeLeaf({ kind: 'gap', seq, timeMs, before, after, uids: gapUids, modSeqs: gapSeqs }),
    alsoSay: (group, { generation, after }) => {
      const leaf = encodeLeaf({
        kind: 'genesis',
        seq: group.nextSeq(),
        timeMs: nodeIo.clock.nowMs(),
        previous,
      });
      group.add({ type: 'LEAF', critical: true, leaf, key: null, body: { kind: 'none' } });
      sayBegin(group, generation, after);
    },
  });
  const { generation } = info;
  await begin(sealer, state, { generation, origin: originOf(options, generation, heads), acceptLoss: true });
  await rebuild(options, sealer);
  return { kind: 'begun', info, sealerFolderKept: kept };
};

/** From this row on the generation's ledger and its `frames` leaves begin. */
export const sayBegin = (group: GroupBuilder, generation: number, firstSeq: number): void => {
  const row = encodeRow(
    { table: 'setting', key: `begin-g${generation}`, value: { firstSeq, generation } },
    null,
  );
  group.add({ type: 'ROW', critical: true, leaf: null, key: null, body: { kind: 'clear', octets: row } });
};

/** Where this folder's owner keeps the sealer's folder too, who says so here permits it. @returns what was left of a lost memory */
const permitHere = async ({ dataFolder, config }: Options): Promise<string | null> => {
  if (config.sealer.socket !== null) return null;
  return (await allowNext(nodeIo, path.join(dataFolder, 'sealer'), 'new-generation')).kept;
};

type SealerState =
  | { kind: 'agrees'; head: { generation: number; size: number; root: Uint8Array; origin: string } }
  /** it knows no generation: never used, or its memory or its key is gone */
  | { kind: 'empty' }
  /** a copy of the folder that it was made in, or one that was put back to an older time */
  | { kind: 'doubtful' };

const stateOf = async (sealer: SealerClient): Promise<SealerState> => {
  const outcome = await answered(sealer.calls.head());
  if (outcome.kind === 'signed') return { kind: 'agrees', head: outcome.head };
  const isDoubtful =
    outcome.reason === 'copied' || outcome.reason === 'rolled-back' || outcome.reason === 'fork';
  return { kind: isDoubtful ? 'doubtful' : 'empty' };
};

/** @throws {FengniError} `sealer-away` */
export const answered = async <T>(call: Promise<T>): Promise<T> => {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof FengniError)) throw error;
    throw new FengniError('sealer-away', {
      subject: `${error.code}: ${error.subject}`,
      remedy: 'start the sealer ("systemctl start fengni-sealer"), then run this again',
      retryable: true,
      cause: error,
    });
  }
};

/** What the genesis names: what the sealer remembers, unless somebody knows a head of a later generation. */
const lastKnown = (heads: readonly Known[], remembered: Checkpoint | null): Checkpoint | null => {
  const best = heads.reduce<Known | null>(
    (best, head) => (best === null || isLater(head, best) ? head : best),
    null,
  );
  const generation = remembered === null ? 0 : (parseOrigin(remembered.origin)?.generation ?? 0);
  return best === null || (remembered !== null && best.generation <= generation)
    ? remembered
    : best.checkpoint;
};

interface Known extends KnownHead {
  checkpoint: Checkpoint;
}

const isLater = (head: Known, other: Known): boolean =>
  head.generation > other.generation || (head.generation === other.generation && head.size > other.size);

export const knownHeadsOf = async (dataFolder: string, sealer: SealerState): Promise<Known[]> => {
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

export const segmentLeaf = (closed: ClosedSegment, { seq, timeMs }: LeafPlace): Uint8Array =>
  encodeLeaf({ kind: 'segment', seq, timeMs, ...closed });

/** Whether there is a loss to accept. A log that is whole is recovered by this, as at any start. */
export const lookAtLog = async (
  dataFolder: string,
  knownHeads: readonly KnownHead[],
): Promise<{ kind: 'whole'; generation: number; leaves: number } | { kind: 'loss'; error: FengniError }> => {
  const log = await openLog({ io: nodeIo, folder: dataFolder, shard, knownHeads, segmentLeaf });
  if (log.kind === 'refused') {
    if (log.error.code === 'log-from-the-future') throw log.error;
    return { kind: 'loss', error: log.error };
  }
  const { generation, nextLeafIndex } = log;
  await log.close();
  return { kind: 'whole', generation, leaves: nextLeafIndex };
};

/** The name that the log was given on its first day; a log that lost even that has it from its heads or the configuration. */
const originOf = (options: Options, generation: number, heads: readonly Known[]): string => {
  const fromHead = heads.flatMap(({ checkpoint }) => parseOrigin(checkpoint.origin)?.hostname ?? []).at(-1);
  return encodeOrigin({ hostname: fromHead ?? options.config.server.hostname, shard, generation });
};

const begin = async (sealer: SealerClient, state: SealerState, next: NextGeneration): Promise<void> => {
  const outcome = await answered(
    state.kind === 'empty' ? sealer.calls.create(next) : sealer.calls.handover(next),
  );
  if (outcome.kind === 'refused') throw refusedBy(outcome, 'new-generation');
};

/** The projections may have what is lost: they are made again, and the new generation gets its key and its first head. */
const rebuild = async (options: Options, sealer: SealerClient): Promise<void> => {
  removeProjections(options.dataFolder);
  await (await openLocalWriter({ ...options, sealer })).close();
};

/** Why the sealer does not begin a generation, with what helps. */
export const refusedBy = (
  { reason, detail }: { reason: string; detail: string },
  kind: AllowanceKind,
): FengniError => {
  // A memory that is lost is given up by the same permission that begins the next one.
  if (reason === 'not-allowed' || reason === 'no-generation' || reason.startsWith('sealer-'))
    return new FengniError('sealer-not-allowed', {
      subject: `${reason}: ${detail}`,
      remedy: `on the sealer's side, as its user: "fengni sealer allow ${kind} --state DIR"; then, within an hour, run this again`,
    });
  return new FengniError('sealer-refuses', {
    subject: `${reason}: ${detail}`,
    remedy: 'see "fengni status", then run the command again',
  });
};
