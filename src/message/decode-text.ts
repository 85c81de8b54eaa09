import { charsetOf, decodeCharset, decodeUtf8 } from './charset.ts';
import { guessCharset } from './guess-charset.ts';

export interface DecodedText {
  text: string;
  /** the charset that was applied, in the WHATWG's lower-case name or our own */
  charset: string;
  /** the label named it, and the octets can be that; otherwise it was guessed */
  isKnown: boolean;
}

const asciiLabels: ReadonlySet<string> = new Set([
  'us-ascii',
  'ascii',
  'ansi_x3.4-1968',
  'us',
  '646',
  '7bit',
]);

/**
 * The text of octets with the label that came with them. Octets that the charset does not have become U+FFFD. Where the label
 * is none, unknown, or ASCII beside octets that are not, the charset is guessed: UTF-8, then the East Asian ones by their
 * commonest characters, then windows-1252. Never throws.
 */
export const decodeText = (octets: Uint8Array, label: string | null): DecodedText => {
  const charset = label === null ? null : charsetOf(label);
  const isAsciiOnly = label !== null && asciiLabels.has(label.toLowerCase().replace(/\*.*$/s, ''));
  if (charset !== null && !isAsciiOnly)
    return { text: decodeCharset(octets, charset), charset, isKnown: true };
  const asUtf8 = decodeUtf8(octets);
  // ISO-2022-JP is ASCII octets too.
  if (asUtf8 !== null && !asUtf8.includes('\x1b$')) {
    const isAscii = asUtf8.length === octets.length;
    return {
      text: asUtf8,
      charset: isAscii && charset !== null ? charset : 'utf-8',
      isKnown: isAsciiOnly && isAscii,
    };
  }
  const guess = guessCharset(octets).charset;
  return { text: decodeCharset(octets, guess), charset: guess, isKnown: false };
};
