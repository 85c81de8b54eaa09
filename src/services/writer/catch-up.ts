import { equalBytes } from '#base/bytes';
import type { Logger } from '#base/logger';
import type { Remade } from '#services/mailstore';
import type { Directory, KeyRef, LogEvent, MailIndex } from '#store/index';
import { type Frame, type KeyReader, keyName, type Log, type SegmentReader } from '#store/log';
import { frameTypes } from '#store/segments';
import { eventOf, type ReplayReaders } from './replay.ts';
import { noPlan, planSnapshots, type SnapshotPlan } from './snapshot-plan.ts';

export interface CatchUpOptions {
  log: Log;
  index: MailIndex;
  directory: Directory;
  readers: ReplayReaders & { segments: SegmentReader; keys: KeyReader };
  logger: Logger;
  /** false: from STATE frames alone, as a reader does that knows no snapshots */
  snapshots: boolean;
}

/** events applied in one transaction: more of them live long enough to be moved about by the collector */
const batchEvents = 400;
/** frames and octets that are on their way at a time: the process that parses works on some while others are opened here */
const aheadFramesMax = 64;
const aheadBytesMax = 4 * 2 ** 20;
/** STATE frames for which it is not worth looking for a snapshot */
const framesWithoutPlan = 10_000;

/** Applies what the log has and the projections have not. @returns why they had to be made again, or null */
export const catchUp = async (options: CatchUpOptions): Promise<Remade | null> => {
  const { log, index, directory, logger } = options;
  const last = log.durableSeq;
  const remake = async (remade: Remade, message: string): Promise<Remade> => {
    logger.error(message, { index: index.appliedSeq(), directory: directory.appliedSeq() });
    index.clear();
    directory.clear();
    await catchUp(options);
    return remade;
  };
  const foreign = 'projections are of another log, and are made again';
  if (index.isPartial()) {
    logger.warn('the index was left behind while snapshots were taken in, and is made again', {
      applied: index.appliedSeq(),
    });
    index.clear();
  }
  if (!haveSame([index, directory], last, log.lastRecordHash)) return remake('foreign', foreign);
  const from = Math.min(index.appliedSeq(), directory.appliedSeq()) + 1;
  if (from > last) return null;
  const isFar = index.appliedSeq() === 0 || last - index.appliedSeq() > framesWithoutPlan;
  const plan =
    options.snapshots && isFar
      ? await planSnapshots(log, index.appliedSeq() + 1, index, options.readers)
      : noPlan;
  const outcome = await replay(options, from, plan);
  if (outcome === 'of lost frames')
    return remake('of-lost-frames', 'projections know frames that were given up as lost, and are made again');
  if (outcome === 'of another log') return remake('foreign', foreign);
  if (outcome === 'no snapshot') {
    // The group that it stood in is not believed, or its file was lost.
    logger.warn('a planned snapshot was not reached; everything is made from its own frames', { from, last });
    index.clear();
    await replay(options, 1, noPlan);
  }
  logger.info('projections caught up with the log', { from, to: last, snapshots: plan.byKey.size });
  return null;
};

/** Whether each of them that has applied up to this seq has this record as its last one. */
const haveSame = (
  projections: readonly Pick<Directory, 'appliedSeq' | 'appliedHash'>[],
  seq: number,
  recordHash: Uint8Array,
): boolean =>
  projections.every((each) => {
    const known = each.appliedSeq() === seq && seq > 0 ? each.appliedHash() : null;
    return known === null || equalBytes(known, recordHash);
  });

/**
 * @returns `of another log` when a projection's last record is not the one before the next frame; `no snapshot` when a snapshot of the plan was not met: the index lacks what it says; `of lost frames` when a projection has
 * applied a seq that no frame has: the log began a new generation without it
 */
