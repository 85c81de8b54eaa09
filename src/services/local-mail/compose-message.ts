import { fromLatin1, hex } from '#base/bytes';
import type { Random } from '#base/clock';
import { MiB } from '#base/limits';
import { parseHeaderFields } from '#message';
import { mailboxesOf, parseAddressList, quoteLocalPart } from '#message/address';
import { createLineReader } from './input-lines.ts';

export interface ComposeOptions {
  /** a line with a single dot ends the input (no `-i`) */
  dotEnds: boolean;
  /** recipients from To, Cc and Bcc (`-t`) */
  takesRecipients: boolean;
  /** for a missing From: an address, and a name or the empty text */
  from: { address: string; name: string };
  /** what names without a domain get */
  domain: string;
  /** for a missing Message-ID */
  hostname: string;
  /** for a missing Date; milliseconds since 1970 */
  nowMs: number;
  random: Random;
  bytesMax: number;
}

export type Composed =
  | {
      kind: 'message';
      pieces: readonly Uint8Array[];
      sizeBytes: number;
      /** from the header, with `takesRecipients` only; as addresses of an envelope, each once */
      recipients: readonly string[];
    }
  | { kind: 'too-large' }
  | { kind: 'header-too-large' }
  /** an address in To, Cc or Bcc that is none */
  | { kind: 'recipient-malformed'; text: string };

/** octets of a header; what programs write has a hundredth of it */
const headerBytesMax = MiB;
const recipientsMax = 10_000;

/**
 * Makes what a program wrote on a pipe into a message: line ends, missing From, Date and Message-ID, no Bcc.
 *
 * A line at the top that begins with `From ` (a mailbox file's) is dropped; where the header ends without an empty line, one is put in.
 *
 * @source RFC 5322 §3.6; sendmail(1) and cleanup(8) of Postfix
 */
export const composeMessage = async (
  input: AsyncIterable<Uint8Array | string>,
  options: ComposeOptions,
): Promise<Composed> => {
  const lines = createLineReader({ dotEnds: options.dotEnds });
  const pieces: Uint8Array[] = [];
  let head = '';
  let isInHead = true;
  let sizeBytes = 0;
  let recipients: string[] = [];
  const keep = (text: string): void => {
    if (text === '') return;
    const octets = fromLatin1(text);
    sizeBytes += octets.length;
    pieces.push(octets);
  };
  /** @returns what is wrong with the header, or null */
  const closeHead = (): Composed | null => {
    const parsed = readHead(head);
    if (parsed.header.length > headerBytesMax) return { kind: 'header-too-large' };
    const made = makeHeader(parsed.header, options);
    if (made.kind !== 'header') return made;
    recipients = made.recipients;
    isInHead = false;
    head = '';
    keep(made.header);
    keep(`\r\n${parsed.body}`);
    return null;
  };
  const take = (text: string): Composed | null => {
    if (!isInHead) keep(text);
    else {
      // The end may lie across two pieces.
      const from = Math.max(0, head.length - 3);
      head += text;
      const isComplete =
        head.startsWith('\r\n') || head.indexOf('\r\n\r\n', from) >= 0 || head.length > headerBytesMax;
      if (isComplete) return closeHead();
    }
    return null;
  };

  for await (const chunk of input) {
    const wrong = take(lines.read(typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : chunk));
    if (wrong !== null) return wrong;
    if (sizeBytes > options.bytesMax) return { kind: 'too-large' };
    if (lines.ended) break;
  }
  const wrong = take(lines.rest()) ?? (isInHead ? closeHead() : null);
  if (wrong !== null) return wrong;
  if (sizeBytes > options.bytesMax) return { kind: 'too-large' };
  return { kind: 'message', pieces, sizeBytes, recipients };
};

/** Where the header ends: at an empty line, or at the first line that is no field. */
const readHead = (text: string): { header: string; body: string } => {
  let from = 0;
  // RFC 4155: the line with which a mailbox file begins a message; some programs hand it on.
  if (/^>?From /.test(text)) from = lineEnd(text, 0);
  const header = text.slice(from);
  const fields = parseHeaderFields(fromLatin1(header));
  const wrong = fields.find(({ name }) => name === '');
  const end = wrong?.start ?? fields.at(-1)?.end ?? 0;
  const rest = header.slice(end);
  return { header: header.slice(0, end), body: rest.startsWith('\r\n') ? rest.slice(2) : rest };
};

