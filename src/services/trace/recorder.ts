import type { Clock } from '#base/clock';
import type { Logger } from '#base/logger';
import {
  type Attempt,
  type AttemptCount,
  type AttemptReport,
  addedCount,
  countKey,
  networkOf,
  recipientsMax,
} from './attempt.ts';

/** Takes what was refused, from where it was refused. */
export interface AttemptRecorder {
  /** Never waits and never fails: what is too much is counted, and what cannot be handed on is counted until it can. */
  note(attempt: Attempt): void;
  /** Hands on what there is; fulfilled when it was tried. */
  stop(): Promise<void>;
}

/** between two reports */
const everyMs = 250;
/** of one report, of all peers and of one */
const attemptsMax = 200;
const attemptsOfNetworkMax = 40;
/** attempts that wait while nobody takes them */
const waitingMax = 2_000;
/** different kinds of refusals that are counted between two reports; beyond it peers are not told apart */
const countsMax = 500;

export const createAttemptRecorder = (options: {
  /** hands a report to the one who keeps it; a rejection keeps it here */
  send(report: AttemptReport): Promise<void>;
  clock: Clock;
  logger: Logger;
  everyMs?: number;
}): AttemptRecorder => {
  const { clock, logger } = options;
  let waiting: Attempt[] = [];
  let counts = new Map<string, AttemptCount>();
  /** attempts of each network since the last report */
  let networks = new Map<string, number>();
  let sinceReport = 0;
  let timer: NodeJS.Timeout | null = null;
  let sending: Promise<void> | null = null;
  let isFailing = false;
  let stopped = false;

  const count = (given: AttemptCount): void => {
    const isTold = counts.has(countKey(given)) || counts.size < countsMax;
    const of = isTold ? given : { ...given, network: '' };
    counts.set(countKey(of), addedCount(of, counts.get(countKey(of))));
  };

  const arm = (): void => {
    if (timer !== null || sending !== null || stopped) return;
    timer = setTimeout(() => {
      timer = null;
      void report();
    }, options.everyMs ?? everyMs);
    timer.unref();
  };

  const report = (): Promise<void> => {
    if (sending !== null) return sending;
    const attempts = waiting.slice(0, attemptsMax);
    if (attempts.length === 0 && counts.size === 0) return Promise.resolve();
    waiting = waiting.slice(attempts.length);
    const counted = [...counts.values()];
    counts = new Map();
    networks = new Map();
    sinceReport = 0;
    sending = options
      .send({ attempts, counts: counted })
      .then(
        () => {
          isFailing = false;
        },
        (error: unknown) => {
          if (!isFailing) logger.warn('refused attempts wait to be noted', { error: String(error) });
          isFailing = true;
          const room = Math.max(0, waitingMax - waiting.length);
          waiting = [...attempts.slice(0, room), ...waiting];
          for (const left of attempts.slice(room)) countOf(left);
          for (const each of counted) count(each);
        },
      )
      .finally(() => {
        sending = null;
        if (waiting.length > 0 || counts.size > 0) arm();
      });
    return sending;
  };

  const countOf = (attempt: Attempt): void => {
    const { reason, code, enhanced, timeMs } = attempt;
    const network = networkOf(attempt.peer);
    count({ network, reason, code, enhanced, count: 1, firstMs: timeMs, lastMs: timeMs });
  };

  return {
    note: (attempt) => {
      arm();
      const last = waiting.at(-1);
      // A sender that goes through a list of names is one line with all of them.
      if (last !== undefined && isMore(last, attempt)) {
        for (const address of attempt.recipients)
          if (last.recipients.length < recipientsMax) last.recipients.push(address);
        last.recipientCount += attempt.recipientCount;
        return;
      }
      const network = networkOf(attempt.peer);
      const before = networks.get(network) ?? 0;
      const isTooMuch =
        before >= attemptsOfNetworkMax || sinceReport >= attemptsMax || waiting.length >= waitingMax;
      if (isTooMuch) {
        countOf(attempt);
        return;
      }
      networks.set(network, before + 1);
      sinceReport += 1;
      waiting.push({
        ...attempt,
        timeMs: attempt.timeMs || clock.nowMs(),
        recipients: attempt.recipients.slice(0, recipientsMax),
      });
    },
    stop: async () => {
      stopped = true;
      if (timer !== null) clearTimeout(timer);
      await sending;
      await report();
    },
  };
};

/** Recipients of one transaction that got the same reply. */
const isMore = (last: Attempt, next: Attempt): boolean =>
  last.stage === 'rcpt' &&
  next.stage === 'rcpt' &&
  last.session === next.session &&
  last.mailFrom === next.mailFrom &&
  last.code === next.code &&
  last.enhanced === next.enhanced &&
  last.reason === next.reason &&
  last.text === next.text;
