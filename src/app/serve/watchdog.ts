import type { Clock } from '#base/clock';

/** A process that must go on answering. */
export interface Watched {
  /** asks for an answer, to be told by `heard` */
  ask(): void;
  /** ends it without mercy; it does not listen any more */
  kill(silentMs: number): void;
}

export interface Watchdog {
  watch(watched: Watched): void;
  heard(watched: Watched): void;
  forget(watched: Watched): void;
  /** one look, which its timer makes; tests make their own */
  look(): void;
  stop(): void;
}

const everyMs = 10_000;
/** far beyond what a machine with too much to do needs for one turn of an event loop */
const silenceMsMax = 120_000;

/**
 * Ends processes that no longer answer: what a stranger sent has their code going round, and nobody else would end it. The one that is
 * started instead knows that there was a death (docs/decisions/0008).
 */
export const createWatchdog = (options: {
  clock: Clock;
  everyMs?: number;
  silenceMsMax?: number;
}): Watchdog => {
  const { clock } = options;
  const every = options.everyMs ?? everyMs;
  const silenceMax = options.silenceMsMax ?? silenceMsMax;
  /** since when an answer is owed; null: none is */
  const owed = new Map<Watched, number | null>();
  let lookedMs = clock.monotonicMs();
  const look = (): void => {
    const nowMs = clock.monotonicMs();
    // Who was itself away has answers that it has not read: it asks anew instead of blaming others.
    const wasAway = nowMs - lookedMs > 3 * every;
    lookedMs = nowMs;
    for (const [watched, sinceMs] of owed) {
      if (sinceMs === null || wasAway) {
        owed.set(watched, nowMs);
        watched.ask();
      } else if (nowMs - sinceMs > silenceMax) {
        owed.delete(watched);
        watched.kill(nowMs - sinceMs);
      }
    }
  };
  const timer = setInterval(look, every);
  timer.unref();
  return {
    watch: (watched) => void owed.set(watched, null),
    heard: (watched) => {
      if (owed.has(watched)) owed.set(watched, null);
    },
    forget: (watched) => void owed.delete(watched),
    look,
    stop: () => clearInterval(timer),
  };
};
