/**
 * One reply line with its enhanced status code.
 *
 * The text is made printable ASCII and cut to the 512 octets of a reply line, wherever it comes from.
 *
 * @source RFC 5321 §4.2, §4.5.3.1.5; RFC 2034 §4
 */
export const reply = (code: number, enhanced: string, text: string): string =>
  `${code} ${enhanced} ${printable(text)}\r\n`;

/** A reply of several lines without enhanced codes (RFC 2034 §3 excepts EHLO and HELO). */
export const multilineReply = (code: number, lines: readonly string[]): string =>
  lines.map((line, index) => `${code}${index === lines.length - 1 ? ' ' : '-'}${line}\r\n`).join('');

const textBytesMax = 490;

const printable = (text: string): string => text.replace(/[^\x20-\x7e]+/g, '?').slice(0, textBytesMax);
