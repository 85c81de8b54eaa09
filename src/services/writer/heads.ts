import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import type { LedgerWriter } from '#store/ledger';
import { CompactRange } from '#trust/seal';
import type { CommitQueue } from './commit-queue.ts';
import type { Decision } from './decision.ts';
import type { GroupDraft } from './group-draft.ts';

/** The only one that signs: a process of its own, which believes nobody. */
export interface SealerPort {
  /**
   * @returns the signed head of exactly this tree, or why it will not be signed
   * @throws {FengniError} retryable while the sealer does not answer
   */
  advance(request: {
    generation: number;
    origin: string;
    size: number;
    root: Uint8Array;
  }): Promise<{ kind: 'signed'; note: Uint8Array } | { kind: 'refused'; reason: string }>;
  /** how it is now, whether or not there is something to sign; never rejects */
  look?(): Promise<SealerLook>;
}

export type SealerLook =
  | { kind: 'signs'; generation: number; size: number }
  | { kind: 'refused'; reason: string }
  | { kind: 'down'; reason: string };

export interface HeadsOptions {
  queue: CommitQueue;
  ledger: LedgerWriter;
  sealer: SealerPort;
  generation: number;
  origin: string;
  logger: Logger;
  /** `seq` of the newest `frames` leaf's record, 0 when there is none, and what follows it in the log, its own included */
  frames: { seq: number; hashes: readonly Uint8Array[] };
  /** whether the newest leaf that asks for a head is under none yet */
  due: boolean;
  /** size of the newest signed head */
  sealedSize: number;
  schedule(work: () => void, ms: number): () => void;
  /** the ledger's files cannot be written: the process has to start again */
  failed(error: FengniError): void;
}

export interface SealStatus {
  sealer: 'none' | 'signing' | 'down' | 'refusing';
  reason: string | null;
  sealedSize: number;
}

export interface Heads {
  /** to be called for each group that is durable */
  committed(
    group: { first: number; recordLeafHashes: readonly Uint8Array[] },
    draft: GroupDraft,
    ownLeaves: readonly Uint8Array[],
  ): void;
  status(): SealStatus;
  /** the same, after a look at the sealer itself: it may have gone, or been exchanged, since the last head */
  look(): Promise<SealStatus>;
  /**
   * Ends the generation: its last leaf names the key of the next one, and its last head covers that leaf. No head follows.
   *
   * @returns the size of the last head
   * @throws {FengniError} `sealer-refuses`, or retryable while the sealer does not answer; nothing but leaves was written then
   */
  handOver(key: string): Promise<number>;
  /** fulfilled when a head covers everything that was durable at the call, or the sealer will not or does not sign */
  settle(): Promise<void>;
  /** with a last head where the sealer answers in time; nobody is waited for without end */
  stop(): Promise<void>;
}

/** after a leaf that asks for a head; what comes meanwhile shares it */
const gatherMs = 200;
/** between two tries while the sealer does not answer */
const retryMs = 500;
/** an answer takes what reading all new entries takes, a second for some 100,000; whoever hangs is as good as down */
const answerMsMax = 30_000;
/** so long an orderly end waits for a sealer, for a last head and for what runs */
const stopMsMax = 2_500;
/** records without a leaf, such as changes of flags, share a head with those that ask for one; so many together ask too: a start reads
 * what came since the newest `frames` leaf, and until then their hashes are kept */
const unsealedRecordsMax = 4_096;

/**
 * Signed heads: at most one a second's worth of leaves behind the log, never one before its leaves are durable.
 *
 * A `frames` leaf over all records since the last one; then the ledger's tiles; then the sealer, which reads them itself; then a HEAD
 * frame and `ledger/g<N>/checkpoint`. While the sealer is down or refuses, mail flows; one `advance` catches up.
 */
