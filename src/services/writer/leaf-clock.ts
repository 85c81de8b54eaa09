import type { LogMarks } from '#store/index';
import type { GroupDraft } from './group-draft.ts';

const dayMs = 86_400_000;
/** in one process no two days are nearer to each other, however often the clock jumps ahead and back */
const betweenDaysMs = dayMs / 2;
/** a clock that fell by less is taken for what it was: an adjustment by NTP */
const smallStepMs = 1_000;

/**
 * The times of leaves: never falling without a `clock` leaf, with a `day` leaf for each day on which something is logged
 * (FORMATS §5 “Time orders nothing”).
 */
export interface LeafClock {
  /** the time of the next group's leaves */
  timeMs(nowMs: number): number;
  /** the time of a leaf that stands before all others of a group, a `clock` leaf too: it never goes back */
  openingMs(nowMs: number): number;
  /** puts the leaves that time itself asks for at the start of a group that has something to say */
  begin(draft: GroupDraft, nowMs: number, monotonicMs: number): void;
  committed(draft: GroupDraft): void;
}

export const createLeafClock = (marks: LogMarks): LeafClock => {
  let { leafTimeMs, dayCount, dayMs: dayTimeMs } = marks;
  /** the last day that this process has seen begin */
  let dayAtMs: number | null = null;
  let next: { leafTimeMs: number; dayCount: number; dayTimeMs: number; dayAtMs: number | null } | null = null;

  const timeMs = (nowMs: number): number =>
    nowMs >= leafTimeMs ? nowMs : leafTimeMs - nowMs <= smallStepMs ? leafTimeMs : nowMs;

  return {
    timeMs,
    openingMs: (nowMs) => Math.max(nowMs, leafTimeMs),
    begin: (draft, nowMs, monotonicMs) => {
      const time = timeMs(nowMs);
      next = { leafTimeMs: time, dayCount, dayTimeMs, dayAtMs };
      if (time < leafTimeMs) {
        draft.leaf({ kind: 'clock', beforeMs: leafTimeMs });
        // Days go on from where the clock was set to: one that was a year ahead does not stop them for a year.
        next.dayTimeMs = Math.min(dayTimeMs, time);
      }
      // A day counts once, and only forward; a clock that goes back and forth makes no days.
      const isLater = Math.floor(time / dayMs) > Math.floor(next.dayTimeMs / dayMs);
      if (isLater && (dayAtMs === null || monotonicMs - dayAtMs >= betweenDaysMs)) {
        next.dayCount += 1;
        next.dayTimeMs = time;
        next.dayAtMs = monotonicMs;
        draft.leaf({ kind: 'day', count: next.dayCount });
      }
    },
    committed: (draft) => {
      if (next === null) return;
      // A group without a leaf leaves no time behind: the next start would not know of it.
      if (!draft.events.some(({ type }) => type === 'leaf' || type === 'message'))
        next.leafTimeMs = leafTimeMs;
      ({ leafTimeMs, dayCount, dayTimeMs, dayAtMs } = next);
      next = null;
    },
  };
};
