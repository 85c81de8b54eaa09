import { charsetOf } from './charset.ts';
import { decodeText } from './decode-text.ts';
import { decodeParameter } from './encoded-word.ts';
import { unflow } from './flowed-text.ts';
import { htmlToText } from './html-text.ts';
import type { ParsedMessage, ParsedPart } from './part.ts';
import { hasTnefSignature } from './tnef.ts';
import { decodeTransfer } from './transfer-encoding.ts';
import { type TextWithFiles, withoutUuencode } from './uu-in-text.ts';

export interface BodyParts {
  /** to be shown in order by a reader that prefers plain text */
  text: ParsedPart[];
  /** the same for one that prefers HTML */
  html: ParsedPart[];
  attachments: ParsedPart[];
}

/**
 * Which leaves are the body and which are attachments.
 *
 * @source RFC 8621 §4.1.4 (the algorithm, as it stands there)
 */
export const bodyParts = (parsed: ParsedMessage): BodyParts => {
  const found: BodyParts = { text: [], html: [], attachments: [] };
  collect([parsed.root], 'mixed', false, found.html, found.text, found.attachments);
  return found;
};

const collect = (
  parts: readonly ParsedPart[],
  multipartType: string,
  inAlternative: boolean,
  htmlBody: ParsedPart[] | null,
  textBody: ParsedPart[] | null,
  attachments: ParsedPart[],
): void => {
  let html = htmlBody;
  let text = textBody;
  const textLength = text?.length ?? -1;
  const htmlLength = html?.length ?? -1;
  for (const [index, part] of parts.entries()) {
    if (part.kind === 'multipart') {
      const subtype = part.mime.subtype.toLowerCase();
      collect(part.children, subtype, inAlternative || subtype === 'alternative', html, text, attachments);
      continue;
    }
    const type = mediaType(part);
    const isInlineText = type === 'text/plain' || type === 'text/html';
    const isInlineMedia = /^(?:image|audio|video)\//.test(type);
    const isInline =
      part.mime.disposition?.type.toLowerCase() !== 'attachment' &&
      (isInlineText || isInlineMedia) &&
      // Not a later part of multipart/related, and named only where it is shown all the same.
      (index === 0 || (multipartType !== 'related' && (isInlineMedia || fileName(part) === null)));
    if (!isInline) {
      attachments.push(part);
      continue;
    }
    if (multipartType === 'alternative') {
      if (type === 'text/plain') text?.push(part);
      else if (type === 'text/html') html?.push(part);
      else attachments.push(part);
      continue;
    }
    // Inside of one alternative, what follows a kind of text belongs to it.
    if (inAlternative && type === 'text/plain') html = null;
    if (inAlternative && type === 'text/html') text = null;
    text?.push(part);
    html?.push(part);
    if ((text === null || html === null) && isInlineMedia) attachments.push(part);
  }
  if (multipartType === 'alternative' && text !== null && html !== null) {
    // Found HTML only, or plain text only: each stands for the other.
    if (textLength === text.length && htmlLength !== html.length) text.push(...html.slice(htmlLength));
    if (htmlLength === html.length && textLength !== text.length) html.push(...text.slice(textLength));
  }
};

/** `type/subtype` in lower case. */
export const mediaType = ({ mime }: ParsedPart): string => `${mime.type}/${mime.subtype}`.toLowerCase();

/** The name of the file that a part is, or null. A path is part of the name: who stores it takes care. */
export const fileName = ({ mime }: ParsedPart): string | null =>
  decodeParameter(mime.disposition?.parameters ?? [], 'filename') ?? decodeParameter(mime.parameters, 'name');

/**
 * TNEF: Outlook's own box of attachments and formatting, by type, by name (`winmail.dat`) or, where its first octets are
 * given, by its signature.
 *
 * @param body octets of the part as they are in the message, or the first ones: a line is enough
 */
export const isTnef = (part: ParsedPart, body?: Uint8Array): boolean =>
  /^application\/(?:vnd\.)?ms-tnef$/.test(mediaType(part)) ||
  fileName(part)?.toLowerCase() === 'winmail.dat' ||
  (body !== undefined && hasTnefSignature(decodeTransfer(body.subarray(0, 200), part.encoding)));

