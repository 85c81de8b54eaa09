import type { OctetText } from './part.ts';

/** A quoted string of that many octets at most: long lines break clients, literals don't. */
const quotedOctetsMax = 1000;

/**
 * A `string`: quoted where it can be, otherwise a literal. NUL is sent as it is, in a literal.
 *
 * @source RFC 9051 §4.3, §9
 */
export const imapString = (text: OctetText): OctetText =>
  text.length <= quotedOctetsMax && !needsLiteral.test(text)
    ? `"${text.replace(/["\\]/g, '\\$&')}"`
    : `{${text.length}}\r\n${text}`;

/** An `nstring`: NIL for null. */
export const imapNstring = (text: OctetText | null): OctetText => (text === null ? 'NIL' : imapString(text));

const needsLiteral = /[\0\r\n\x80-\xff]/;

/**
 * The text with its words of raw UTF-8 as encoded-words, which every client reads; as it is when it is not UTF-8.
 *
 * @source RFC 2047 §2, §5 (1), (3); §6.2 (blanks between two encoded-words go)
 */
export const withEncodedWords = (text: OctetText): OctetText => {
  if (!/[\x80-\xff]/.test(text)) return text;
  const utf8 = Buffer.from(text, 'latin1');
  const decoded = decodeUtf8(utf8);
  if (decoded === null) return text;
  let result = '';
  let run = '';
  let previousIsEncoded = false;
  const flush = (): void => {
    if (run === '') return;
    result += encodeWords(previousIsEncoded ? ` ${run}` : run);
    run = '';
    previousIsEncoded = true;
  };
  // Words and the blanks between them in turn.
  const tokens = decoded.split(/([ \t]+)/);
  for (let at = 0; at < tokens.length; at += 2) {
    const word = tokens[at] ?? '';
    const blanks = at === 0 ? '' : (tokens[at - 1] ?? '');
    if (/[^\0-\x7f]/.test(word)) {
      if (run !== '') run += blanks + word;
      else {
        result += blanks;
        run = word;
      }
      continue;
    }
    flush();
    result += blanks + word;
    if (word !== '') previousIsEncoded = /^=\?.*\?=$/.test(word);
  }
  flush();
  return result;
};

const decodeUtf8 = (octets: Uint8Array): string | null => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets);
  } catch {
    return null;
  }
};

/** Octets of UTF-8 in one encoded-word: 60 characters of base64 and the rest stay under 75. */
const encodedWordOctetsMax = 42;

const encodeWords = (text: string): string => {
  const words: string[] = [];
  let word = '';
  let octets = 0;
  for (const char of text) {
    const length = Buffer.byteLength(char);
    if (octets + length > encodedWordOctetsMax) {
      words.push(word);
      word = '';
      octets = 0;
    }
    word += char;
    octets += length;
  }
  words.push(word);
  return words.map((each) => `=?UTF-8?B?${Buffer.from(each).toString('base64')}?=`).join(' ');
};
