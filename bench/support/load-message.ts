import { createHash, hash } from 'node:crypto';

/** The messages of one round: all of one size, all different, and known again by their number. */
export interface LoadMessages {
  readonly sizeBytes: number;
  /** octets before the shared rest; another number is written into it by `number` */
  head(): Buffer;
  /** Writes a number into a head. */
  number(head: Buffer, number: number): void;
  /** what follows every head */
  readonly rest: Buffer;
  /** what signatures cover: the rest without them */
  readonly signed: Buffer;
  /** of the whole message, hex */
  sha256(number: number): string;
}

/** The first field of every message: what stands above it was added by a server. */
export const firstField = 'X-Load: ';

const digits = 9;

/**
 * Text in lines of 76, which needs no dot-stuffing: who reads it back compares SHA-256 of the whole.
 *
 * @param tag of letters and digits, another one for each round
 * @param signatures fields that stand behind the numbers, which they do not cover, so that they are good for every message of a round
 */
export const loadMessages = (tag: string, to: string, sizeBytes: number, signatures = ''): LoadMessages => {
  const zeros = '0'.repeat(digits);
  const headText = `${firstField}${tag} ${zeros}\r\nMessage-ID: <${tag}.${zeros}@load.example>\r\n`;
  const places = [headText.indexOf(zeros), headText.lastIndexOf(zeros)];
  const fields = [
    'From: Load <load@load.example>',
    `To: <${to}>`,
    'Subject: what a server takes in',
    'Date: Tue, 24 Nov 2026 04:00:00 +0000',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    '',
    '',
  ].join('\r\n');
  const restBytes = sizeBytes - headText.length;
  const random = createHash('shake256', { outputLength: Math.max(1, restBytes) })
    .update(tag)
    .digest('base64');
  const text = fields + random.replace(/.{76}/g, (line) => `${line}\r\n`);
  const signed = `${text.slice(0, restBytes - 2)}\r\n`;
  if (signed.length !== restBytes || text.length < restBytes)
    throw new Error(`too small: ${sizeBytes} octets`);
  const rest = Buffer.from(signatures + signed, 'latin1');
  const own = Buffer.from(headText, 'latin1');
  const number = (head: Buffer, value: number): void => {
    const written = String(value).padStart(digits, '0');
    for (const place of places) head.write(written, place, 'latin1');
  };
  return {
    sizeBytes: sizeBytes + signatures.length,
    signed: Buffer.from(signed, 'latin1'),
    head: () => Buffer.from(own),
    number,
    rest,
    sha256: (value) => {
      number(own, value);
      if (rest.length < 4_096) return hash('sha256', Buffer.concat([own, rest]));
      return createHash('sha256').update(own).update(rest).digest('hex');
    },
  };
};