/**
 * The characters of a text part, as its label says or, where that can't be, as they are.
 *
 * @param body the part's octets as they are in the message; a caller may give the first ones only
 */
export const partText = (part: ParsedPart, body: Uint8Array): string => {
  const octets = decodeTransfer(body, part.encoding);
  const label = decodeParameter(part.mime.parameters, 'charset');
  const isHtml = mediaType(part) === 'text/html';
  return decodeText(octets, label ?? (isHtml ? metaCharset(octets) : null)).text;
};

/**
 * The same as plain text: HTML without its tags, the lines of format=flowed joined, uuencoded files taken out.
 *
 * @param htmlLengthMax characters between the tags of HTML that are enough
 */
export const partPlainText = (part: ParsedPart, body: Uint8Array, htmlLengthMax?: number): string =>
  partTextAndFiles(part, body, htmlLengthMax).text;

/** The plain text of a part and the names of uuencoded files that stood in it. */
export const partTextAndFiles = (
  part: ParsedPart,
  body: Uint8Array,
  htmlLengthMax?: number,
): TextWithFiles => {
  const text = partText(part, body);
  const type = mediaType(part);
  if (type === 'text/html') return { text: htmlToText(text, htmlLengthMax), fileNames: [] };
  const found = withoutUuencode(text);
  const isFlowed =
    type === 'text/plain' && decodeParameter(part.mime.parameters, 'format')?.toLowerCase() === 'flowed';
  if (!isFlowed) return found;
  const deletesSpace = decodeParameter(part.mime.parameters, 'delsp')?.toLowerCase() === 'yes';
  return { ...found, text: unflow(found.text, deletesSpace) };
};

const previewLengthMax = 256;

/**
 * What a line in a list must not have: controls, characters without a width that senders fill their previews with, and marks that turn
 * the direction of what follows. Joiners stay: emoji and some scripts are written with them.
 */
const unseen = /[^\P{Cc}\s]|\u034f|[\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]/gu;

/**
 * The first words of a text, for a list of messages: one line, without quoted lines, signature and links.
 *
 * @param lengthMax characters (code points) at most
 * @source RFC 8621 §4.1.4 `preview` (256 characters at most)
 */
export const preview = (plainText: string, lengthMax: number = previewLengthMax): string => {
  const words: string[] = [];
  let length = 0;
  const end = Math.min(plainText.length, 100 * previewLengthMax);
  for (let at = 0; at < end && length <= 2 * lengthMax; ) {
    const lineEnd = plainText.indexOf('\n', at);
    const rawLine = plainText.slice(at, lineEnd < 0 ? end : lineEnd).replace(/\r$/, '');
    at = lineEnd < 0 ? end : lineEnd + 1;
    if (rawLine === '-- ') break;
    const line = isPlain.test(rawLine) ? rawLine : rawLine.replace(unseen, '');
    if (/^[>|]/.test(line)) continue;
    for (const word of line.split(/\s+/)) {
      if (word === '' || (mayBeLeftOut.test(word) && leftOut.test(word))) continue;
      words.push(word);
      length += word.length + 1;
      if (length > 2 * lengthMax) break;
    }
  }
  const text = words
    .join(' ')
    .slice(0, 2 * lengthMax)
    .toWellFormed();
  let cut = 0;
  for (let count = 0; count < lengthMax && cut < text.length; count++)
    cut += (text.codePointAt(cut) ?? 0) > 0xffff ? 2 : 1;
  return text.slice(0, cut).trim();
};

const isPlain = /^[\t -~]*$/;
const mayBeLeftOut = /^[-=_*#~<h]/;
/** rules and links */
const leftOut = /^(?:[-=_*#~]{3,}$|<?https?:\/\/)/;

/** `<meta charset=…>` in the first octets, where HTML says its own charset. */
const metaCharset = (octets: Uint8Array): string | null => {
  const start = Buffer.from(octets.subarray(0, 2048)).toString('latin1');
  const label = /<meta\s[^>]{0,200}?charset\s*=\s*["']?([\w:.-]{1,40})/i.exec(start)?.[1];
  // The octets can't be UTF-16 where this was readable.
  return label === undefined || /^utf-?16/i.test(label) || charsetOf(label) === null ? null : label;
};
