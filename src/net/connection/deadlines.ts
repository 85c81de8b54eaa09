import type { Clock } from '#base/clock';

/** Something with a time by which it wants to be looked at. */
export interface Expiring {
  /** by the clock's monotonic time; `Infinity` for never */
  deadlineAtMs: number;
  /** called once the deadline has passed; sets the next one itself */
  expire(nowMs: number): void;
}

/**
 * One timer for all connections of a listener: a connection's deadline is a number that moves without cost.
 *
 * A deadline is acted on at most `everyMs` late.
 */
export interface Deadlines {
  watch(entry: Expiring): void;
  forget(entry: Expiring): void;
  /** acts on what is due now; tests with a clock of their own call it, the timer does otherwise */
  sweep(): void;
  readonly clock: Clock;
  /** stops the timer; entries are forgotten */
  close(): void;
}

export const createDeadlines = (options: { clock: Clock; everyMs?: number }): Deadlines => {
  const entries = new Set<Expiring>();
  let timer: NodeJS.Timeout | null = null;
  const sweep = (): void => {
    const nowMs = options.clock.monotonicMs();
    for (const entry of entries) {
      if (entry.deadlineAtMs > nowMs) continue;
      entry.deadlineAtMs = Number.POSITIVE_INFINITY;
      entry.expire(nowMs);
    }
  };
  const stop = (): void => {
    if (timer !== null) clearInterval(timer);
    timer = null;
  };
  return {
    clock: options.clock,
    watch: (entry) => {
      entries.add(entry);
      // A connection keeps the process alive; the timer that watches it need not.
      timer ??= setInterval(sweep, options.everyMs ?? 1000).unref();
    },
    forget: (entry) => {
      entries.delete(entry);
      if (entries.size === 0) stop();
    },
    sweep,
    close: () => {
      entries.clear();
      stop();
    },
  };
};
