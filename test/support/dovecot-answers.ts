import fs from 'node:fs';
import path from 'node:path';
import { type ImapValue, parseImapValues } from './imap-values.ts';

export interface DovecotAnswer {
  /** below the folder of the corpora */
  file: string;
  envelope: string;
  bodystructure: string;
}

/** What Dovecot 2.3.19 answered for each message of the MIME corpora with CRLF line ends (`record-dovecot.py`). */
export const dovecotAnswers = (): DovecotAnswer[] =>
  fs
    .readFileSync(path.resolve(import.meta.dirname, '../vectors/mime/dovecot-2.3.19.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as DovecotAnswer);

/** The octets that Dovecot was given. */
export const asDovecotGot = (octets: Uint8Array): Buffer =>
  Buffer.from(
    Buffer.from(octets)
      .toString('latin1')
      .replace(/(?<!\r)\n/g, '\r\n'),
    'latin1',
  );

const decodeOwnWords = (text: string): string =>
  text.replace(/=\?UTF-8\?B\?([\w+/=]*)\?=(?: (?==\?UTF-8\?B\?))?/g, (whole, words: string) => {
    const octets = Buffer.from(words, 'base64').toString('latin1');
    return /[\x80-\xff]/.test(octets) ? octets : whole;
  });

const comparable = (value: ImapValue): unknown =>
  Array.isArray(value)
    ? value.map(comparable)
    : 'word' in value
      ? value.word
      : {
          text: decodeOwnWords(value.text)
            .toLowerCase()
            .replace(/[ \t]+/g, ' ')
            .trimEnd(),
        };

const values = (text: string): unknown => parseImapValues(text).map(comparable);

const emptyPart = '("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)';
const emptyPartValue = JSON.stringify((values(emptyPart) as unknown[])[0]);
const readableText = JSON.stringify(
  (
    values('("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 1 NIL NIL NIL NIL)') as unknown[][]
  )[0]?.map((value, index) => (index === 6 || index === 7 ? null : value)),
);

/**
 * Dovecot shows a multipart whose body opens no part as one empty part, ours is text that can be read (decision 0007).
 * Where the two differ by that alone, Dovecot's value in our form.
 */
const withReadableText = (theirs: unknown, ours: unknown): unknown => {
  if (!Array.isArray(theirs) || !Array.isArray(ours)) return theirs;
  if (JSON.stringify(theirs[0]) === emptyPartValue && !Array.isArray(theirs[1]) && !Array.isArray(ours[0])) {
    const shape = ours.map((value, index) => (index === 6 || index === 7 ? null : value));
    if (JSON.stringify(shape) === readableText) return ours;
  }
  return theirs.map((value, index) => withReadableText(value, ours[index]));
};

/**
 * Whether an ENVELOPE or BODYSTRUCTURE says what Dovecot's says, as it is or but for decision 0007. Compared are values: a
 * literal equals a quoted string, types and names equal in any case, raw UTF-8 equals the encoded-words that are sent for
 * it, and of blanks only count that there are some between words.
 */
export const compareWithDovecot = (
  theirs: string,
  ours: Uint8Array,
): 'same' | 'same but for readable text' | 'different' => {
  const own = values(Buffer.from(ours).toString('latin1'));
  const other = values(`(${theirs})`);
  if (JSON.stringify(own) === JSON.stringify(other)) return 'same';
  return JSON.stringify(own) === JSON.stringify(withReadableText(other, own))
    ? 'same but for readable text'
    : 'different';
};
