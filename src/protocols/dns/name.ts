const labelOctetsMax = 63;
const nameOctetsMax = 255;

/** Octets that stand for themselves in text: what prints, but dot and backslash. */
const isPlain = (octet: number): boolean => octet > 0x20 && octet < 0x7f && octet !== 0x2e && octet !== 0x5c;

/** A label as text, with escapes (RFC 1035 §5.1). */
export const labelText = (octets: Uint8Array): string => {
  let text = '';
  for (const octet of octets) {
    if (isPlain(octet)) text += String.fromCharCode(octet);
    else if (octet === 0x2e || octet === 0x5c) text += `\\${String.fromCharCode(octet)}`;
    else text += `\\${String(octet).padStart(3, '0')}`;
  }
  return text;
};

/**
 * The labels of a name in text, or null where it is none: an empty label, one of more than 63 octets, a name of more than
 * 255, a character beyond US-ASCII. A final dot is allowed.
 *
 * @source RFC 1035 §2.3.4, §5.1
 */
export const nameLabels = (name: string): Uint8Array[] | null => {
  if (name === '' || name === '.') return [];
  if (name.length > 4 * nameOctetsMax) return null;
  const labels: Uint8Array[] = [];
  let octets: number[] = [];
  let nameOctets = 1;
  const take = (): boolean => {
    nameOctets += octets.length + 1;
    if (octets.length === 0 || octets.length > labelOctetsMax || nameOctets > nameOctetsMax) return false;
    labels.push(Uint8Array.from(octets));
    octets = [];
    return true;
  };
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (code > 0x7e) return null;
    if (code === 0x2e) {
      if (!take()) return null;
      continue;
    }
    if (code !== 0x5c) {
      octets.push(code);
      continue;
    }
    const digits = /^\d{3}/.exec(name.slice(at + 1, at + 4))?.[0];
    const escaped = digits === undefined ? name.charCodeAt(at + 1) : Number(digits);
    // NaN at the end of the text
    if (!(escaped <= (digits === undefined ? 0x7e : 255))) return null;
    octets.push(escaped);
    at += digits === undefined ? 1 : 3;
  }
  if (octets.length > 0) return take() ? labels : null;
  return labels;
};

/** Whether a name can be asked for: the lengths of RFC 1035 §2.3.4, US-ASCII. Underscores are fine. */
export const isDnsName = (name: string): boolean => nameLabels(name) !== null;

/** Whether two names are one: without regard to capitals of US-ASCII (RFC 4343 §3) and to a final dot. */
export const sameDnsName = (a: string, b: string): boolean => withoutFinalDot(a) === withoutFinalDot(b);

// All characters are US-ASCII here, so that toLowerCase folds what RFC 4343 does.
const withoutFinalDot = (name: string): string =>
  (name.endsWith('.') && !name.endsWith('\\.') ? name.slice(0, -1) : name).toLowerCase();
