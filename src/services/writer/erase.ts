import type { Clock } from '#base/clock';
import type { Logger } from '#base/logger';
import type { MailIndex, UnplacedRow } from '#store/index';
import type { CommitQueue } from './commit-queue.ts';
import { eraseCopies, isDue } from './decide-erase.ts';
import type { GroupDraft } from './group-draft.ts';

/** How long what a person deleted can be brought back: in `day` leaves, and by the clock too (FORMATS §5 “Time orders nothing”). */
export const recoverableDays = 14;
/** copies of one group: mail that arrives meanwhile waits for their slots */
export const copiesPerGroup = 500;

/** Erases copies whose days are over. */
export interface Erasure {
  /** erases what was due before this start */
  start(): void;
  /** to be called when a group is durable and applied: its `day` leaf may make copies due */
  committed(draft: GroupDraft): void;
  /** Erases what is due now, group after group; fulfilled, with how many copies went, when nothing is left that may go. */
  run(): Promise<number>;
  stop(): Promise<void>;
}

export const createErasure = (options: {
  queue: Pick<CommitQueue, 'submit'>;
  index: MailIndex;
  isHeld(account: string): boolean;
  clock: Clock;
  days: number;
  logger: Logger;
}): Erasure => {
  const { queue, index, isHeld, clock, days, logger } = options;
  let running: Promise<number> | null = null;
  let again = false;
  let stopped = false;

  const rounds = async (): Promise<number> => {
    let all = 0;
    do {
      again = false;
      let after = 0;
      let copies = 0;
      while (!stopped) {
        const due = dueAfter(index, after, days, clock.nowMs());
        const last = due.at(-1);
        if (last === undefined) break;
        after = last.emailSeq;
        const free = due.filter(({ account }) => !isHeld(account));
        if (free.length === 0) continue;
        const outcome = await queue.submit(eraseCopies(free, days));
        if (outcome.kind === 'done') copies += outcome.copies;
      }
      if (copies > 0) logger.info('deleted mail erased', { copies });
      all += copies;
    } while (again && !stopped);
    return all;
  };

  const run = (): Promise<number> => {
    if (running !== null) {
      again = true;
      return running;
    }
    running = rounds().finally(() => {
      running = null;
    });
    return running;
  };

  const inBackground = (): void =>
    // A failed log stops the process; what was not erased is erased after the next start, or with the next day.
    void run().catch((error: unknown) => logger.warn('deleted mail not erased', { error: String(error) }));

  return {
    run,
    start: () => {
      if (dueAfter(index, 0, days, clock.nowMs()).length > 0) inBackground();
    },
    committed: (draft) => {
      if (!stopped && draft.events.some((event) => event.type === 'leaf' && event.kind === 'day'))
        inBackground();
    },
    stop: async () => {
      stopped = true;
      await running?.catch(() => {});
    },
  };
};

const pageSize = copiesPerGroup;

/** The first copies behind `after` that are due, held or not. */
const dueAfter = (index: MailIndex, after: number, days: number, nowMs: number): UnplacedRow[] => {
  const { dayCount } = index.marks();
  for (let last = after; ; ) {
    const page = index.unplaced(Math.max(0, dayCount - days), last, pageSize);
    const due = page.filter((row) => isDue(row, dayCount, nowMs, days));
    if (due.length > 0 || page.length < pageSize) return due;
    last = page.at(-1)?.emailSeq ?? last;
  }
};
