import { FengniError } from '#base/errors';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/**
 * The canonical text of a value.
 *
 * @throws {FengniError} `json-not-canonical` for a fraction, an unsafe integer, `-0`, a lone surrogate or a value that JSON lacks
 * @source RFC 8785 §3.2, restricted to integers
 */
export const canonicalJson = (value: Json): string => {
  if (isCanonicalOrder(value)) {
    const text = JSON.stringify(value);
    if (!text.includes(surrogateEscape)) return text;
  }
  return inOrder(value);
};

/** As `canonicalJson`, member by member: sorts, and says what cannot be written. */
const inOrder = (value: Json): string => {
  if (value === null || value === true || value === false) return String(value);
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) throw notCanonical(`number ${value}`);
    return String(value);
  }
  if (typeof value === 'string') return quote(value);
  if (Array.isArray(value)) return `[${value.map(inOrder).join(',')}]`;
  if (typeof value !== 'object') throw notCanonical(`a ${typeof value}`);
  const object = value as JsonObject;
  let text = '{';
  for (const key of Object.keys(object).sort()) {
    if (text.length > 1) text += ',';
    text += `${quote(key)}:${inOrder(object[key] as Json)}`;
  }
  return `${text}}`;
};

/**
 * Reads canonical text; anything that `canonicalJson` would have written differently is refused.
 *
 * @throws {FengniError} `json-not-canonical`
 */
export const parseCanonicalJson = (text: string | Uint8Array): Json => {
  const source = typeof text === 'string' ? text : decode(text);
  let value: Json;
  try {
    value = JSON.parse(source) as Json;
  } catch (cause) {
    throw notCanonical('text that is not JSON', cause);
  }
  // One pass over the whole text, not one over each string: the same comparison, for what is nearly always canonical.
  const isCanonical =
    JSON.stringify(value) === source && isCanonicalOrder(value) && !source.includes(surrogateEscape);
  if (!isCanonical && inOrder(value) !== source) throw notCanonical('text in another spelling');
  return value;
};

/** how `JSON.stringify` writes a surrogate that stands alone; an escaped backslash before `ud` looks the same and costs the longer way */
const surrogateEscape = '\\ud';

/**
 * Whether `JSON.stringify` writes a value as `inOrder` does, but for lone surrogates: every number one that may be written, every
 * object's keys in order, nothing that JSON lacks.
 */
const isCanonicalOrder = (value: unknown): boolean => {
  if (typeof value === 'string' || value === null || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isSafeInteger(value) && !Object.is(value, -0);
  if (typeof value !== 'object') return false;
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) if (!isCanonicalOrder(value[at])) return false;
    return true;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  const members = value as Readonly<Record<string, unknown>>;
  let before: string | null = null;
  for (const key of Object.keys(members)) {
    if ((before !== null && key <= before) || !isCanonicalOrder(members[key])) return false;
    before = key;
  }
  return true;
};

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const decode = (octets: Uint8Array): string => {
  try {
    return decoder.decode(octets);
  } catch (cause) {
    throw notCanonical('octets that are not UTF-8', cause);
  }
};

const quote = (text: string): string => {
  if (!text.isWellFormed()) throw notCanonical('a string with a lone surrogate');
  return JSON.stringify(text);
};

const notCanonical = (subject: string, cause?: unknown): FengniError =>
  new FengniError('json-not-canonical', {
    subject,
    remedy: 'the value was damaged or not written by Fengni; run "fengni verify"',
    cause,
  });
