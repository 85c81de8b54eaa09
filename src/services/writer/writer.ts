import path from 'node:path';
import { equalBytes } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import {
  keepersAskedMax,
  type MailstoreChange,
  type MailstoreWriter,
  type Remade,
  type WriterStatus,
} from '#services/mailstore';
import type { Io } from '#store/durable';
import type { Directory, KeyRef, LogEvent, MailIndex } from '#store/index';
import { emptySpool, LargeFiles } from '#store/large';
import { appendedLeavesMax, LedgerReader, LedgerWriter } from '#store/ledger';
import {
  type KnownHead,
  type Log,
  type LogRefusal,
  openKeyReader,
  openLog,
  openSegmentReader,
} from '#store/log';
import { encodeLeaf, encodeOrigin, leafHash, parseCheckpoint, parseLeaf } from '#trust/seal';
import { createAddresses } from './addresses.ts';
import { catchUp } from './catch-up.ts';
import { type CommitQueue, createCommitQueue } from './commit-queue.ts';
import { append, appendAll, deliver } from './decide-delivery.ts';
import { isHeld } from './decide-erase.ts';
import { changeFlags, copy, expunge } from './decide-flags.ts';
import { createMailbox, deleteMailbox, markRecent, renameMailbox, subscribe } from './decide-mailboxes.ts';
import { createErasure, recoverableDays } from './erase.ts';
import { createHeads, type SealerPort, type SealStatus } from './heads.ts';
import { createLeafClock, type LeafClock } from './leaf-clock.ts';
import { createOwnFiles, type OwnFiles } from './own-files.ts';
import type { ParseElsewhere, ReplayReaders } from './replay.ts';
import { createSnapshots, readMailboxRoot } from './snapshots.ts';
import { WorkingState } from './working-state.ts';

/** mail that came less than this ago says nothing about whether it is kept, in milliseconds */
const keptAfterMs = 86_400_000;

export interface Projections {
  index: MailIndex;
  directory: Directory;
}

export interface WriterOptions {
  io: Io;
  /** DATA */
  folder: string;
  shard: number;
  /** names the log: its origin begins with the host name of its first day, whatever the configuration says later */
  hostname: string;
  /** opens the projections; `fresh` throws away what is there. @throws {FengniError} `projection-unusable` */
  projections(fresh: boolean): Projections;
  parse: ParseElsewhere;
  sealer: SealerPort;
  /** heads that others kept: the sealer's, one kept outside */
  knownHeads: readonly KnownHead[];
  /** roles that spool on while this process starts again: each empties what is its own */
  spoolOwners?: readonly string[];
  /** how long deleted mail can be brought back (default 14 `day` leaves and days) */
  recoverableDays?: number;
  logger: Logger;
  /** STATE frames after which an account gets a snapshot (default 10,000) */
  snapshotChangesMin?: number;
  /** UIDs of a snapshot's page; for tests */
  snapshotPageUids?: number;
  /** false: snapshots in the log are passed over when projections are made, as by a reader that knows none (default true) */
  useSnapshots?: boolean;
  /** how often the queue looks whether somebody waits too long (default 1 s); tests shorten it */
  lookEveryMs?: number;
  /** is told what was applied to the index just now, before anybody is answered; neither waits nor throws */
  applied?(events: readonly LogEvent[], appliedSeq: number): void;
  schedule(work: () => void, ms: number): () => void;
  /** the process has to start again */
  failed(error: FengniError): void;
}

export interface Writer extends MailstoreWriter {
  readonly kind: 'writer';
  readonly queue: CommitQueue;
  readonly directory: Directory;
  readonly index: MailIndex;
  readonly origin: string;
  /** fulfilled when large files that an earlier life left without a message are gone */
  readonly swept: Promise<void>;
  sealStatus(): SealStatus;
  /** erases what is due, now; fulfilled, with how many copies went, when it is gone */
  eraseDue(): Promise<number>;
  /** writes a snapshot of an account now. @returns whether there is a new one */
  snapshot(account: string): Promise<boolean>;
  /** fulfilled when a signed head covers what was durable at the call, or the sealer does not sign */
  settleHeads(): Promise<void>;
  /** ends the generation with the leaf that names the next key; nothing may be written afterwards. As `Heads.handOver` */
  handOver(key: string): Promise<number>;
  stop(): Promise<void>;
}

