import { charsetOf, decodeCharset, decodeUtf8 } from './charset.ts';
import { commonShare, guessCharset } from './guess-charset.ts';

export interface DecodedText {
  text: string;
  /** the charset that was applied, in the WHATWG's lower-case name or our own */
  charset: string;
  /** the label named it, and the octets can be that; otherwise it was guessed */
  isKnown: boolean;
  /** 0 to 1: 1 where the label fits, and for UTF-8 and plain ASCII; otherwise how sure the guess is */
  confidence: number;
}

const asciiLabels: ReadonlySet<string> = new Set([
  'us-ascii',
  'ascii',
  'ansi_x3.4-1968',
  'us',
  '646',
  '7bit',
]);

/** A guess that outweighs a label whose charset the octets can't be. */
const confidenceOverBroken = 0.5;
/** A guess that outweighs a label that the octets can be, as any can be of one octet a character. */
const confidenceOverPossible = 0.8;
/** Of running text in an East Asian language more than that is among its most common characters. */
const shareOfLanguage = 0.15;

/**
 * The text of octets with the label that came with them. Octets that the charset does not have become U+FFFD. Where the label
 * is none, unknown, or ASCII beside octets that are not, the charset is guessed: UTF-8, then the East Asian ones by their
 * commonest characters, then windows-1252. A label that the octets contradict is not believed: UTF-8 under another name,
 * Chinese, Japanese or Korean text under a Western one, octets that the charset named can't have. Never throws.
 */
export const decodeText = (octets: Uint8Array, label: string | null): DecodedText => {
  const charset = label === null ? null : charsetOf(label);
  const isAsciiOnly = label !== null && asciiLabels.has(label.toLowerCase().replace(/\*.*$/s, ''));
  if (charset === null || isAsciiOnly) return unlabelled(octets, charset);
  const text = decodeCharset(octets, charset);
  const known: DecodedText = { text, charset, isKnown: true, confidence: 1 };
  // Nothing but ASCII, and what has signs of its own.
  if (text.length === octets.length && !/[^\0-\x7f]/.test(text)) return known;
  if (/^(?:utf-(?:7|16|32)|iso-2022|hz)/.test(charset)) return known;
  const isBroken = hasTooManyBroken(text);
  if (charset === 'utf-8' && !isBroken) return known;
  const asUtf8 = charset === 'utf-8' ? null : decodeUtf8(octets);
  if (asUtf8 !== null && (isBroken || isSingle(charset) || commonShare(asUtf8) > commonShare(text))) {
    return { text: withoutMark(asUtf8), charset: 'utf-8', isKnown: false, confidence: 0.95 };
  }
  if (!isBroken && !isSingle(charset) && commonShare(text) >= shareOfLanguage) return known;
  const guess = guessCharset(octets);
  const enough = isBroken ? confidenceOverBroken : confidenceOverPossible;
  if (guess.charset === charset || guess.confidence < enough) return known;
  // Weighed against the label above: few characters tell nothing by being possible.
  if (!isBroken && guess.charset === 'utf-8') return known;
  // UTF-8 that is cut off in the sample's reach is what the label said.
  const other = decodeCharset(octets, guess.charset);
  if (isBroken && countBroken(other) >= countBroken(text)) return known;
  return { text: other, charset: guess.charset, isKnown: false, confidence: guess.confidence };
};

const unlabelled = (octets: Uint8Array, charset: string | null): DecodedText => {
  const asUtf8 = decodeUtf8(octets);
  // ISO-2022 and HZ are ASCII octets too.
  const guess = asUtf8 === null || mayBeStateful.test(asUtf8) ? guessCharset(octets) : null;
  if (asUtf8 !== null && (guess === null || guess.charset === 'utf-8')) {
    const isAscii = asUtf8.length === octets.length;
    return {
      text: withoutMark(asUtf8),
      charset: isAscii && charset !== null ? charset : 'utf-8',
      isKnown: isAscii && charset !== null,
      confidence: 1,
    };
  }
  const { charset: guessed, confidence } = guess ?? guessCharset(octets);
  return { text: decodeCharset(octets, guessed), charset: guessed, isKnown: false, confidence };
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: ESC is the charsets' own
const mayBeStateful = /\x1b\$|~\{/;

const withoutMark = (text: string): string => (text.startsWith('\ufeff') ? text.slice(1) : text);

/** Charsets of one octet a character: nothing contradicts them. */
const isSingle = (charset: string): boolean =>
  /^(?:windows-(?:125\d|874)|iso-8859-|koi8|ibm866|macintosh|x-mac)/.test(charset);

const countBroken = (text: string): number => {
  let count = 0;
  for (let at = text.indexOf('\ufffd'); at >= 0; at = text.indexOf('\ufffd', at + 1)) count++;
  return count;
};

/** One character in fifty, but for one that a cut at the end may have broken. */
const hasTooManyBroken = (text: string): boolean => {
  const broken = countBroken(text);
  if (broken === 0 || (broken === 1 && text.endsWith('\ufffd'))) return false;
  const wide = text.length - (text.match(/[\0-\x7f]+/g) ?? []).reduce((sum, run) => sum + run.length, 0);
  return broken * 50 > wide;
};
