import type { Clock } from '#base/clock';
import type { Logger } from '#base/logger';

/** Writes what strangers can cause at will: the first of a kind at once, then how many more there were, at most once a minute. */
export interface FloodLog {
  /** @param kind a name of the code, so that the number of kinds is bounded */
  note(kind: string): void;
}

const everyMs = 60_000;

/** @param event names the log line; `kind` and `count` are its fields */
export const createFloodLog = (log: Logger, clock: Clock, event: string): FloodLog => {
  const seen = new Map<string, { count: number; saidAtMs: number }>();
  return {
    note: (kind) => {
      const nowMs = clock.monotonicMs();
      const entry = seen.get(kind) ?? { count: 0, saidAtMs: Number.NEGATIVE_INFINITY };
      seen.set(kind, entry);
      entry.count += 1;
      if (nowMs - entry.saidAtMs < everyMs) return;
      log.warn(event, { kind, count: entry.count });
      entry.count = 0;
      entry.saidAtMs = nowMs;
    },
  };
};