/**
 * Recovers log and projections and opens the writer.
 *
 * @returns the refusal where the log is damaged or was rolled back: nothing was changed then
 */
export const openWriter = async (options: WriterOptions): Promise<Writer | LogRefusal> => {
  const { io, folder, shard, logger } = options;
  let leafClock: LeafClock | null = null;
  const published = await ledgerHeads(io, folder);
  const log = await openLog({
    io,
    folder,
    shard,
    knownHeads: [...published, ...options.knownHeads],
    // With a signed head at hand the ledger's tiles give the root of every older head: a start does not read the whole log for it.
    ...(published.length === 0 ? {} : { rootAt: rootsFromLedger(io, folder, published) }),
    segmentLeaf: (closed, place) => {
      const timeMs = leafClock?.openingMs(place.timeMs) ?? place.timeMs;
      return encodeLeaf({ kind: 'segment', seq: place.seq, timeMs, ...closed });
    },
  });
  if (log.kind === 'refused') return log;
  const keys = openKeyReader({ io, folder, shard });
  const segments = openSegmentReader({ io, folder });

  const large = await LargeFiles.open(io, folder);
  const spoolOwners = options.spoolOwners ?? [];
  await emptySpool(io, folder, (owner) => !spoolOwners.includes(owner));
  let damaged: WriterStatus['damaged'] = null;
  const { index, directory, remade } = await caughtUp(options, log, { keys, segments });
  const addresses = createAddresses(directory);
  leafClock = createLeafClock(index.marks());
  const state = new WorkingState(index, async (ref) => {
    const found = await keys.fileKey(ref);
    return found.kind === 'clear' ? found.fileKey : null;
  });

  const hostname =
    (directory.row('setting', 'origin')?.['hostname'] as string | undefined) ?? options.hostname;
  const origin = encodeOrigin({ hostname, shard, generation: log.generation });
  const ledger = await LedgerWriter.open(io, path.join(folder, 'ledger', `g${log.generation}`));
  const listeners = new Set<(change: MailstoreChange) => void>();

  const ownFiles: OwnFiles = createOwnFiles({ large, log, index, keys, logger, failed: options.failed });
  // Told by the index and, before anything is removed, by the log itself; nobody waits for it.
  const unknown = (await large.ids()).filter((id) => index.messageById(id) === null);
  const swept = ownFiles.sweep(unknown);

  let heads: ReturnType<typeof createHeads> | null = null;
  let erasure: ReturnType<typeof createErasure> | null = null;
  let snapshots: ReturnType<typeof createSnapshots> | null = null;
  const erasedListeners = new Set<(keys: readonly KeyRef[] | null) => void>();
  const addressListeners = new Set<() => void>();
  const queue = createCommitQueue({
    log,
    index,
    directory,
    addresses,
    state,
    clock: io.clock,
    leafClock,
    random: io.random,
    logger,
    ...(options.lookEveryMs === undefined ? {} : { lookEveryMs: options.lookEveryMs }),
    committed: (group, draft) => {
      options.applied?.(draft.events, group.lastSeq);
      const gone = draft.events.flatMap((event) => (event.type === 'erased' ? event.keys : []));
      gone.forEach(keys.forget);
      if (gone.length > 0) for (const listener of erasedListeners) listener(gone);
      if (gone.length > 0 || draft.events.some(({ type }) => type === 'row'))
        for (const listener of addressListeners) listener();
      ownFiles.erased(draft.erasedMessages);
      heads?.committed(
        { first: group.firstSeq, recordLeafHashes: group.recordHashes.map(leafHash) },
        draft,
        group.leaves.map(({ octets }) => octets),
      );
      erasure?.committed(draft);
      snapshots?.committed(draft);
    },
    notify: (changes) => {
      for (const change of changes) for (const listener of listeners) listener(change);
    },
    failed: options.failed,
  });

  const firstSeq = generationStart(directory, log.generation);
  // A `frames` leaf of an earlier generation is no beginning here: its ledger is closed.
  const framesSeq = index.marks().framesSeq < firstSeq ? 0 : index.marks().framesSeq;
  const unsealed = await sinceLastHead(
    log,
    firstSeq,
    framesSeq,
    ledger,
    io,
    path.join(folder, 'ledger', `g${log.generation}`),
  );
  // Partial tiles are not kept over a start: they are there again before anybody asks, whether or not a new head is due.
  for (let at = 0; at < unsealed.leaves.length; at += appendedLeavesMax)
    await ledger.append(unsealed.leaves.slice(at, at + appendedLeavesMax));
  heads = createHeads({
    queue,
    ledger,
    sealer: options.sealer,
    generation: log.generation,
    origin,
    logger,
    frames: { seq: framesSeq, hashes: unsealed.hashes },
    due: unsealed.due,
    sealedSize: unsealed.sealedSize,
    schedule: options.schedule,
    failed: options.failed,
  });
  if (log.nextLeafIndex === 0) await begin(queue, hostname, directory);
  erasure = createErasure({
    queue,
    index,
    isHeld: (account) => isHeld(directory, account),
    clock: io.clock,
    days: options.recoverableDays ?? recoverableDays,
    logger,
  });
  erasure.start();
  snapshots = createSnapshots({
    queue,
    index,
    readMailbox: readMailboxRoot({ segments, keys, index }),
    logger,
    ...(options.snapshotChangesMin === undefined ? {} : { changesMin: options.snapshotChangesMin }),
    ...(options.snapshotPageUids === undefined ? {} : { pageUids: options.snapshotPageUids }),
  });

  return {
    kind: 'writer',
    queue,
    directory,
    index,
    origin,
    swept,
    sealStatus: () => (heads as NonNullable<typeof heads>).status(),
    eraseDue: () => (erasure as NonNullable<typeof erasure>).run(),
    snapshot: (account) => (snapshots as NonNullable<typeof snapshots>).run(account),
    settleHeads: () => (heads as NonNullable<typeof heads>).settle(),
    handOver: async (key) => {
      await snapshots?.stop();
      return (heads as NonNullable<typeof heads>).handOver(key);
    },
    resolve: async (address) => addresses.resolve(address),
    keepMailOf: async ({ accounts, domain }) => {
      const beforeMs = io.clock.nowMs() - keptAfterMs;
      return accounts.map(
        (account, at) => at < keepersAskedMax && index.hasKeptMailOf(account, domain, beforeMs),
      );
    },
    deliver: (message, recipients, completeMs) =>
      ownFiles.with(message, () => queue.submit(deliver(message, recipients), completeMs)),
    append: (request) => ownFiles.with(request.message, () => queue.submit(append(request))),
    appendAll: (request) =>
      request.messages.reduceRight<() => ReturnType<MailstoreWriter['appendAll']>>(
        (submit, { message }) =>
          () =>
            ownFiles.with(message, submit),
        () => queue.submit(appendAll(request)),
      )(),
    createMailbox: (request) => queue.submit(createMailbox(request)),
    deleteMailbox: (request) => queue.submit(deleteMailbox(request)),
    renameMailbox: (request) => queue.submit(renameMailbox(request)),
    subscribe: (request) => queue.submit(subscribe(request)),
    changeFlags: (request) => queue.submit(changeFlags(request)),
    expunge: (request) => queue.submit(expunge(request)),
    copy: (request) => queue.submit(copy(request)),
    markRecent: (request) => queue.submit(markRecent(request)),
    onChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    onAddresses: (listener) => {
      addressListeners.add(listener);
      return () => void addressListeners.delete(listener);
    },
    onErased: (listener) => {
      erasedListeners.add(listener);
      return () => void erasedListeners.delete(listener);
    },
    damaged: async (report) => {
      damaged = { count: (damaged?.count ?? 0) + 1, last: report };
    },
    status: async (): Promise<WriterStatus> => {
      const seal = await (heads as NonNullable<typeof heads>).look();
      return {
        origin,
        generation: log.generation,
        nextSeq: log.nextSeq,
        leafCount: log.nextLeafIndex,
        sealedLeafCount: seal.sealedSize,
        sealer: seal.sealer,
        sealerReason: seal.reason,
        projectionsRemade: remade,
        damaged,
      };
    },
    stop: async () => {
      await erasure?.stop();
      await snapshots?.stop();
      await queue.idle();
      await heads?.stop();
      await queue.close();
      await ownFiles.stop();
      // The directory follows only its own rows while running: now it says how far the log goes.
      directory.apply([], index.appliedSeq(), index.appliedHash());
      await log.close();
      await keys.close();
      await segments.close();
      index.close();
      directory.close();
    },
  };
};

