import type { Clock } from '#base/clock';
import type { Logger } from '#base/logger';
import type { KeyRange, TraceEvent, TraceStore, TraceTally } from '#store/trace';
import {
  type Attempt,
  type AttemptCount,
  type AttemptReport,
  addedCount,
  attemptBytes,
  boundedAttempt,
  boundedReply,
  countKey,
  networkOf,
  networkOfKey,
} from './attempt.ts';

/** days that refused attempts are kept, by the log's `day` leaves and by the clock */
export const attemptDays = 180;

export interface AttemptLimits {
  /** attempts of one day that are kept one by one, of everybody and of one network */
  perDay: number;
  perNetworkPerDay: number;
  /** octets of one day */
  bytesPerDay: number;
  /** rows of counts of one day; beyond it peers are not told apart */
  talliesPerDay: number;
}

export const attemptLimits: AttemptLimits = {
  perDay: 10_000,
  perNetworkPerDay: 200,
  bytesPerDay: 8 * 2 ** 20,
  talliesPerDay: 2_000,
};

/** Keeps refused attempts for 180 days, in bounds that no stranger can move. */
export interface AttemptLog {
  take(report: AttemptReport): void;
  /** Takes away some of what is too old, to be called now and then. @returns how many attempts went */
  prune(): number;
  /** Takes the addresses of these ranges out of all attempts. */
  forget(ranges: readonly KeyRange[]): number;
}

/** attempts that go at a time */
const prunedTogether = 500;
const dayMs = 86_400_000;
/** a report of one role, however it was made */
const reportAttemptsMax = 2_000;
const reportCountsMax = 2_000;

/**
 * A day's share is its own: what comes today never pushes out what was kept before. Within a day nobody can use it up alone (a limit for
 * each network), and the fuller it is, the rarer a peer must be to be kept one by one: beyond half of it ten attempts of a network,
 * beyond three quarters the first one. Everything else is counted, by network as long as there is room for that.
 */
export const createAttemptLog = (options: {
  store: TraceStore;
  clock: Clock;
  /** `day` leaves of the log so far */
  dayCount(): number;
  logger: Logger;
  limits?: AttemptLimits;
}): AttemptLog => {
  const { store, clock, logger } = options;
  const limits = options.limits ?? attemptLimits;
  const freshDay = (day: number, tallies: number) => ({
    day,
    rows: 0,
    bytes: 0,
    tallies,
    /** rows of counts that this process has met */
    met: new Set<string>(),
    networks: new Map<string, number>(),
  });
  let today = freshDay(-1, 0);
  /** said once a day */
  let saidDay = -1;

  const dayOf = (timeMs: number): number => Math.floor(timeMs / dayMs);

  /** What this day has; read from the database once a day and at a start. */
  const countsOf = (day: number): typeof today => {
    if (today.day === day) return today;
    today = freshDay(day, store.talliesOf(day));
    for (const { peer, bytes } of store.keptSince(day * dayMs)) {
      const network = networkOfKey(peer);
      today.rows += 1;
      today.bytes += bytes + 300;
      today.networks.set(network, (today.networks.get(network) ?? 0) + 1);
    }
    return today;
  };

  const isKept = (attempt: Attempt, network: string): boolean => {
    const fill = Math.max(today.rows / limits.perDay, today.bytes / limits.bytesPerDay);
    const before = today.networks.get(network) ?? 0;
    if (fill >= 1 || before >= limits.perNetworkPerDay) return false;
    if (fill >= 0.75 && before >= 1) return false;
    if (fill >= 0.5 && before >= 10) return false;
    return today.bytes + attemptBytes(attempt) <= limits.bytesPerDay;
  };

  const tallied = new Map<string, TraceTally>();
  const tally = (given: AttemptCount, day: number): void => {
    // First peers are no longer told apart, then reasons.
    const ways = [given, { ...given, network: '' }, { ...given, network: '', reason: 'other', enhanced: '' }];
    const room = [limits.talliesPerDay, 2 * limits.talliesPerDay, Number.POSITIVE_INFINITY];
    const of =
      ways.find((way, at) => today.met.has(countKey(way)) || today.tallies < (room[at] ?? 0)) ?? given;
    const key = countKey(of);
    if (!today.met.has(key)) {
      today.met.add(key);
      today.tallies += 1;
    }
    tallied.set(key, { day, ...addedCount(of, tallied.get(key)), dayCount: options.dayCount() });
  };

  return {
    take: (report) => {
      const nowMs = clock.nowMs();
      const day = dayOf(nowMs);
      const counts = countsOf(day);
      const dayCount = options.dayCount();
      const events: TraceEvent[] = [];
      let seq = store.nextSeq();
      for (const given of report.attempts.slice(0, reportAttemptsMax)) {
        const attempt = boundedAttempt(given);
        // The time is ours: what a role says is believed within an hour, as it may have waited for us.
        const timeMs = Math.abs(attempt.timeMs - nowMs) <= 3_600_000 ? attempt.timeMs : nowMs;
        const network = networkOf(attempt.peer);
        if (!isKept(attempt, network)) {
          const { reason, code, enhanced } = attempt;
          tally({ network, reason, code, enhanced, count: 1, firstMs: timeMs, lastMs: timeMs }, day);
          continue;
        }
        counts.rows += 1;
        counts.bytes += attemptBytes(attempt);
        counts.networks.set(network, (counts.networks.get(network) ?? 0) + 1);
        events.push(eventOf(attempt, seq, timeMs, dayCount));
        seq += 1;
      }
      for (const given of report.counts.slice(0, reportCountsMax)) {
        const times = (value: number): number =>
          Number.isSafeInteger(value) && Math.abs(value - nowMs) <= 3_600_000 ? value : nowMs;
        tally(
          {
            ...boundedReply(given),
            network:
              typeof given.network === 'string' && /^[0-9a-f.:/]{0,45}$/.test(given.network)
                ? given.network
                : '',
            count: Number.isSafeInteger(given.count) && given.count > 0 ? Math.min(given.count, 1e9) : 1,
            firstMs: times(given.firstMs),
            lastMs: times(given.lastMs),
          },
          day,
        );
      }
      if (events.length > 0) store.put(events, [], 0);
      if (tallied.size > 0) {
        store.count([...tallied.values()]);
        tallied.clear();
        if (saidDay !== day)
          logger.info('refused attempts are counted, not kept one by one', { rows: counts.rows });
        saidDay = day;
      }
    },
    prune: () => {
      const before = clock.nowMs() - attemptDays * dayMs;
      const gone = store.prune(before, options.dayCount() - attemptDays, prunedTogether);
      if (gone > 0) logger.info('old refused attempts removed', { attempts: gone });
      return gone;
    },
    forget: (ranges) => store.forget(ranges),
  };
};

const eventOf = (
  { stage, code, enhanced, text, reason, session, recipients, ...known }: Attempt,
  seq: number,
  timeMs: number,
  dayCount: number,
): TraceEvent => ({
  ...known,
  seq,
  timeMs,
  kind: 'refused',
  recipients: recipients.map((address) => ({ address, account: null, emailSeq: null, key: null })),
  key: null,
  refusal: { stage, code, enhanced, text, reason, session, dayCount },
});
