import { isXtext } from './xtext.ts';

/** What a sender asks to be told of one recipient, as it was sent but for case. */
export interface RecipientDsn {
  /** `NEVER`, or some of `SUCCESS`, `FAILURE`, `DELAY` in this order, between commas; null: not said */
  readonly notify: string | null;
  /** `rfc822;user+2Bdetail@host.example`: address type, then xtext (or, with `utf-8`, RFC 6533); null: not said */
  readonly orcpt: string | null;
}

/** octets of ENVID. @source RFC 3461 §5.4 */
const envidBytesMax = 100;
/** octets of ORCPT. @source RFC 3461 §5.4 */
const orcptBytesMax = 500;

/** @source RFC 3461 §4.3 */
export const parseRet = (value: string): 'FULL' | 'HDRS' | null => {
  const upper = value.toUpperCase();
  return upper === 'FULL' || upper === 'HDRS' ? upper : null;
};

/** @source RFC 3461 §4.4 */
export const parseEnvid = (value: string): string | null => {
  if (value.length > envidBytesMax || !isXtext(value)) return null;
  // What it stands for is shown to people: printable ASCII.
  return /\+(?:[01][0-9A-F]|7F|[89A-F][0-9A-F])/.test(value) ? null : value;
};

const notifications = ['SUCCESS', 'FAILURE', 'DELAY'];

/** @source RFC 3461 §4.1 */
export const parseNotify = (value: string): string | null => {
  const words = value.toUpperCase().split(',');
  if (words.length === 1 && words[0] === 'NEVER') return 'NEVER';
  if (new Set(words).size !== words.length || !words.every((word) => notifications.includes(word)))
    return null;
  return notifications.filter((word) => words.includes(word)).join(',');
};

/**
 * An original recipient: `rfc822;xtext`, `utf-8;…` with `\x{…}` or, under SMTPUTF8, as it is, or another type's xtext.
 *
 * @returns the value as it was sent, or null
 * @source RFC 3461 §4.2; RFC 6533 §3
 */
export const parseOrcpt = (value: string, smtpUtf8: boolean): string | null => {
  const [, type = '', address = ''] = /^([A-Za-z0-9][A-Za-z0-9-]*);(.+)$/s.exec(value) ?? [];
  if (type === '' || Buffer.byteLength(value) > orcptBytesMax) return null;
  if (type.toLowerCase() !== 'utf-8') return isXtext(address) ? value : null;
  const plain = address.replace(embedded, '');
  if (!smtpUtf8 && !/^[\x21-\x7e]*$/.test(plain)) return null;
  // QCHAR, and under SMTPUTF8 what is beyond ASCII; `\`, `+` and `=` stand embedded, controls do not stand at all.
  return /^[\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e\u{a0}-\u{10ffff}]*$/u.test(plain) ? value : null;
};

/** `EmbeddedUnicodeChar`. @source RFC 6533 §3 */
const embedded =
  /\\x\{(?:[2-7][0-9A-F]|[89A-F][0-9A-F]|[1-9A-F][0-9A-F]{2}|[1-9A-CE-F][0-9A-F]{3}|D[0-7][0-9A-F]{2}|[1-9A-F][0-9A-F]{4}|10[0-9A-F]{4})\}/g;
