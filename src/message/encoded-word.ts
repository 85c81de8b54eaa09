import { decodeText } from './decode-text.ts';
import { findParameter, unfold } from './mime-header.ts';
import type { OctetText, Parameter } from './part.ts';
import { decodeTransfer } from './transfer-encoding.ts';

// A question mark inside a word is wrong and common; eight of them are tried.
const word = /=\?([^?\s]{1,80})\?([bq])\?([^?]*(?:\?(?!=)[^?]*){0,8})\?=/iy;

/**
 * The characters of unstructured text, a phrase or a comment: encoded-words decoded, blanks between two of them dropped,
 * a character that was cut in two by a pair of words of one charset put together again. Encoded-words are taken where
 * people put them: inside other words, with blanks in them, folded. The charset of other octets is guessed.
 *
 * @source RFC 2047 §6; RFC 2231 §5; RFC 6532 §3.2
 */
export const decodeHeaderText = (value: OctetText): string => {
  const text = unfold(value.includes('=?') && /[\r\n]/.test(value) ? joinFoldedWords(value) : value);
  let result = '';
  let pending: { charset: string; octets: Uint8Array[] } | null = null;
  const flush = (): void => {
    if (pending === null) return;
    result += decodeText(Buffer.concat(pending.octets), pending.charset).text;
    pending = null;
  };
  let at = 0;
  while (at < text.length) {
    const start = text.indexOf('=?', at);
    if (start < 0) break;
    word.lastIndex = start;
    const match = word.exec(text);
    const between = text.slice(at, start);
    if (match === null) {
      flush();
      result += rawText(text.slice(at, start + 2));
      at = start + 2;
      continue;
    }
    const [, charset = '', encoding = '', encoded = ''] = match;
    const current = pending as { charset: string; octets: Uint8Array[] } | null;
    const isAdjacent = current !== null && /^[ \t]*$/.test(between);
    if (!isAdjacent) {
      flush();
      result += rawText(between);
    }
    const octets =
      encoding.toLowerCase() === 'b'
        ? decodeTransfer(Buffer.from(encoded, 'latin1'), 'base64')
        : decodeQ(encoded);
    const key = charset.toLowerCase();
    if (isAdjacent && current?.charset === key) current.octets.push(octets);
    else {
      flush();
      pending = { charset: key, octets: [octets] };
    }
    at = word.lastIndex;
  }
  flush();
  return result + rawText(text.slice(at));
};

/** A fold inside an encoded-word was put there by what counts lines, not words: nothing stands for it. */
const joinFoldedWords = (value: OctetText): OctetText =>
  value.replace(foldedWord, (whole) => whole.replace(/[ \t]*[\r\n]+[ \t]*/g, ''));

const foldedWord = new RegExp(word.source, 'gi');

const decodeQ = (encoded: OctetText): Uint8Array =>
  Buffer.from(
    encoded
      .replace(/_/g, ' ')
      .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );

/** Octets that say nothing about their charset. */
export const rawText = (text: OctetText): string => {
  if (!/[\x80-\xff]/.test(text)) return text;
  return decodeText(Buffer.from(text, 'latin1'), null).text;
};

/**
 * The characters of a parameter, by its name in lower case: RFC 2231 first, then a plain one, with the encoded-words that
 * RFC 2047 §5 forbids there and everybody writes, then what there is of a series with a gap. Null when there is none.
 *
 * @source RFC 2231 §3, §4
 */
export const decodeParameter = (parameters: readonly Parameter[], name: string): string | null => {
  const extended = findParameter(parameters, `${name}*`);
  if (extended !== null) return decodeExtended(extended);
  const plain = findParameter(parameters, name) ?? joinWithGaps(parameters, name);
  if (plain === null) return null;
  return plain.includes('=?') ? decodeHeaderText(plain) : rawText(plain);
};

/** A series `name*0`, `name*2` lacks a piece: what is there tells more than nothing. */
const joinWithGaps = (parameters: readonly Parameter[], name: string): OctetText | null => {
  const pieces: { index: number; value: OctetText }[] = [];
  for (const parameter of parameters) {
    const match = /^([^*]+)\*(\d{1,4})\*?$/.exec(parameter.name);
    if (match?.[1]?.toLowerCase() === name) pieces.push({ index: Number(match[2]), value: parameter.value });
  }
  if (pieces.length === 0) return null;
  return pieces
    .sort((a, b) => a.index - b.index)
    .map(({ value }) => value)
    .join('');
};

const decodeExtended = (value: OctetText): string => {
  const match = /^([^']*)'([^']*)'/.exec(value);
  const charset = match?.[1] ?? '';
  let encoded = value.slice(match?.[0].length ?? 0);
  // RFC 2231 §4.1: the charset stands in the first piece only; some put it into each.
  if (/^[\w.:-]{2,40}$/.test(charset) && encoded.includes("'")) {
    const again = new RegExp(`${charset.replace(/[.]/g, '\\.')}'(?:[a-z-]{0,12}')?`, 'gi');
    encoded = encoded.replace(again, '');
  }
  const octets = Buffer.from(
    encoded.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
  return decodeText(octets, charset === '' ? null : charset).text;
};
