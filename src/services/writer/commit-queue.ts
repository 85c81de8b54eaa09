import type { Clock, Random } from '#base/clock';
import { FengniError, fengniError, isDamage } from '#base/errors';
import type { Logger } from '#base/logger';
import type { MailstoreChange, MailstoreOutcome } from '#services/mailstore';
import type { Directory, LogEvent, MailIndex } from '#store/index';
import type { CommittedGroup, Log } from '#store/log';
import type { Addresses } from './addresses.ts';
import type { Decision, DecisionContext } from './decision.ts';
import { GroupDraft } from './group-draft.ts';
import type { LeafClock } from './leaf-clock.ts';
import type { WorkingState } from './working-state.ts';

interface Job {
  decision: Decision<unknown>;
  /** since when somebody waits for it */
  sinceMs: number;
  resolve(outcome: MailstoreOutcome<unknown>): void;
  reject(error: unknown): void;
}

/** jobs of one group */
const groupJobsMax = 2_000;
/** octets of one group; a larger message is a group of its own */
const groupBytesMax = 8 * 2 ** 20;
/** a job that did not reach a group by then is withdrawn (WIRE, “Limits and replies”) */
const waitMsMax = 60_000;
/** jobs that wait; beyond it the newest are refused at once */
const jobsMax = 100_000;

export interface CommitQueueOptions {
  log: Log;
  index: MailIndex;
  directory: Directory;
  addresses: Addresses;
  state: WorkingState;
  clock: Clock;
  leafClock: LeafClock;
  random: Random;
  logger: Logger;
  /** after the group is durable and applied, before anybody is answered */
  committed(group: CommittedGroup, draft: GroupDraft): void;
  notify(changes: readonly MailstoreChange[]): void;
  /** the log can take no more, or a projection could not follow: the process has to start again */
  failed(error: FengniError): void;
  /** how often it is looked whether somebody waits too long; tests shorten it */
  lookEveryMs?: number;
}

export interface CommitQueue {
  /**
   * @param sinceMs since when its caller waits, by the clock's monotonic time; now, where nobody says
   * @throws {FengniError} `writer-overloaded`, `writer-late` (retryable: nothing was stored), `log-failed`
   */
  submit<T>(decision: Decision<T>, sinceMs?: number): Promise<MailstoreOutcome<T>>;
  /** fulfilled when nothing waits and nothing runs */
  idle(): Promise<void>;
  /** what waits is refused, what runs is finished */
  close(): Promise<void>;
  /** since the start of this process */
  stats(): QueueStats;
}

export interface QueueStats {
  groups: number;
  frames: number;
  leaves: number;
  /** jobs that wait now */
  waiting: number;
  /** jobs that were withdrawn, or refused at once, because others waited too long or were too many */
  late: number;
  overloaded: number;
}

/**
 * One order of events for everybody: takes all that waits, decides it, writes one group, applies it, answers.
 *
 * No timer makes a group: the next one gathers while this one is being synced. After the sync the answer is yes, whatever the index does.
 */
