export interface MailDate {
  /** milliseconds since 1970-01-01T00:00:00Z */
  epochMs: number;
  /** minutes east of UTC; 0 where the zone is not said or not known */
  offsetMinutes: number;
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/** Hours east of UTC. Military letters were defined wrongly in RFC 822 and count as +0000 (RFC 5322 §4.3). */
const zones: ReadonlyMap<string, number> = new Map([
  ['ut', 0],
  ['gmt', 0],
  ['utc', 0],
  ['z', 0],
  ['wet', 0],
  ['west', 1],
  ['bst', 1],
  ['cet', 1],
  ['met', 1],
  ['mez', 1],
  ['cest', 2],
  ['mest', 2],
  ['mesz', 2],
  ['eet', 2],
  ['eest', 3],
  ['msk', 3],
  ['msd', 4],
  ['hkt', 8],
  ['jst', 9],
  ['kst', 9],
  ['edt', -4],
  ['est', -5],
  ['cdt', -5],
  ['cst', -6],
  ['mdt', -6],
  ['mst', -7],
  ['pdt', -7],
  ['pst', -8],
]);

/** A date of more characters is none. */
const lengthMax = 1000;

/**
 * The date of a Date field as people write it: with or without the day of the week, obsolete zones, years of two or three
 * digits, a month as a number, comments and folds anywhere, no seconds, no zone; also C's `asctime` and ISO 8601. Null when
 * it is none.
 *
 * @source RFC 5322 §3.3, §4.3
 */
export const parseDate = (value: string): MailDate | null => {
  if (value.length > lengthMax) return null;
  const text = withoutComments(value)
    .replace(/\s+/g, ' ')
    // What some relays leave of a fold.
    .replace(/^[^A-Za-z0-9]+/, '')
    .trimEnd();
  return parseMailDate(text) ?? parseAsctime(text) ?? parseIsoDate(text);
};

const mailDate =
  /^(?:[a-z]{2,9}\.?,? ?)?(\d{1,2})(?: |-)([a-z]{3}|\d{1,2}(?=[ -]\d))[a-z]*\.?(?: |-|, )(\d{2,4}),? (\d{1,2}) ?[:.] ?(\d{2})(?: ?[:.] ?(\d{2})(?:[.,]\d+)?)?(?: ?([ap]m))?(?: ?(.*))?$/i;

const parseMailDate = (text: string): MailDate | null => {
  const match = mailDate.exec(text);
  if (match === null) return null;
  const [, day = '', month = '', year = '', hour = '', minute = '', second = '0', half, zone = ''] = match;
  const monthIndex = /^\d/.test(month) ? Number(month) - 1 : months.indexOf(month.toLowerCase());
  return make(year, monthIndex, day, hour, minute, second, half, zone);
};

/** `Thu Jan  1 00:00:00 [zone] 1970` */
const parseAsctime = (text: string): MailDate | null => {
  const match =
    /^[a-z]{3},? ([a-z]{3}) (\d{1,2}),? (\d{1,2}):(\d{2})(?::(\d{2}))? (?:([a-z]{1,5}|[+-]\d{4}) )?(\d{4})(?: ([a-z]{1,5}|[+-]\d{4}))?$/i.exec(
      text,
    );
  if (match === null) return null;
  const [, month = '', day = '', hour = '', minute = '', second = '0', before, year = '', after] = match;
  return make(
    year,
    months.indexOf(month.toLowerCase()),
    day,
    hour,
    minute,
    second,
    undefined,
    before ?? after ?? '',
  );
};

const parseIsoDate = (text: string): MailDate | null => {
  const match =
    /^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)? ?(Z|[+-]\d{2}:?\d{2})?$/i.exec(text);
  if (match === null) return null;
  const [, year = '', month = '', day = '', hour = '', minute = '', second = '0', zone = ''] = match;
  return make(year, Number(month) - 1, day, hour, minute, second, undefined, zone.replace(':', ''));
};

const make = (
  yearText: string,
  month: number,
  dayText: string,
  hourText: string,
  minuteText: string,
  secondText: string,
  half: string | undefined,
  zone: string,
): MailDate | null => {
  let year = Number(yearText);
  // RFC 5322 §4.3: 00 to 49 are of this century, other short years count from 1900.
  if (yearText.length === 2) year += year < 50 ? 2000 : 1900;
  else if (yearText.length === 3) year += 1900;
  const day = Number(dayText);
  const minute = Number(minuteText);
  const second = Math.min(Number(secondText), 59);
  let hour = Number(hourText);
  if (half !== undefined) hour = (hour % 12) + (half.toLowerCase() === 'pm' ? 12 : 0);
  if (month < 0 || month > 11 || day < 1 || hour > 24 || minute > 59 || Number(secondText) > 60 || year < 1)
    return null;
  const offsetMinutes = zoneOffset(zone);
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  if (date.getUTCMonth() !== month) return null;
  date.setUTCHours(hour, minute, second);
  return { epochMs: date.getTime() - offsetMinutes * 60_000, offsetMinutes };
};

const zoneOffset = (zone: string): number => {
  const numeric = /^(?:UTC|GMT)?([+-]) ?(\d{1,2}):?(\d{2})(?!\d)/i.exec(zone);
  if (numeric !== null) {
    const [, sign, hours = '', minutes = ''] = numeric;
    const offset = Number(hours) * 60 + Number(minutes);
    if (offset >= 24 * 60) return 0;
    return sign === '-' ? 0 - offset : offset;
  }
  const name = /^[a-z]+/i.exec(zone)?.[0].toLowerCase() ?? '';
  const hours = zones.get(name);
  return hours === undefined ? 0 : hours * 60;
};

const withoutComments = (value: string): string => {
  if (!value.includes('(')) return value;
  let text = '';
  let depth = 0;
  for (const [piece] of value.matchAll(/\\[\s\S]|[()]|[^\\()]+|\\$/g)) {
    if (piece === '(') depth++;
    else if (piece === ')') depth = Math.max(0, depth - 1);
    else if (depth === 0) text += piece;
    if (piece === '(' && depth === 1) text += ' ';
  }
  return text;
};