const replay = async (
  options: CatchUpOptions,
  from: number,
  plan: SnapshotPlan,
): Promise<'done' | 'no snapshot' | 'of lost frames' | 'of another log'> => {
  const { log, index, directory, readers, logger } = options;
  let events: LogEvent[] = [];
  let upTo = 0;
  let upToHash: Uint8Array | null = null;
  const flush = (): void => {
    if (upTo === 0) return;
    index.apply(events, upTo, upToHash, restored < plan.byKey.size);
    directory.apply(events, upTo, upToHash);
    events = [];
  };
  /** of which nobody has seen yet whether it is of this log */
  let unproved = [index, directory].map((port) => ({ seq: port.appliedSeq(), hash: port.appliedHash() }));
  const indexed = index.appliedSeq();
  const known = Math.max(indexed, directory.appliedSeq());
  let next = from;
  let restored = 0;
  const keyless: { seq: number; key: KeyRef | null }[] = [];
  const named = new Set<string>();
  /** frames in the order of the log, whose events are in the making; null for one that says nothing */
  const ahead: {
    seq: number;
    recordHash: Uint8Array;
    key: KeyRef | null;
    bytes: number;
    event: Promise<LogEvent | 'erased' | null>;
  }[] = [];
  let aheadBytes = 0;
  const push = (frame: Frame, event: Promise<LogEvent | 'erased' | null>): void => {
    const { seq, key } = frame.head.record;
    // What fails is told in its turn.
    event.catch(() => {});
    const bytes = frame.head.storage.storedLength;
    aheadBytes += bytes;
    ahead.push({ seq, recordHash: frame.head.recordHash, key, bytes, event });
  };
  const take = async (most: number, bytesMost: number): Promise<void> => {
    while (ahead.length > most || (aheadBytes > bytesMost && ahead.length > 0)) {
      const { seq, recordHash, key, bytes, event: made } = ahead.shift() as (typeof ahead)[number];
      aheadBytes -= bytes;
      const event = await made;
      if (event === 'erased') keyless.push({ seq, key });
      else if (event !== null) {
        if (event.type === 'deliver' && seq < (plan.byAccount.get(event.account)?.seq ?? 0))
          event.placedBySnapshot = true;
        if (event.type === 'erased') for (const each of event.keys) named.add(keyName(each));
        events.push(event);
      }
      upTo = seq;
      upToHash = recordHash;
      if (events.length >= batchEvents) flush();
    }
  };
  for await (const frame of log.scan(from)) {
    const { seq, type, key, prev } = frame.head.record;
    if (seq > next && known >= next) return 'of lost frames';
    next = seq + 1;
    if (unproved.some((each) => each.seq === seq - 1 && each.hash !== null && !equalBytes(each.hash, prev)))
      return 'of another log';
    unproved = unproved.filter((each) => each.seq >= seq);
    // Mail that the index has already is not parsed again because the directory lags.
    if (seq <= indexed && !directoryTypes.has(type)) {
      push(frame, nothing);
      await take(aheadFramesMax, aheadBytesMax);
      continue;
    }
    const planned =
      seq > indexed && key !== null && snapshotTypes.has(type) ? plan.byKey.get(keyName(key)) : undefined;
    if (planned !== undefined && seq < planned.seq) {
      push(frame, nothing);
      await take(aheadFramesMax, aheadBytesMax);
      continue;
    }
    if (planned?.seq === seq) {
      await take(0, 0);
      // Until the last step is in, the applied seq stays before it: a start in between begins the snapshot anew.
      flush();
      for await (const step of planned.steps()) index.apply([step], upTo, upToHash, true);
      restored += 1;
      upTo = seq;
      upToHash = frame.head.recordHash;
      continue;
    }
    push(frame, eventOf(frame, readers));
    await take(aheadFramesMax, aheadBytesMax);
  }
  await take(0, 0);
  if (log.durableSeq > upTo) {
    upTo = log.durableSeq;
    upToHash = log.lastRecordHash;
  }
  flush();
  if (restored < plan.byKey.size) return 'no snapshot';
  for (const { seq, key } of keyless) {
    if (key !== null && named.has(keyName(key))) continue;
    logger.error('the key of a frame is destroyed and nothing erased it; run "fengni verify"', { seq });
  }
  return 'done';
};

const nothing = Promise.resolve(null);

/** ROW and ERASED: what the directory follows */
const directoryTypes: ReadonlySet<number> = new Set([frameTypes.ROW, frameTypes.ERASED]);
/** sealed under an account's own key */
const snapshotTypes: ReadonlySet<number> = new Set([frameTypes.STATE, frameTypes.SNAP]);
