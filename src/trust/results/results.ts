/** What one method found, as an Authentication-Results field says it. */
export interface MethodResult {
  /** `spf`, `dkim`, `dmarc`, `arc`, `iprev`, … */
  readonly method: string;
  readonly result: string;
  /** for people: why it is that result; null: nothing to say */
  readonly reason: string | null;
  readonly properties: readonly ResultProperty[];
}

/** `header.d=example.org`: the names are those that IANA has registered. */
export interface ResultProperty {
  /** `smtp`, `header`, `policy`, `body` */
  readonly type: string;
  readonly name: string;
  readonly value: string;
}

/** The value of one field. */
export interface AuthenticationResults {
  /** who says it: a host name */
  readonly authservId: string;
  /** none: nothing was checked */
  readonly results: readonly MethodResult[];
}

/** octets of a field's value; with the name before it a line stays below 998 */
export const resultOctetsMax = 900;
/** characters of a reason */
const reasonMax = 240;

/**
 * The value of a field for one method, on one line. Whatever strangers put into it stays inside its quotes; a property that does
 * not fit is left out rather than cut.
 *
 * @source RFC 8601 §2.2
 */
export const encodeResult = (
  authservId: string,
  { method, result, reason, properties }: MethodResult,
): string => {
  let text = `${encodeValue(authservId)}; ${keyword(method)}=${keyword(result)}`;
  const given = reason === null ? null : clean(clean(reason).slice(0, reasonMax));
  if (given !== null && given !== '') text += ` reason=${quote(given)}`;
  for (const { type, name, value } of properties) {
    const shown = clean(value);
    if (shown === '') continue;
    const property = ` ${keyword(type)}.${keyword(name)}=${encodeValue(shown)}`;
    if (Buffer.byteLength(text) + Buffer.byteLength(property) <= resultOctetsMax) text += property;
  }
  return text;
};

/**
 * The values of the fields for a message, one a method, or the one that says that nothing was checked.
 *
 * @param octetsMax of all values together; the last ones are left out and a field says so
 */
export const encodeResults = (
  authservId: string,
  results: readonly MethodResult[],
  octetsMax: number,
): string[] => {
  if (results.length === 0) return [`${encodeValue(authservId)}; none`];
  const values: string[] = [];
  let octets = 0;
  for (const [at, result] of results.entries()) {
    const value = encodeResult(authservId, result);
    octets += Buffer.byteLength(value);
    if (octets <= octetsMax) values.push(value);
    else {
      const left = results.length - at;
      // The last one makes room: what is said to be left out must be said.
      values[Math.max(0, values.length - 1)] = encodeResult(authservId, {
        method: 'dkim',
        result: 'policy',
        reason: `${left + 1} more results are left out`,
        properties: [],
      });
      break;
    }
  }
  return values;
};

/** Controls and what breaks a line, for people. */
const clean = (text: string): string =>
  text
    .toWellFormed()
    // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these could end a line
    .replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, ' ')
    .trim();

/** A token of RFC 2045, or a mailbox or a domain that needs no quotes. */
const bare = /^(?:[A-Za-z0-9!#$%&'*+.^_`{|}~-]+|[A-Za-z0-9._+-]*@[A-Za-z0-9._-]+)$/;

const encodeValue = (value: string): string => (bare.test(value) ? value : quote(clean(value)));

const quote = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;

/** Ours; anything else is a bug. */
const keyword = (word: string): string => {
  if (!/^[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?$/.test(word)) throw new RangeError(`no keyword: ${word}`);
  return word;
};