export const createCommitQueue = (options: CommitQueueOptions): CommitQueue => {
  const { log, index, directory, addresses, state, clock, random, logger } = options;
  let waiting: Job[] = [];
  let running: Promise<void> | null = null;
  let closed: FengniError | null = null;
  /** said once for each time that the queue is full */
  let overloadSaid = false;
  const stats = { groups: 0, frames: 0, leaves: 0, late: 0, overloaded: 0 };

  const run = async (): Promise<void> => {
    // One turn of the event loop, so that what arrived together is decided together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (waiting.length > 0 && closed === null) await writeGroup();
  };

  const kick = (): void => {
    if (running !== null || closed !== null) return;
    running = run()
      .catch((error: unknown) => fail(fengniError(error, 'writer-failed', failedDetails(error))))
      .finally(() => {
        running = null;
        if (waiting.length > 0) kick();
      });
  };

  /** Those that may still get into a group; the others are told so. */
  const inTime = (jobs: Job[]): Job[] => {
    const nowMs = clock.monotonicMs();
    if (jobs.every((job) => nowMs - job.sinceMs <= waitMsMax)) return jobs;
    const lateBefore = stats.late;
    const left = jobs.filter((job) => {
      if (nowMs - job.sinceMs <= waitMsMax) return true;
      stats.late += 1;
      job.reject(late());
      return false;
    });
    logger.warn('limit met', { limit: 'writer-late', count: stats.late - lateBefore });
    return left;
  };

  /** While a group takes its time, whoever waits behind it too long is told when the time is over, not when the group is done. */
  let watch: NodeJS.Timeout | null = null;
  const watchWaiting = (): void => {
    if (watch !== null) return;
    watch = setTimeout(() => {
      watch = null;
      waiting = inTime(waiting);
      if (waiting.length > 0) watchWaiting();
    }, options.lookEveryMs ?? 1_000);
    watch.unref();
  };

  const fail = (error: FengniError): void => {
    if (closed !== null) return;
    closed = error;
    for (const job of waiting) job.reject(error);
    waiting = [];
    options.failed(error);
  };

  const writeGroup = async (): Promise<void> => {
    const candidates = waiting;
    waiting = [];
    const jobs = inTime(candidates);
    overloadSaid = false;
    await state.prepare(new Set(jobs.flatMap(({ decision }) => decision.accounts)));

    state.beginGroup();
    const builder = log.beginGroup();
    // Behind the log's own leaf of a closed segment, whose time must not be the later one.
    const nowMs = clock.nowMs();
    const draft = new GroupDraft(builder, options.leafClock.timeMs(nowMs), random);
    options.leafClock.begin(draft, nowMs, clock.monotonicMs());
    const changes: MailstoreChange[] = [];
    const context: DecisionContext = {
      draft,
      state,
      index,
      directory,
      addresses,
      nowMs,
      notify: (change) => changes.push(change),
    };
    const decided: { job: Job; outcome: MailstoreOutcome<unknown> }[] = [];
    const deferred: Job[] = [];
    const blocked = new Set<string>();
    let bytes = 0;
    let structural = false;
    for (const [at, job] of jobs.entries()) {
      const { decision } = job;
      const isFull =
        decided.length >= groupJobsMax || (decided.length > 0 && bytes + decision.bytes > groupBytesMax);
      if (isFull) {
        deferred.push(...jobs.slice(at));
        break;
      }
      // Rows are read from the index, which does not know this group yet; and nothing overtakes what waits for the same account.
      const mustWait =
        decision.accounts.some((account) => blocked.has(account)) ||
        (isStructural(decision) && structural) ||
        (decision.reads !== 'counters' && decision.accounts.some((account) => state.touched.has(account))) ||
        (decision.reads === 'rows' && decision.accounts.some((account) => state.flagged.has(account)));
      if (mustWait) {
        deferred.push(job);
        for (const account of decision.accounts) blocked.add(account);
        continue;
      }
      const firstSeq = draft.nextSeq;
      try {
        decided.push({ job, outcome: decision.decide(context) });
      } catch (error) {
        // A row that is not what was written costs the command that needs it, and nobody else.
        if (!isDamage(error) || draft.nextSeq !== firstSeq) throw error;
        logger.error('refused for a damaged row', { code: error.code, subject: error.subject });
        job.reject(error);
        continue;
      }
      if (isStructural(decision)) structural = true;
      bytes += decision.bytes;
    }
    waiting = [...deferred, ...waiting];
    if (draft.isEmpty) {
      for (const { job, outcome } of decided) job.resolve(outcome);
      return;
    }

    let group: CommittedGroup;
    try {
      group = await log.commit(builder);
    } catch (error) {
      const fault = fengniError(error, 'log-failed', failedDetails(error));
      for (const { job } of decided) job.reject(fault);
      fail(fault);
      return;
    }
    stats.groups += 1;
    stats.frames += group.lastSeq - group.firstSeq + 1;
    stats.leaves += group.leaves.length;
    options.leafClock.committed(draft);
    const applied = apply(draft.events, group);
    options.committed(group, draft);
    for (const { job, outcome } of decided) job.resolve(outcome);
    if (applied === null) options.notify(changes);
    else fail(applied);
  };

  /** @returns why a projection could not follow, or null */
  const apply = (events: readonly LogEvent[], group: CommittedGroup): FengniError | null => {
    try {
      const rows = events.filter((event) => event.type === 'row');
      const last = group.recordHashes.at(-1);
      index.apply(events, group.lastSeq, last);
      // A directory that lags costs a longer start, and it changes seldom: it follows with its own rows.
      const erased = events.filter((event) => event.type === 'erased');
      if (rows.length + erased.length > 0)
        directory.apply(
          events.filter((event) => event.type === 'row' || event.type === 'erased'),
          group.lastSeq,
          last,
        );
      addresses.apply(rows);
      if (erased.length > 0) addresses.reload();
      return null;
    } catch (error) {
      logger.error('projection could not follow the log', {
        error: error instanceof Error ? error.message : String(error),
      });
      return fengniError(error, 'projection-unusable', failedDetails(error));
    }
  };

  return {
    submit: <T>(decision: Decision<T>, sinceMs = clock.monotonicMs()) =>
      new Promise<MailstoreOutcome<T>>((resolve, reject) => {
        if (closed !== null) {
          reject(closed);
          return;
        }
        if (waiting.length >= jobsMax) {
          stats.overloaded += 1;
          if (!overloadSaid) logger.warn('limit met', { limit: 'writer-overloaded', count: 1 });
          overloadSaid = true;
          reject(overloaded());
          return;
        }
        const job: Job = {
          decision,
          sinceMs,
          resolve: resolve as Job['resolve'],
          reject,
        };
        waiting.push(job);
        kick();
        watchWaiting();
      }),
    stats: () => ({ ...stats, waiting: waiting.length }),
    idle: async () => {
      while (running !== null) await running;
    },
    close: async () => {
      closed ??= stopping();
      for (const job of waiting) job.reject(closed);
      waiting = [];
      while (running !== null) await running;
    },
  };
};

const isStructural = ({ accounts, reads, structural }: Decision<unknown>): boolean =>
  structural ?? (reads === 'rows' && accounts.length === 0);

const failedDetails = (error: unknown) => ({
  subject: error instanceof Error ? error.message : String(error),
  remedy: 'the writer starts again and recovers from the log; look at the disk and the log of the system',
  retryable: true,
});

const late = (): FengniError =>
  new FengniError('writer-late', {
    subject: `a request that waited for more than ${waitMsMax / 1_000} s`,
    remedy: 'look at the disk: the writer waits for a sync',
    retryable: true,
  });

const overloaded = (): FengniError =>
  new FengniError('writer-overloaded', {
    subject: `more than ${jobsMax} requests wait`,
    remedy: 'look at the disk: the writer waits for a sync',
    retryable: true,
  });

const stopping = (): FengniError =>
  new FengniError('writer-stopping', {
    subject: 'the server is stopping',
    remedy: 'try again when it runs',
    retryable: true,
  });
