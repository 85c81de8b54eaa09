/** One tag of a list, its value without the blanks around it, and where it stands in the text. */
export interface Tag {
  readonly value: string;
  /** from behind the `=` to the `;`, blanks included */
  readonly start: number;
  readonly end: number;
}

export type TagList =
  | { readonly kind: 'tags'; readonly tags: ReadonlyMap<string, Tag>; readonly first: string }
  | { readonly kind: 'broken'; readonly why: string };

/** tags of a list; those in use have about ten */
export const tagsMax = 100;

/**
 * Reads `name=value; …` strictly: a tag that comes twice, a part without `=` and a value with controls break the list.
 *
 * @param text an octet a character; octets above 126 may stand in values (RFC 8616)
 * @source RFC 6376 §3.2
 */
export const parseTagList = (text: string): TagList => {
  const tags = new Map<string, Tag>();
  let first = '';
  let at = 0;
  if (isBlank(text, 0, text.length)) return broken('it has no tags');
  while (at <= text.length) {
    const found = text.indexOf(';', at);
    const end = found < 0 ? text.length : found;
    const equals = text.indexOf('=', at);
    if (equals < 0 || equals >= end) {
      // Only behind the last semicolon may be nothing.
      if (found < 0 && tags.size > 0 && isBlank(text, at, end)) break;
      return broken(
        isBlank(text, at, end) ? 'a tag is empty' : `a tag without "=": ${shown(text.slice(at, end))}`,
      );
    }
    const name = trimBlanks(text.slice(at, Math.min(equals, at + nameRoom)));
    if (equals - at > nameRoom || !tagName.test(name)) return broken(`"${shown(name)}" is no tag name`);
    if (tags.has(name)) return broken(`the tag ${name}= comes twice`);
    if (tags.size >= tagsMax) return broken(`more than ${tagsMax} tags`);
    const value = trimBlanks(text.slice(equals + 1, end));
    if (notInValues.test(value)) return broken(`the tag ${name}= has characters that no value may have`);
    if (tags.size === 0) first = name;
    tags.set(name, { value, start: equals + 1, end });
    at = end + 1;
  }
  return { kind: 'tags', tags, first };
};

/** The value without any blanks, as base 64 and lists are compared. */
export const withoutBlanks = (value: string): string => value.replace(/[ \t\r\n]+/g, '');

/** The octets of base 64 with blanks in it, or null. Padding may be missing, as some signers leave it out. */
export const tagBase64 = (value: string): Uint8Array | null => {
  const text = withoutBlanks(value);
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  const digits = text.replace(/=+$/, '');
  if (digits.length % 4 === 1 || (text.length !== digits.length && text.length % 4 !== 0)) return null;
  return new Uint8Array(Buffer.from(digits, 'base64'));
};

/** A piece of a stranger's text that may stand in a sentence of ours. */
export const shown = (text: string): string =>
  text
    .slice(0, 40)
    .replace(/[^\x21-\x7e]+/g, ' ')
    .trim()
    .replaceAll('"', "'");

const tagName = /^[A-Za-z][A-Za-z0-9_]*$/;
/** characters of a name with the blanks before and after it */
const nameRoom = 200;
// biome-ignore lint/suspicious/noControlCharactersInRegex: RFC 6376 §3.2 leaves them out
const notInValues = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/;

const isBlank = (text: string, from: number, to: number): boolean => {
  for (let at = from; at < to; at++) if (!isBlankCode(text.charCodeAt(at))) return false;
  return true;
};

const isBlankCode = (code: number): boolean =>
  code === 0x20 || code === 0x09 || code === 0x0d || code === 0x0a;

const trimBlanks = (text: string): string => {
  let start = 0;
  let end = text.length;
  while (start < end && isBlankCode(text.charCodeAt(start))) start++;
  while (end > start && isBlankCode(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
};

const broken = (why: string): TagList => ({ kind: 'broken', why });