/** Heads that lie in the data folder itself; a folder that was rolled back whole has old ones, which is why others keep some too. */
const ledgerHeads = async (io: Io, folder: string): Promise<KnownHead[]> => {
  const heads: KnownHead[] = [];
  const ledger = path.join(folder, 'ledger');
  if ((await io.stat(ledger)) === null) return heads;
  for (const name of await io.readFolder(ledger)) {
    const generation = /^g([1-9]\d{0,8})$/.exec(name)?.[1];
    if (generation === undefined) continue;
    const note = await new LedgerReader(io, path.join(ledger, name)).readCheckpoint();
    if (note === null) continue;
    try {
      const { size, root } = parseCheckpoint(note);
      heads.push({ source: `ledger/${name}/checkpoint`, generation: Number(generation), size, root });
    } catch {
      // A damaged checkpoint is told by verify; the writer makes a new one.
    }
  }
  return heads;
};

/**
 * Roots of older heads, from tiles that lead to the newest signed head of their generation; null where they cannot tell: what is in
 * doubt then is for `fengni verify`, which believes nothing but the log.
 */
const rootsFromLedger =
  (io: Io, folder: string, published: readonly KnownHead[]) =>
  async (generation: number, size: number): Promise<Uint8Array | null> => {
    const head = published.find((each) => each.generation === generation);
    if (head === undefined || head.root === null || size > head.size) return null;
    try {
      const reader = new LedgerReader(io, path.join(folder, 'ledger', `g${generation}`));
      return await reader.rootOf(size, { size: head.size, root: head.root });
    } catch (error) {
      if (error instanceof FengniError) return null;
      throw error;
    }
  };

