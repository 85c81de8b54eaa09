import { bodyParts, mediaType, partPlainText, preview } from './body-parts.ts';
import type { ParsedMessage } from './part.ts';

/** What a preview is made of, and how long it is. */
export const previewLimits = Object.freeze({
  /** the first octets of a message, which whoever makes a preview keeps; text that lies behind them is in no preview */
  messageOctetsMax: 65_536,
  /** octets of one part that are read, and characters between the tags of HTML: a little, then, where that was too little, more */
  plain: [
    { octets: 2_048, lengthMax: 0 },
    { octets: 16_384, lengthMax: 0 },
  ],
  html: [
    { octets: 16_384, lengthMax: 2_048 },
    { octets: 65_536, lengthMax: 16_384 },
  ],
  partsMax: 8,
  /** characters (code points) of the preview */
  lengthMax: 200,
});

/**
 * The first words of a message as somebody reads it, for lists: of its body's plain text or, where there is none, of its HTML; in the
 * charset that the octets are in. Empty when there is no such text among the first octets.
 *
 * Always: well-formed, one line, no control or invisible characters, `lengthMax` characters at most. Never throws; its cost does not
 * depend on the length of the message.
 *
 * @param head the first octets of the message, `messageOctetsMax` of them or, of a shorter message, all
 * @source RFC 8970 §3.1 (200 characters), §3.2; RFC 8621 §4.1.4
 */
export const messagePreview = (parsed: ParsedMessage, head: Uint8Array): string => {
  const { messageOctetsMax, partsMax, lengthMax } = previewLimits;
  const octets = head.subarray(0, messageOctetsMax);
  let text = '';
  let shown = '';
  let parts = 0;
  for (const part of bodyParts(parsed).text) {
    const type = mediaType(part);
    if (!type.startsWith('text/')) continue;
    if (part.bodyStart >= octets.length || ++parts > partsMax) break;
    const before = text;
    for (const tried of type === 'text/html' ? previewLimits.html : previewLimits.plain) {
      const end = Math.min(part.end, part.bodyStart + tried.octets);
      const read = octets.subarray(part.bodyStart, end);
      const plain = partPlainText(part, read, tried.lengthMax);
      // A character that the cut went through.
      text = `${before}${read.length < part.end - part.bodyStart ? plain.replace(/\ufffd+$/, '') : plain}\n`;
      shown = preview(text, lengthMax);
      if (shown.length >= lengthMax) return shown;
      if (end === part.end && type !== 'text/html') break;
    }
  }
  return shown;
};
