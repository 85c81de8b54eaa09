import { latin1 } from '#base/bytes';
import {
  createTransferDecoder,
  decodeHeaderText,
  decodeText,
  findParameter,
  htmlToText,
  type MimeHeader,
  parseDate,
  parseMessage,
  type StructurePart,
} from '#message';
import { mailboxesOf, parseAddressList } from '#message/address';
import type { FoundBody } from './store.ts';

/** One thing that SEARCH has to know of a message beyond its flags, dates and size. Needles are folded. */
export type ContentTest =
  /** a header field of this name, in lower case, has it; an empty needle: there is such a field */
  | { readonly kind: 'field'; readonly name: string; readonly needle: string }
  | { readonly kind: 'body' | 'text'; readonly needle: string }
  /** the day of Date as the sender wrote it, whatever the zone */
  | { readonly kind: 'sent'; readonly fromMs: number; readonly toMs: number }
  | { readonly kind: 'email-id' | 'thread-id'; readonly id: string };

/** Text as it is compared: without case, compatible characters alike, so that full-width letters are found too. */
export const foldText = (text: string): string => {
  const lower = text.toLowerCase();
  return /^\p{ASCII}*$/u.test(lower) ? lower : lower.normalize('NFKC').toLowerCase();
};

/** decoded octets that are looked at together; cut at a line's end, since charsets with states begin anew there */
const windowBytes = 1024 * 1024;
/** octets of one header field or block that are looked at */
const headerBytesMax = 1024 * 1024;

/**
 * The outcome of each test but those of ids, which are false.
 *
 * @throws what `read` of the body throws where it is damaged
 * @source RFC 9051 §6.4.4
 */
export const contentFacts = async (body: FoundBody, tests: readonly ContentTest[]): Promise<boolean[]> => {
  const { root } = body.structure;
  const facts = tests.map(() => false);
  const wanted = new Set<string>();
  for (const test of tests) {
    if (test.kind === 'field') wanted.add(test.name);
    if (test.kind === 'sent') wanted.add('date');
  }
  for (const field of root.fields) {
    if (!wanted.has(field.name)) continue;
    const whole = latin1(
      await octetsOf(body, field.start, Math.min(field.end, field.start + headerBytesMax)),
    );
    const value = whole.slice(whole.indexOf(':') + 1).replace(/^[ \t]+|\r?\n$/g, '');
    let text: string | null = null;
    for (const [at, test] of tests.entries()) {
      if (test.kind === 'field' && test.name === field.name && facts[at] === false) {
        text ??= foldText(fieldText(field.name, value));
        facts[at] = text.includes(test.needle);
      }
      if (test.kind === 'sent' && field.name === 'date') {
        const date = parseDate(value);
        if (date === null) continue;
        const localMs = date.epochMs + date.offsetMinutes * 60_000;
        facts[at] = localMs >= test.fromMs && localMs < test.toMs;
      }
    }
  }
  const open = new Set<number>();
  for (const [at, test] of tests.entries()) {
    if (test.kind !== 'body' && test.kind !== 'text') continue;
    if (test.needle === '') facts[at] = true;
    else open.add(at);
  }
  if (open.size === 0) return facts;
  const look = (text: string, inHeader: boolean): boolean => {
    const folded = foldText(text);
    for (const at of open) {
      const test = tests[at];
      if (test === undefined || !('needle' in test)) continue;
      if (inHeader && test.kind === 'body') continue;
      if (!folded.includes(test.needle)) continue;
      facts[at] = true;
      open.delete(at);
    }
    return open.size === 0;
  };
  let needleLength = 0;
  for (const at of open) {
    const test = tests[at];
    if (test !== undefined && 'needle' in test) needleLength = Math.max(needleLength, test.needle.length);
  }
  await searchPart(body, root, true, look, needleLength);
  return facts;
};