/** Projections that have everything that the log has: what is missing is applied, what cannot be used or is ahead is made again. */
const caughtUp = async (
  options: WriterOptions,
  log: Log,
  readers: { keys: ReturnType<typeof openKeyReader>; segments: ReturnType<typeof openSegmentReader> },
): Promise<Projections & { remade: Remade | null }> => {
  const { logger } = options;
  let remade: Remade | null = null;
  const last = log.durableSeq;
  let projections: Projections;
  try {
    projections = options.projections(false);
    const applied = Math.max(projections.index.appliedSeq(), projections.directory.appliedSeq());
    if (applied > last) {
      // Only a roll-back of the log explains it; that the log says nothing of it was checked against every head that is known.
      logger.error('projections are ahead of the log and are made again', { applied, last });
      projections.index.close();
      projections.directory.close();
      projections = options.projections(true);
      remade = 'ahead';
    }
  } catch (error) {
    if (!(error instanceof FengniError)) throw error;
    logger.error('projections cannot be used and are made again', {
      code: error.code,
      subject: error.subject,
    });
    projections = options.projections(true);
    remade = 'unusable';
  }
  const replayReaders: ReplayReaders = {
    ...readers,
    parse: options.parse,
    // One file that is lost must not keep everybody from their mail; whoever opens this message learns that it is damaged.
    unreadable: (error, frame) => {
      logger.error('a large body cannot be read and is shown empty', {
        seq: frame.head.record.seq,
        code: error.code,
        subject: error.subject,
      });
      return options.parse(noOctets());
    },
  };
  const snapshots = options.useSnapshots ?? true;
  const caught = await catchUp({ log, ...projections, readers: replayReaders, logger, snapshots });
  return { ...projections, remade: caught ?? remade };
};