export const createHeads = (options: HeadsOptions): Heads => {
  const { queue, ledger, sealer, logger } = options;
  let framesSeq = options.frames.seq;
  /** record leaf hashes from the last `frames` record on, its own first */
  let hashes: Uint8Array[] = [...options.frames.hashes];
  /** leaves that the ledger does not have yet */
  let leaves: Uint8Array[] = [];
  let due = options.due;
  let cancel: (() => void) | null = null;
  let running: Promise<void> | null = null;
  let stopped = false;
  const status: SealStatus = {
    sealer: options.sealedSize > 0 ? 'signing' : 'none',
    reason: null,
    sealedSize: options.sealedSize,
  };
  let newFramesSeq = 0;

  const framesLeaf = (next: string | null): Decision<object> => ({
    accounts: [],
    reads: 'counters',
    bytes: 1_024,
    decide: ({ draft }) => {
      const root = new CompactRange();
      for (const hash of hashes) root.append(hash);
      for (const hash of draft.recordLeafHashes) root.append(hash);
      const first =
        framesSeq === 0 ? draft.nextSeq - draft.recordLeafHashes.length - hashes.length : framesSeq;
      newFramesSeq = draft.leaf({ kind: 'frames', first, last: draft.nextSeq - 1, root: root.root() }).seq;
      if (next !== null) draft.leaf({ kind: 'handover', key: next });
      return { kind: 'done' };
    },
  });

  const isDown = (reason: string): void => {
    // What was not signed is still due; the tiles are there, and the sealer catches up in one step.
    due = true;
    if (status.sealer !== 'down') logger.warn('sealer does not answer', { reason });
    status.sealer = 'down';
    status.reason = reason;
  };

  const within = async <T>(work: Promise<T>, ms: number): Promise<T | null> => {
    let cancel = (): void => {};
    const late = new Promise<null>((resolve) => {
      cancel = options.schedule(() => resolve(null), ms);
    });
    // Whoever comes too late is not listened to any more.
    work.catch(() => {});
    return Promise.race([work, late]).finally(() => cancel());
  };

  const round = async (next: string | null = null): Promise<void> => {
    due = false;
    if (status.sealer === 'down' && next === null && hashes.length < unsealedRecordsMax) {
      // While nobody signs, the log does not grow by a leaf with every try.
      const found = (await sealer.look?.()) ?? null;
      if (found?.kind === 'down') return isDown(found.reason);
    }
    await queue.submit(framesLeaf(next));
    const taken = leaves;
    leaves = [];
    try {
      await ledger.append(taken);
    } catch (error) {
      options.failed(error instanceof FengniError ? error : ledgerFailed(error));
      return;
    }
    const size = ledger.size;
    const root = ledger.root();
    const { generation, origin } = options;
    const answer = await within(sealer.advance({ generation, origin, size, root }), answerMsMax);
    if (answer === null) return isDown('no-answer');
    if (answer.kind === 'refused') {
      if (status.sealer !== 'refusing')
        logger.error('sealer refuses to sign', { size, reason: answer.reason });
      status.sealer = 'refusing';
      status.reason = answer.reason;
      return;
    }
    if (status.sealer !== 'signing') logger.info('sealer signs', { size });
    status.sealer = 'signing';
    status.reason = null;
    status.sealedSize = size;
    await queue.submit({
      accounts: [],
      reads: 'counters',
      bytes: 1_024,
      decide: ({ draft }) => {
        draft.head(answer.note);
        return { kind: 'done' };
      },
    });
    await ledger.writeCheckpoint(answer.note);
  };

  const run = (): void => {
    cancel = null;
    if (running !== null || stopped) return;
    running = round()
      .catch((error: unknown) => isDown(error instanceof FengniError ? error.code : String(error)))
      .finally(() => {
        running = null;
        if (due) plan(status.sealer === 'down' ? retryMs : gatherMs);
      });
  };

  const plan = (ms: number): void => {
    if (cancel !== null || stopped || running !== null) return;
    cancel = options.schedule(run, ms);
  };

  if (due) plan(0);

  const settle = async (): Promise<void> => {
    for (let round = 0; round < 3 && (due || running !== null); round++) {
      cancel?.();
      run();
      await running;
      // The first may have been under way already.
      if (round > 0 && status.sealer === 'down') return;
    }
  };

  return {
    committed: (group, draft, ownLeaves) => {
      hashes.push(...group.recordLeafHashes);
      if (newFramesSeq >= group.first) {
        // From the new `frames` record on, inclusive: the next leaf continues there.
        const at = group.recordLeafHashes.length - (newFramesSeq - group.first);
        hashes = hashes.slice(hashes.length - at);
        framesSeq = newFramesSeq;
        newFramesSeq = 0;
      }
      leaves.push(...ownLeaves);
      if (draft.asksForHead || hashes.length >= unsealedRecordsMax) {
        due = true;
        plan(gatherMs);
      }
    },
    status: () => ({ ...status }),
    look: async () => {
      const found = (await options.sealer.look?.()) ?? null;
      const known = { ...status };
      if (found === null || known.sealer === 'refusing') return known;
      if (found.kind === 'down') return { ...known, sealer: 'down', reason: found.reason };
      if (found.kind === 'refused') {
        // Before the first head there is no generation yet.
        const isNew = known.sealedSize === 0 && found.reason.startsWith('no-generation');
        return isNew ? known : { ...known, sealer: 'refusing', reason: found.reason };
      }
      const { generation, size } = found;
      if (generation !== options.generation)
        return {
          ...known,
          sealer: 'refusing',
          reason: `other-generation: the sealer is in generation ${generation}, the log in ${options.generation}`,
        };
      if (size < known.sealedSize)
        return {
          ...known,
          sealer: 'refusing',
          reason: `rolled-back: a head of ${known.sealedSize} leaves was signed, the sealer remembers ${size}`,
        };
      return known.sealer === 'down' ? { ...known, sealer: 'signing', reason: null } : known;
    },
    handOver: async (key) => {
      await settle();
      stopped = true;
      cancel?.();
      await running;
      await round(key);
      if (status.sealer !== 'signing')
        throw new FengniError('sealer-refuses', {
          subject: status.reason ?? status.sealer,
          remedy: 'see "fengni status"; the present generation goes on',
        });
      return status.sealedSize;
    },
    settle,
    stop: async () => {
      await within(settle(), stopMsMax);
      stopped = true;
      cancel?.();
      if (running !== null) await within(running, stopMsMax);
    },
  };
};

const ledgerFailed = (cause: unknown): FengniError =>
  new FengniError('ledger-unusable', {
    subject: cause instanceof Error ? cause.message : String(cause),
    remedy: 'the writer starts again and makes the tiles anew; look at the disk',
    retryable: true,
    cause,
  });