/** As it was written, and of addresses also what they come to without comments and quotes. @source RFC 9051 §6.4.4 (FROM) */
const fieldText = (name: string, value: string): string => {
  const text = decodeHeaderText(value);
  if (!/^(?:from|to|cc|bcc)$/.test(name)) return text;
  const addresses = mailboxesOf(parseAddressList(value, addressesMax)).map(
    ({ name: phrase, localPart, domain }) =>
      `${decodeHeaderText(phrase ?? '')} <${decodeHeaderText(localPart ?? '')}@${domain ?? ''}>`,
  );
  return `${text}\n${addresses.join(', ')}`;
};

/** addresses of one field that are looked at beyond what is written */
const addressesMax = 10_000;

/** @returns whether there is nothing left to look for */
const searchPart = async (
  body: FoundBody,
  part: StructurePart,
  isRoot: boolean,
  look: (text: string, inHeader: boolean) => boolean,
  needleLength: number,
): Promise<boolean> => {
  const headerEnd = Math.min(part.bodyStart, part.headerStart + headerBytesMax);
  const header = await octetsOf(body, part.headerStart, headerEnd);
  if (header.length > 0 && look(decodeHeaderText(latin1(header)), isRoot)) return true;
  for (const child of part.children) {
    if (await searchPart(body, child, false, look, needleLength)) return true;
  }
  if (part.children.length > 0) return false;
  const { mime } = parseMessage(header).root;
  return isText(mime) && searchText(body, part, mime, look, needleLength);
};

const isText = ({ type, subtype }: MimeHeader): boolean =>
  /^(?:text|message)$/i.test(type) || /^(?:xml|json|pgp-signature)$/i.test(subtype);

const searchText = async (
  body: FoundBody,
  part: StructurePart,
  mime: MimeHeader,
  look: (text: string, inHeader: boolean) => boolean,
  needleLength: number,
): Promise<boolean> => {
  const label = findParameter(mime.parameters, 'charset');
  const isHtml = /^html$/i.test(mime.subtype);
  // octets of UTF-16 and UTF-32 have no line ends of one octet
  const unit = label !== null && /^(?:utf-?(?:16|32)|ucs-?[24]|unicode)/i.test(label) ? 4 : 1;
  let tail = '';
  const lookAt = (octets: Uint8Array): boolean => {
    const { text } = decodeText(octets, label);
    // what a needle began in the window before; both forms, since a needle may be markup or go across it
    const found = look(tail + text, false) || (isHtml && look(htmlToText(text), false));
    tail = needleLength > 1 ? (tail + text).slice(-2 * needleLength) : '';
    return found;
  };
  const decoder = createTransferDecoder(part.encoding);
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  const take = (octets: Uint8Array): boolean => {
    if (octets.length > 0) pending.push(octets);
    pendingBytes += octets.length;
    if (pendingBytes < windowBytes) return false;
    const whole = joined(pending);
    const lineEnd = unit === 1 ? whole.lastIndexOf(10) + 1 : whole.length - (whole.length % unit);
    // a line longer than a window is cut where it is
    const cut = lineEnd > 0 ? lineEnd : whole.length;
    pending = cut === whole.length ? [] : [whole.subarray(cut)];
    pendingBytes = whole.length - cut;
    return lookAt(whole.subarray(0, cut));
  };
  if (part.end > part.bodyStart) {
    for await (const octets of body.read(part.bodyStart, part.end)) {
      if (take(decoder.write(octets))) return true;
    }
  }
  if (take(decoder.end())) return true;
  return pendingBytes > 0 && lookAt(joined(pending));
};

const octetsOf = async (body: FoundBody, start: number, end: number): Promise<Uint8Array> => {
  if (start >= end) return new Uint8Array(0);
  const atHand = body.readAtHand?.(start, end);
  if (atHand != null) return joined(atHand);
  const pieces: Uint8Array[] = [];
  for await (const octets of body.read(start, end)) pieces.push(octets);
  return joined(pieces);
};

/** At most a window's worth. */
const joined = (pieces: readonly Uint8Array[]): Uint8Array =>
  pieces.length === 1 ? (pieces[0] ?? new Uint8Array(0)) : Buffer.concat(pieces);
