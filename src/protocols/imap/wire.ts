import { fromLatin1, latin1, utf8 } from '#base/bytes';

/** Octets as characters U+0000 to U+00FF: the form of all text on its way out. */
export const wireText = (text: string): string => (isAscii(text) ? text : latin1(utf8(text)));

/** The text of octets that should be UTF-8, or null. */
export const utf8Text = (octets: string): string | null => {
  if (isAscii(octets)) return octets;
  try {
    return strictUtf8.decode(fromLatin1(octets));
  } catch {
    return null;
  }
};

/** A string for the client: quoted where that is allowed, otherwise a literal. @source RFC 9051 §4.3 */
export const wireString = (octets: string): string =>
  octets.length <= 1000 && /^[ -~]*$/.test(octets)
    ? `"${octets.replace(/["\\]/g, '\\$&')}"`
    : `{${octets.length}}\r\n${octets}`;

/** Text in quotes as UTF-8, for a client that has enabled it; no control is in it. @source RFC 6855 §3, RFC 9051 §4.3 */
export const quotedUtf8 = (text: string): string => `"${wireText(text).replace(/["\\]/g, '\\$&')}"`;

/** Text for the client: quoted where that is allowed to it, otherwise a literal. */
export const wireTextString = (text: string, isUtf8: boolean): string =>
  isUtf8 && text.length <= 500 && !/\p{Cc}/u.test(text) ? quotedUtf8(text) : wireString(wireText(text));

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** INTERNALDATE in UTC, in quotes. @source RFC 9051 §9 date-time */
export const wireDate = (ms: number): string => {
  const date = new Date(ms);
  const day = String(date.getUTCDate()).padStart(2, ' ');
  const year = String(date.getUTCFullYear()).padStart(4, '0');
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()];
  return `"${day}-${months[date.getUTCMonth()]}-${year} ${time.map((n) => String(n).padStart(2, '0')).join(':')} +0000"`;
};

/** Milliseconds since 1970 of a date-time without its quotes, or null. @source RFC 9051 §9 date-time */
export const parseDateTime = (text: string): number | null => {
  const match = /^( \d|\d\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)$/.exec(text);
  if (match === null) return null;
  const [, day, month, year, hour, minute, second, sign, zoneHour, zoneMinute] = match;
  const midnight = dayMs(Number(day), month ?? '', Number(year));
  if (midnight === null) return null;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return null;
  if (Number(zoneHour) > 14 || Number(zoneMinute) > 59) return null;
  const zone = (Number(zoneHour) * 60 + Number(zoneMinute)) * (sign === '-' ? -1 : 1);
  return midnight + ((Number(hour) * 60 + Number(minute) - zone) * 60 + Number(second)) * 1000;
};

/** Midnight UTC of a date as SEARCH has it (`1-Feb-1994`), or null. @source RFC 9051 §9 date-text */
export const parseDate = (text: string): number | null => {
  const match = /^(\d{1,2})-([A-Za-z]{3})-(\d{4})$/.exec(text);
  return match === null ? null : dayMs(Number(match[1]), match[2] ?? '', Number(match[3]));
};

const dayMs = (day: number, monthName: string, year: number): number | null => {
  const month = months.findIndex((name) => name.toLowerCase() === monthName.toLowerCase());
  if (month === -1 || day < 1) return null;
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  return date.getUTCMonth() === month ? date.getTime() : null;
};

/** Ascending numbers as a set: `1:3,7`. */
export const wireSet = (numbers: readonly number[]): string => {
  const parts: string[] = [];
  for (let index = 0; index < numbers.length; ) {
    const first = numbers[index] ?? 0;
    let last = first;
    while (numbers[index + 1] === last + 1) {
      last++;
      index++;
    }
    index++;
    parts.push(first === last ? `${first}` : `${first}:${last}`);
  }
  return parts.join(',');
};

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII */
const isAscii = (text: string): boolean => /^[\x00-\x7f]*$/.test(text);
