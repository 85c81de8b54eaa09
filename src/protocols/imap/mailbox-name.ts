import { utf8Text } from './wire.ts';

export const levelBytesMax = 255;
export const levelsMax = 20;

export const separator = '/';

const reserved = ['Other Users', 'Shared Folders'];

export type MailboxName =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'refused'; readonly code: 'CANNOT'; readonly text: string };

const base64Alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,';

/** The text of modified UTF-7, or null where it is ill-formed or not the one way to write it. @source RFC 3501 §5.1.3 */
export const decodeModifiedUtf7 = (encoded: string): string | null => {
  if (!/^[ -~]*$/.test(encoded)) return null;
  if (!encoded.includes('&')) return encoded;
  let text = '';
  for (let at = 0; at < encoded.length; ) {
    const start = encoded.indexOf('&', at);
    if (start === -1) return text + encoded.slice(at);
    text += encoded.slice(at, start);
    const end = encoded.indexOf('-', start);
    if (end === -1) return null;
    const run = end === start + 1 ? '&' : decodeRun(encoded.slice(start + 1, end));
    if (run === null) return null;
    // two runs side by side are one that was cut
    if (run !== '&' && encoded[end + 1] === '&' && encoded[end + 2] !== '-') return null;
    text += run;
    at = end + 1;
  }
  return text;
};

const decodeRun = (run: string): string | null => {
  let bits = 0;
  let held = 0;
  let text = '';
  for (const letter of run) {
    const value = base64Alphabet.indexOf(letter);
    if (value === -1) return null;
    held = (held << 6) | value;
    bits += 6;
    if (bits >= 16) {
      bits -= 16;
      text += String.fromCharCode((held >> bits) & 0xffff);
      held &= (1 << bits) - 1;
    }
  }
  if (bits >= 6 || held !== 0 || text === '') return null;
  // what is printable ASCII is written as itself
  return text.isWellFormed() && !/[ -~]/.test(text) ? text : null;
};

/** The text in modified UTF-7. @source RFC 3501 §5.1.3 */
export const encodeModifiedUtf7 = (text: string): string =>
  /^[ -%'-~]*$/.test(text)
    ? text
    : text.replace(/&|[^ -~]+/g, (run) => (run === '&' ? '&-' : `&${encodeRun(run)}-`));

const encodeRun = (run: string): string => {
  let bits = 0;
  let held = 0;
  let encoded = '';
  for (let at = 0; at < run.length; at++) {
    held = (held << 16) | run.charCodeAt(at);
    bits += 16;
    while (bits >= 6) {
      bits -= 6;
      encoded += base64Alphabet[(held >> bits) & 63];
    }
    held &= (1 << bits) - 1;
  }
  return bits > 0 ? encoded + base64Alphabet[(held << (6 - bits)) & 63] : encoded;
};

/**
 * A mailbox's name from the wire: NFC, `INBOX` in capitals where it is the first level.
 *
 * @param utf8 whether the client has enabled UTF-8 names; otherwise they are modified UTF-7
 */
export const mailboxNameFromWire = (octets: string, utf8 = false): MailboxName => {
  const decoded = utf8 ? utf8Text(octets) : decodeModifiedUtf7(octets);
  if (decoded === null) return refused(utf8 ? 'The name is not UTF-8' : 'The name is not modified UTF-7');
  return { kind: 'name', name: foldInbox(decoded.normalize('NFC')) };
};

export const mailboxNameToWire = (name: string): string => encodeModifiedUtf7(name);

/** Only INBOX compares without case, as the first level. @source RFC 9051 §5.1 */
export const foldInbox = (name: string): string =>
  /^inbox(?:$|\/)/i.test(name) ? `INBOX${name.slice(5)}` : name;

/** The name if a mailbox may have it. A separator at the end is dropped. @source RFC 9051 §6.3.4 */
export const newMailboxName = (name: string): MailboxName => {
  const whole = name.endsWith(separator) ? name.slice(0, -1) : name;
  const levels = whole.split(separator);
  if (levels.some((level) => level === '')) return refused('A level of the name is empty');
  if (levels.length > levelsMax) return refused(`The name has more than ${levelsMax} levels`);
  if (levels.some((level) => Buffer.byteLength(level) > levelBytesMax)) {
    return refused(`A level of the name has more than ${levelBytesMax} octets`);
  }
  if (!whole.isWellFormed()) return refused('The name is not well-formed Unicode');
  if (/[\p{Cc}\u2028\u2029]/u.test(whole)) return refused('The name has a control character');
  if (/[*%]/.test(whole)) return refused('The name has a wildcard');
  if (reserved.includes(levels[0] ?? '')) return refused('The name is reserved');
  return { kind: 'name', name: whole };
};

const refused = (text: string): MailboxName => ({ kind: 'refused', code: 'CANNOT', text });

/** More wildcards than a person writes: such a pattern matches nothing. */
export const wildcardsMax = 64;

/**
 * Whether a name matches a pattern of LIST: `*` stands for anything, `%` for anything but a separator.
 *
 * Takes time in proportion to name × wildcards, whatever the pattern.
 *
 * @source RFC 9051 §6.3.9
 */
export const matchesPattern = (pattern: string, name: string): boolean => {
  const parts = pattern.replace(/[*%]*\*[*%]*|%+/g, (run) => (run.includes('*') ? '*' : '%')).split(/([*%])/);
  if (parts.length > 2 * wildcardsMax + 1) return false;
  // ends[i]: whether the parts so far can match the first i characters
  const first = parts[0] ?? '';
  if (!name.startsWith(first)) return false;
  let ends = new Uint8Array(name.length + 1);
  ends[first.length] = 1;
  for (let at = 1; at < parts.length; at += 2) {
    const any = parts[at] === '*';
    const literal = parts[at + 1] ?? '';
    const next = new Uint8Array(name.length + 1);
    let open = false;
    for (let index = 0; index <= name.length; index++) {
      if (ends[index] === 1) open = true;
      if (open && name.startsWith(literal, index)) next[index + literal.length] = 1;
      if (!any && name[index] === separator) open = false;
    }
    ends = next;
  }
  return ends[name.length] === 1;
};
