import type { Clock } from '#base/clock';
import type { Logger } from '#base/logger';
import type { Counters } from './counters.ts';

/**
 * Limits that a peer can meet, whatever the protocol: what stands behind its name in a counter (`smtp-size`), and a value of the label
 * `limit` of `/metrics`.
 */
export const limitNames = [
  'early-talker',
  'line-too-long',
  'line-endless',
  'bare-cr-or-lf',
  'bare-cr-or-lf-command',
  'bare-cr-or-lf-data',
  'bare-line-feed',
  'stray-control',
  'too-many-recipients',
  'too-many-errors',
  'too-many-commands',
  'too-many-idle-commands',
  'too-many-mails',
  'recipient-unknown',
  'recipient-disabled',
  'relay-refused',
  'size',
  'size-declared',
  'endless-data',
  'loop',
  'http',
  'http-refused',
  'tls-on-plain',
  'tls-hello-refused',
  'starttls-injection',
  'stls-injection',
  'bdat-malformed',
  'claim-refused',
  'password-in-clear',
  'timeout',
  'timed-out',
  'login-timed-out',
  'stalled',
  'account-sessions-refused',
  'literal-too-big',
  'disk-nearly-full',
  'too-much-at-once',
  'late',
  'overloaded',
  'slowed',
] as const;

const known: ReadonlySet<string> = new Set(limitNames);
const everyMs = 60_000;

const isLimit = (counter: string): boolean => {
  const name = counter.slice(counter.indexOf('-') + 1);
  return known.has(name) || name === 'proxy-refused' || name.startsWith('session-refused-');
};

/**
 * The same counters, and a line in the log for each limit that is met: strangers can cause these at will, so the first of a kind is said
 * at once, then how many more there were, at most once a minute.
 */
export const withLimitLog = (counters: Counters, log: Logger, clock: Clock): Counters => {
  /** by counter; null: it is no limit. Counters are names of the code, so their number is bounded. */
  const seen = new Map<string, { count: number; saidAtMs: number } | null>();
  const note = (name: string): void => {
    let entry = seen.get(name);
    if (entry === undefined) {
      entry = isLimit(name) ? { count: 0, saidAtMs: Number.NEGATIVE_INFINITY } : null;
      seen.set(name, entry);
    }
    if (entry === null) return;
    const nowMs = clock.monotonicMs();
    entry.count += 1;
    if (nowMs - entry.saidAtMs < everyMs) return;
    log.warn('limit met', { limit: name, count: entry.count });
    entry.count = 0;
    entry.saidAtMs = nowMs;
  };
  return {
    ...counters,
    count: (name, by) => {
      counters.count(name, by);
      note(name);
    },
  };
};
