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
  if (value === null || value === true || value === false) return String(value);
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) throw notCanonical(`number ${value}`);
    return String(value);
  }
  if (typeof value === 'string') return quote(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object') throw notCanonical(`a ${typeof value}`);
  const object = value as JsonObject;
  let text = '{';
  for (const key of Object.keys(object).sort()) {
    if (text.length > 1) text += ',';
    text += `${quote(key)}:${canonicalJson(object[key] as Json)}`;
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
  if (canonicalJson(value) !== source) throw notCanonical('text in another spelling');
  return value;
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
