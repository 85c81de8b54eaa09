import { type MailDate, parseDate } from './date.ts';
import { rawText } from './encoded-word.ts';
import type { OctetText } from './part.ts';
import { parseHeaderFields } from './scanner.ts';

/**
 * One `Received` field as it stands there. Every word of it is a claim of whoever wrote it: a field below our own may have been made up
 * by the sender.
 */
export interface ReceivedHop {
  /** what the peer called itself, and what stood in parentheses behind it: name and address as the server saw them, TLS */
  from: string | null;
  fromComment: string | null;
  /** the server that wrote it */
  by: string | null;
  byComment: string | null;
  via: string | null;
  with: string | null;
  id: string | null;
  /** without angle brackets */
  for: string | null;
  date: MailDate | null;
}

export const receivedLimits = Object.freeze({
  /** characters of a field that are read */
  fieldLengthMax: 4_096,
  /** characters of one value */
  valueLengthMax: 255,
  /** fields of one message */
  hopsMax: 100,
});

/**
 * The `Received` fields of a header, newest first, as they stand: claims of whoever wrote them.
 *
 * @param header the message's first octets, or all of it
 */
export const receivedHops = (header: Uint8Array): ReceivedHop[] => {
  const octets = Buffer.from(header.buffer, header.byteOffset, header.byteLength);
  return parseHeaderFields(octets)
    .filter(({ name }) => name === 'received')
    .slice(0, receivedLimits.hopsMax)
    .map(({ start, end }) => {
      const field = octets.toString('latin1', start, Math.min(end, start + receivedLimits.fieldLengthMax));
      return parseReceived(field.slice(field.indexOf(':') + 1));
    });
};

const keywords = ['from', 'by', 'via', 'with', 'id', 'for'] as const;
type Keyword = (typeof keywords)[number];
const isKeyword = (word: string): word is Keyword => (keywords as readonly string[]).includes(word);

/**
 * Reads a `Received` field, in whatever order and with whatever words servers write it; what it does not have is null.
 * Values are text without controls, whatever stood there. Never throws; linear in the length.
 *
 * @param value what stands after the colon, folded or not
 * @source RFC 5321 §4.4 (Time-stamp-line), RFC 5322 §3.6.7
 */
export const parseReceived = (value: OctetText): ReceivedHop => {
  const text = value.slice(0, receivedLimits.fieldLengthMax);
  const words = new Map<Keyword, string[]>();
  const comments = new Map<Keyword, string[]>();
  let current: Keyword | null = null;
  let semicolonAt = -1;
  for (const { kind, start, end } of tokens(text)) {
    const token = text.slice(start, end);
    if (kind === 'semicolon') {
      semicolonAt = start;
      continue;
    }
    // What stands behind a semicolon is the date, unless another one follows.
    if (semicolonAt >= 0) continue;
    if (kind === 'comment') {
      if (current !== null) push(comments, current, token.slice(1, token.endsWith(')') ? -1 : undefined));
      continue;
    }
    const keyword = token.toLowerCase();
    // A host may be called like a keyword; a protocol is not.
    const wantsWord = (current === 'from' || current === 'by') && !words.has(current);
    if (isKeyword(keyword) && !words.has(keyword) && keyword !== current && !wantsWord) current = keyword;
    else if (current !== null) push(words, current, token);
  }
  const shown = (of: ReadonlyMap<Keyword, readonly string[]>, keyword: Keyword): string | null => {
    const joined = printable((of.get(keyword) ?? []).join(' '));
    return joined === '' ? null : joined;
  };
  const recipient = shown(words, 'for');
  return {
    from: shown(words, 'from'),
    fromComment: shown(comments, 'from'),
    by: shown(words, 'by'),
    byComment: shown(comments, 'by'),
    via: shown(words, 'via'),
    with: shown(words, 'with'),
    id: shown(words, 'id'),
    for: recipient === null ? null : recipient.replace(/^<(.*)>$/, '$1'),
    date: semicolonAt < 0 ? null : parseDate(text.slice(semicolonAt + 1)),
  };
};

const push = (to: Map<Keyword, string[]>, keyword: Keyword, text: string): void => {
  const known = to.get(keyword);
  if (known === undefined) to.set(keyword, [text]);
  else known.push(text);
};

/** One line of text that a terminal shows as it is. */
const printable = (octets: OctetText): string =>
  rawText(octets)
    .replace(/\s+/g, ' ')
    .replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}]/gu, '')
    .trim()
    .slice(0, receivedLimits.valueLengthMax)
    .toWellFormed();

interface Token {
  kind: 'word' | 'comment' | 'semicolon';
  start: number;
  end: number;
}

/** a quoted string or a quoted pair is part of its word; each alternative begins with characters of its own */
const wordForm = /(?:[^\s();"\\]+|\\[\s\S]?|"(?:[^"\\]+|\\[\s\S]?)*"?)+/y;

/** Words, comments (nested ones are part of the outer) and semicolons outside of comments and quotes. */
function* tokens(text: string): Generator<Token> {
  for (let at = 0; at < text.length; ) {
    const start = at;
    const char = text[at];
    wordForm.lastIndex = at;
    if (char === '(') {
      at = endOfComment(text, at);
      yield { kind: 'comment', start, end: at };
    } else if (char === ';') {
      at += 1;
      yield { kind: 'semicolon', start, end: at };
    } else if (wordForm.test(text)) {
      at = wordForm.lastIndex;
      yield { kind: 'word', start, end: at };
    } else at += 1;
  }
}

/** After the parenthesis that closes the one at `start`, or the end. */
const endOfComment = (text: string, start: number): number => {
  const special = /[()\\]/g;
  special.lastIndex = start;
  let depth = 0;
  for (let found = special.exec(text); found !== null; found = special.exec(text)) {
    if (found[0] === '\\') special.lastIndex = found.index + 2;
    else depth += found[0] === '(' ? 1 : -1;
    if (depth === 0) return special.lastIndex;
  }
  return text.length;
};