const lineEnd = (text: string, from: number): number => {
  const found = text.indexOf('\n', from);
  return found < 0 ? text.length : found + 1;
};

const recipientFields = ['to', 'cc', 'bcc'];
/** @source RFC 5322 §3.6.6 */
const resentFields = ['resent-to', 'resent-cc', 'resent-bcc'];
/** never sent: whoever is named there is nobody else's business; Postfix drops them from all mail too */
const hiddenFields = ['bcc', 'resent-bcc'];
const addressFields = ['from', 'to', 'cc', 'sender', 'reply-to'];

const makeHeader = (
  header: string,
  options: ComposeOptions,
):
  | { kind: 'header'; header: string; recipients: string[] }
  | Extract<Composed, { kind: 'recipient-malformed' }> => {
  const octets = fromLatin1(header);
  const fields = parseHeaderFields(octets);
  const names = new Set(fields.map(({ name }) => name));
  const isResent = resentFields.some((name) => names.has(name));
  const asked = options.takesRecipients ? (isResent ? resentFields : recipientFields) : [];
  const recipients = new Map<string, string>();
  let made = '';
  for (const { name, start, end } of fields) {
    const text = header.slice(start, end);
    const colon = text.indexOf(':') + 1;
    if (asked.includes(name)) {
      const value = characters(octets.subarray(start + colon, end));
      for (const mailbox of mailboxesOf(parseAddressList(value))) {
        const { localPart, domain } = mailbox;
        if (localPart === null) {
          // `<>` and an empty group name nobody; anything else was meant for somebody.
          if (mailbox.name === null) continue;
          return { kind: 'recipient-malformed', text: mailbox.name };
        }
        const address = `${quoteLocalPart(localPart)}@${domain ?? options.domain}`;
        if (recipients.size < recipientsMax) recipients.set(address, address);
      }
    }
    if (hiddenFields.includes(name)) continue;
    made += addressFields.includes(name)
      ? text.slice(0, colon) + withDomain(text.slice(colon), options.domain)
      : text;
  }
  if (made !== '' && !made.endsWith('\n')) made += '\r\n';
  if (!names.has('from')) made += `From: ${fromValue(options.from)}\r\n`;
  if (!names.has('date')) made += `Date: ${dateValue(options.nowMs)}\r\n`;
  if (!names.has('message-id')) made += `Message-ID: ${messageIdValue(options)}\r\n`;
  return { kind: 'header', header: made, recipients: [...recipients.values()] };
};

/** UTF-8 where it is that, else a character an octet. */
const characters = (octets: Uint8Array): string => {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(octets);
  } catch {
    return Buffer.from(octets).toString('latin1');
  }
};

/** `root (Cron Daemon)` gets a domain, so that an answer to it finds its way; anything less plain stays as it is. */
const withDomain = (value: string, domain: string): string =>
  value.replace(
    /^([ \t]*)([A-Za-z0-9][\w.+-]*)((?:[ \t]+\([^()\r\n]*\))?[ \t]*\r\n)$/,
    (_, before, user, after) => `${before}${user}@${domain}${after}`,
  );

const fromValue = ({ name, address }: ComposeOptions['from']): string => {
  const plain = name.replace(/[\p{Cc}]/gu, ' ').trim();
  // Octets of UTF-8, as every other text here.
  const written = Buffer.from(address, 'utf8').toString('latin1');
  if (plain === '') return written;
  const phrase = /^[\x20-\x7e]*$/.test(plain) ? `"${plain.replace(/["\\]/g, '\\$&')}"` : encodedWords(plain);
  return `${phrase} <${written}>`;
};

/** At most 75 characters each. @source RFC 2047 §2, §5 */
const encodedWords = (text: string): string => {
  const words: string[] = [];
  let word = '';
  for (const character of text) {
    if (Buffer.byteLength(word + character) > 42) {
      words.push(word);
      word = '';
    }
    word += character;
  }
  return [...words, word].map((each) => `=?UTF-8?B?${Buffer.from(each).toString('base64')}?=`).join(' ');
};

/** @source RFC 5322 §3.3 */
const dateValue = (timeMs: number): string => new Date(timeMs).toUTCString().replace('GMT', '+0000');

/** @source RFC 5322 §3.6.4 */
const messageIdValue = ({ nowMs, random, hostname }: ComposeOptions): string =>
  `<${new Date(nowMs).toISOString().replace(/\D/g, '').slice(0, 14)}.${hex(random(10))}@${hostname}>`;
