import { domainToASCII, domainToUnicode } from 'node:url';

export interface ToAsciiOptions {
  /** also refuse labels with hyphens in the third and fourth place (UTS #46 CheckHyphens); DNS has such names */
  checkHyphens?: boolean;
}

const ldhLabel = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
const hyphenAtEdge = /(?:^|\.)-|-(?:\.|$)/;
const plainAscii = /^[\x21-\x7e]*$/;
// The runtime's host parser also decodes %xx, skips tabs and reads numbers as IPv4 addresses. None of it is IDNA.
const forbiddenAscii = /[\0-,/:-@[-`{-\x7f]/;

/**
 * A domain name in A-labels, lower case, or null when it is none.
 *
 * @param domain labels separated by `.` (or one of the ideographic full stops); no final dot
 * @source RFC 5890 §2.3, RFC 5891 §4, UTS #46 §4 (non-transitional), RFC 1035 §2.3.4
 */
export const toAscii = (domain: string, options: ToAsciiOptions = {}): string | null => {
  if (domain === '' || domain.length > 1000 || !domain.isWellFormed()) return null;
  // NFC first: "=" and U+0338 are one letter, U+2260.
  const unicode = domain.normalize('NFC');
  if (forbiddenAscii.test(unicode)) return null;
  let result = unicode.toLowerCase();
  if (!plainAscii.test(unicode) || hasALabel(result)) {
    // A last label in letters keeps the host parser from reading the others as an IPv4 address.
    const mapped = domainToASCII(`${unicode}.a`);
    // The host parser takes a name that is ASCII already on trust. Going through U-labels makes it look (RFC 5891 §5.4).
    const shown = domainToUnicode(mapped);
    if (
      !mapped.endsWith('.a') ||
      hasALabel(shown) ||
      domainToASCII(shown) !== mapped ||
      hyphenAtEdge.test(shown)
    )
      return null;
    result = mapped.slice(0, -2);
  }
  if (result.length > 253) return null;
  for (const label of result.split('.')) {
    if (label.length > 63 || !ldhLabel.test(label)) return null;
    if (options.checkHyphens === true && label.startsWith('--', 2) && !label.startsWith('xn')) return null;
  }
  return result;
};

/** The domain name with U-labels where they are valid, for people to read; the input itself where it is no domain name. */
export const toUnicode = (domain: string): string => {
  const ascii = toAscii(domain);
  if (ascii === null) return domain;
  if (!ascii.includes('xn--')) return ascii;
  const shown = domainToUnicode(`${ascii}.a`);
  return shown.endsWith('.a') ? shown.slice(0, -2) : ascii;
};

const hasALabel = (domain: string): boolean => domain.startsWith('xn--') || domain.includes('.xn--');
