import type { LogMarks } from '#store/index';
import type { GroupDraft } from './group-draft.ts';

const dayMs = 86_400_000;
/** a clock that fell by less is taken for what it was: an adjustment by NTP */
const smallStepMs = 1_000;

/**
 * The times of leaves: never falling without a `clock` leaf, with a `day` leaf for each day on which something is logged
 * (FORMATS §5 “Time orders nothing”).
 */
export interface LeafClock {
  /** the time of the next group's leaves */
  timeMs(nowMs: number): number;
  /** puts the leaves that time itself asks for at the start of a group that has something to say */
  begin(draft: GroupDraft, nowMs: number): void;
  committed(draft: GroupDraft): void;
}

export const createLeafClock = (marks: LogMarks): LeafClock => {
  let { leafTimeMs, dayCount, dayMs: dayTimeMs } = marks;
  let next: { leafTimeMs: number; dayCount: number; dayTimeMs: number } | null = null;

  const timeMs = (nowMs: number): number =>
    nowMs >= leafTimeMs ? nowMs : leafTimeMs - nowMs <= smallStepMs ? leafTimeMs : nowMs;

  return {
    timeMs,
    begin: (draft, nowMs) => {
      const time = timeMs(nowMs);
      next = { leafTimeMs: time, dayCount, dayTimeMs };
      if (time < leafTimeMs) draft.leaf({ kind: 'clock', beforeMs: leafTimeMs });
      // A clock that goes back and forth over midnight makes no days: a day counts once, and only forward.
      if (Math.floor(time / dayMs) > Math.floor(dayTimeMs / dayMs)) {
        next.dayCount += 1;
        next.dayTimeMs = time;
        draft.leaf({ kind: 'day', count: next.dayCount });
      }
    },
    committed: () => {
      if (next === null) return;
      ({ leafTimeMs, dayCount, dayTimeMs } = next);
      next = null;
    },
  };
};