async function* noOctets(): AsyncGenerator<Uint8Array, void, void> {}

/** What the ledger and the next `frames` leaf need of the log: everything since the last of each. */
const sinceLastHead = async (
  log: Log,
  firstSeq: number,
  framesSeq: number,
  ledger: LedgerWriter,
  io: Io,
  ledgerFolder: string,
): Promise<{ hashes: Uint8Array[]; leaves: Uint8Array[]; due: boolean; sealedSize: number }> => {
  const reader = new LedgerReader(io, ledgerFolder);
  const note = await reader.readCheckpoint();
  let head: { size: number; root: Uint8Array } | null = null;
  try {
    if (note !== null) head = parseCheckpoint(note);
  } catch {
    // A damaged checkpoint is told by verify; the next head replaces it.
  }
  const sealedSize = head?.size ?? 0;
  // Leaves under a signed head need not be read from the log again; from which frame on they are missing says the last one's seq.
  const leaves = head === null ? [] : await leavesUnder(head, reader, ledger);
  let ledgerSeq = 0;
  const known = leaves.at(-1);
  if (known !== undefined) ledgerSeq = parseLeaf(known).seq;
  else if (ledger.size > 0) {
    for await (const entry of reader.entries(ledger.size - 1, ledger.size, ledger.size)) {
      ledgerSeq = parseLeaf(entry).seq;
    }
  }
  const have = ledger.size + leaves.length;
  const hashes: Uint8Array[] = [];
  let due = false;
  const from = Math.max(firstSeq, Math.min(framesSeq, ledgerSeq === 0 ? 0 : ledgerSeq + 1));
  if (log.durableSeq >= from) {
    for await (const frame of log.scan(from)) {
      const { record, recordHash } = frame.head;
      if (record.seq >= framesSeq) hashes.push(leafHash(recordHash));
      if (record.leafIndex === null || record.leafIndex < have) continue;
      leaves.push(frame.leaf.slice());
      if (record.leafIndex >= sealedSize && parseLeaf(frame.leaf).kind !== 'frames') due = true;
    }
  }
  return { hashes, leaves, due: due || (leaves.length > 0 && sealedSize === 0), sealedSize };
};

/** The leaves behind the ledger's full tiles as its partial ones have them, when they lead to the signed head; else none. */
const leavesUnder = async (
  head: { size: number; root: Uint8Array },
  reader: LedgerReader,
  ledger: LedgerWriter,
): Promise<Uint8Array[]> => {
  const leaves: Uint8Array[] = [];
  if (head.size <= ledger.size) return leaves;
  const range = ledger.range();
  try {
    for await (const entry of reader.entries(ledger.size, head.size, head.size)) {
      range.append(leafHash(entry));
      leaves.push(entry.slice());
    }
  } catch (error) {
    // Partial tiles are not synced: after a power cut the log has what they lack.
    if (error instanceof FengniError) return [];
    throw error;
  }
  return equalBytes(range.root(), head.root) ? leaves : [];
};

/** The first seq of a generation, as the first group of each but the first says it in a `setting` row. */
export const generationStart = (directory: Directory, generation: number): number =>
  (directory.row('setting', `begin-g${generation}`)?.['firstSeq'] as number | undefined) ?? 1;

/** The first leaf of a log; which name it was given stands beside it. */
const begin = async (queue: CommitQueue, hostname: string, directory: Directory): Promise<void> => {
  await queue.submit({
    accounts: [],
    reads: 'rows',
    bytes: 1_024,
    decide: ({ draft }) => {
      draft.leaf({ kind: 'genesis', previous: null });
      if (directory.row('setting', 'origin') === null) draft.row('setting', 'origin', { hostname });
      return { kind: 'done' };
    },
  });
};
