/** From an instant, inclusive, to another, exclusive; null: without an end. */
export interface Span {
  sinceMs: number | null;
  untilMs: number | null;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

const units: Readonly<Record<string, number>> = {
  m: minuteMs,
  min: minuteMs,
  h: hourMs,
  d: dayMs,
  w: 7 * dayMs,
  分钟: minuteMs,
  小时: hourMs,
  天: dayMs,
  周: 7 * dayMs,
};

const weekdays: readonly (readonly string[])[] = [
  ['sunday', 'sun', '星期日', '星期天', '周日', '周天'],
  ['monday', 'mon', '星期一', '周一'],
  ['tuesday', 'tue', '星期二', '周二'],
  ['wednesday', 'wed', '星期三', '周三'],
  ['thursday', 'thu', '星期四', '周四'],
  ['friday', 'fri', '星期五', '周五'],
  ['saturday', 'sat', '星期六', '周六'],
];

const days: Readonly<Record<string, number>> = {
  today: 0,
  今天: 0,
  yesterday: 1,
  昨天: 1,
  前天: 2,
};

/**
 * A day, minute or second, or how long ago: `today`, `yesterday`, `tuesday` (the last one), `2026-11-24`, `2026-11-24T10:15`, with `Z` or
 * an offset or in local time, `90m`, `2h`, `3d`, `1w`, and the same in Chinese. Null for another text.
 */
export const readSpan = (
  text: string,
  { nowMs, offsetMinutes }: { nowMs: number; offsetMinutes(timeMs: number): number },
): Span | null => {
  const word = text.toLowerCase();
  /** the instant at which a local calendar reads so many milliseconds */
  const instant = (localMs: number): number => {
    const guess = localMs - offsetMinutes(localMs) * minuteMs;
    return localMs - offsetMinutes(guess) * minuteMs;
  };
  const today = Math.floor((nowMs + offsetMinutes(nowMs) * minuteMs) / dayMs);
  const wholeDay = (day: number): Span => ({
    sinceMs: instant(day * dayMs),
    untilMs: instant((day + 1) * dayMs),
  });
  const ago = Object.hasOwn(days, word) ? days[word] : undefined;
  if (ago !== undefined) return wholeDay(today - ago);
  const weekday = weekdays.findIndex((names) => names.includes(word));
  if (weekday >= 0) {
    // 1970-01-01 was a Thursday.
    const back = (((today + 4) % 7) - weekday + 7) % 7;
    return wholeDay(today - back);
  }
  if (word === 'now' || word === '现在') return { sinceMs: nowMs, untilMs: nowMs };
  const [, count, unit] = /^(\d{1,6})([a-z]{1,3}|分钟|小时|天|周)(?:前)?$/.exec(word) ?? [];
  if (count !== undefined && unit !== undefined) {
    const length = Object.hasOwn(units, unit) ? units[unit] : undefined;
    return length === undefined ? null : { sinceMs: nowMs - Number(count) * length, untilMs: null };
  }
  return calendar(word, wholeDay, instant);
};

const calendar = (
  word: string,
  wholeDay: (day: number) => Span,
  instant: (localMs: number) => number,
): Span | null => {
  const [, year, month, day, hour, minute, second, zone] =
    /^(\d{4})-(\d{2})-(\d{2})(?:[t ](\d{2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?(z|[+-]\d{2}:?\d{2})?)?$/.exec(
      word,
    ) ?? [];
  if (year === undefined) return null;
  const date = Date.UTC(Number(year), Number(month) - 1, Number(day));
  // 2026-02-31 is none.
  if (
    Number.isNaN(date) ||
    new Date(date).getUTCDate() !== Number(day) ||
    Number(month) > 12 ||
    month === '00'
  )
    return null;
  if (hour === undefined || minute === undefined) return wholeDay(date / dayMs);
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second ?? 0) > 60) return null;
  const local = date + Number(hour) * hourMs + Number(minute) * minuteMs + Number(second ?? 0) * 1_000;
  const lengthMs = second === undefined ? minuteMs : 1_000;
  const offset = zone === undefined ? null : zone === 'z' ? 0 : offsetOf(zone);
  const sinceMs = offset === null ? instant(local) : local - offset * minuteMs;
  return { sinceMs, untilMs: sinceMs + lengthMs };
};

const offsetOf = (zone: string): number => {
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(-2))];
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
};
