import { messageLimits } from './limits.ts';
import type { FieldValue, MimeHeader, OctetText, Parameter, TransferEncoding } from './part.ts';

/** The value on one line: line ends go, blanks stay (RFC 5322 §2.2.3), but for those in front and at the end. */
export const unfold = (value: OctetText): OctetText => value.replace(/[\r\n]+/g, '').trim();

export const plainText: MimeHeader = Object.freeze({
  type: 'text',
  subtype: 'plain',
  parameters: [],
  id: null,
  description: null,
  transferEncoding: null,
  md5: null,
  disposition: null,
  languages: [],
  location: null,
});

/**
 * What the Content-* fields of a header say. Of several fields of one name the first counts.
 *
 * @param inDigest the part of a multipart/digest is a message unless it says otherwise (RFC 2046 §5.1.5)
 * @source RFC 2045 §5.1 to §8, RFC 2183, RFC 1864, RFC 3282, RFC 2557 §4
 */
export const readMimeHeader = (values: readonly FieldValue[], inDigest: boolean): MimeHeader => {
  if (!inDigest && values.length === 0) return plainText;
  const first = new Map<string, OctetText>();
  for (const { name, value } of values) if (!first.has(name)) first.set(name, value);
  const text = (name: string): OctetText | null => {
    const value = first.get(name);
    return value === undefined ? null : unfold(value);
  };
  const contentType = first.get('content-type');
  const media = contentType === undefined ? null : parseMediaType(contentType);
  // RFC 2045 §5.2: a Content-Type that can't be read counts as none.
  const { type, subtype, parameters } =
    media ?? (inDigest ? { type: 'message', subtype: 'rfc822', parameters: [] } : plainText);
  const disposition = first.get('content-disposition');
  const languages = text('content-language');
  return {
    type,
    subtype,
    parameters,
    id: text('content-id'),
    description: text('content-description'),
    transferEncoding: parseToken(first.get('content-transfer-encoding')),
    md5: parseToken(first.get('content-md5')),
    disposition: disposition === undefined ? null : parseDisposition(disposition),
    languages:
      languages === null
        ? []
        : stripComments(languages)
            .split(',')
            .map((tag) => tag.trim())
            .filter((tag) => tag !== ''),
    location: text('content-location'),
  };
};

export const transferEncodingOf = (mime: MimeHeader): TransferEncoding => {
  switch (mime.transferEncoding?.toLowerCase()) {
    case undefined:
    case '7bit':
    case '8bit':
    case 'binary':
      return 'identity';
    case 'base64':
      return 'base64';
    case 'quoted-printable':
      return 'quoted-printable';
    case 'x-uuencode':
    case 'x-uue':
    case 'uuencode':
    case 'uue':
      return 'uuencode';
    default:
      return 'other';
  }
};

/** The parameter's value by its name in any case, in whatever form RFC 2231 has it; still encoded. */
export const findParameter = (parameters: readonly Parameter[], name: string): OctetText | null =>
  parameters.find((parameter) => parameter.name.toLowerCase() === name)?.value ?? null;

/** The boundary of a multipart, or null when there is none to look for. */
export const boundaryOf = (mime: MimeHeader): OctetText | null => {
  let boundary = findParameter(mime.parameters, 'boundary');
  const extended = findParameter(mime.parameters, 'boundary*');
  if (boundary === null && extended !== null) {
    const quote = extended.indexOf("'", extended.indexOf("'") + 1);
    boundary = extended
      .slice(quote + 1)
      .replace(/%([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  }
  // RFC 2046 §5.1.1: a boundary does not end in white space; mail gateways may have added some.
  boundary = boundary?.trimEnd() ?? '';
  return boundary === '' || boundary.length > messageLimits.boundaryOctetsMax ? null : boundary;
};

/**
 * `type/subtype; name=value …`; null when there is no type to read.
 *
 * @source RFC 2045 §5.1
 */
export const parseMediaType = (
  value: OctetText,
): { type: OctetText; subtype: OctetText; parameters: Parameter[] } | null => {
  const scan = new ParameterScanner(value.replace(/[\r\n]+/g, ''));
  const type = scan.token();
  if (type === '' || !scan.skip('/')) return null;
  const subtype = scan.token();
  if (subtype === '') return null;
  return { type, subtype, parameters: joinContinuations(scan.parameters()) };
};

/**
 * @source RFC 2183 §2
 */
export const parseDisposition = (value: OctetText): { type: OctetText; parameters: Parameter[] } | null => {
  const scan = new ParameterScanner(value.replace(/[\r\n]+/g, ''));
  const type = scan.token();
  return type === '' ? null : { type, parameters: joinContinuations(scan.parameters()) };
};

const parseToken = (value: OctetText | undefined): OctetText | null => {
  if (value === undefined) return null;
  const scan = new ParameterScanner(value.replace(/[\r\n]+/g, ''));
  const token = scan.run();
  return token === '' ? null : token;
};

const stripComments = (value: OctetText): OctetText => {
  if (!value.includes('(')) return value;
  const scan = new ParameterScanner(value);
  let text = '';
  while (!scan.atEnd) {
    scan.blanks();
    text += ` ${scan.run()}`;
  }
  return text;
};

const tokenEnd = /[\0-\x20()<>@,;:\\"/[\]?=\x7f]/g;
const runEnd = /[\t (]/g;
const valueEnd = /[\t (;]/g;

/** Reads the grammar of RFC 2045 §5.1 in what people send: each method moves on and never back. */
class ParameterScanner {
  #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  /** Blanks and comments. */
  blanks(): void {
    while (!this.atEnd) {
      const char = this.#text[this.#at];
      if (char === ' ' || char === '\t') this.#at++;
      else if (char === '(') this.#comment();
      else return;
    }
  }

  token(): string {
    this.blanks();
    return this.#until(tokenEnd);
  }

  /** Up to a blank or a comment. */
  run(): string {
    this.blanks();
    return this.#until(runEnd);
  }

  skip(char: string): boolean {
    this.blanks();
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  parameters(): Parameter[] {
    const found: Parameter[] = [];
    while (true) {
      this.blanks();
      if (this.atEnd) return found;
      const start = this.#at;
      const name = this.token();
      if (name !== '' && this.skip('=')) found.push({ name, value: this.#value() });
      // No semicolon between two parameters is forgiven; anything else is skipped up to the next one.
      else if (this.#text[start] === ';') this.#at = start + 1;
      else if (this.#at === start || name !== '') this.#skipToSemicolon();
    }
  }

  #value(): string {
    this.blanks();
    if (this.#text[this.#at] === '"') return this.#quoted();
    const start = this.#at;
    this.#until(valueEnd);
    const end = this.#at;
    this.blanks();
    const next = this.#text[this.#at];
    if (next === undefined || next === ';' || looksLikeParameter(this.#text, this.#at)) {
      return this.#text.slice(start, end);
    }
    // A value with blanks and no quotes, as in filename=Annual report.pdf
    this.#skipToSemicolon();
    return this.#text.slice(start, this.#at).trim();
  }

  #quoted(): string {
    let value = '';
    let from = ++this.#at;
    while (true) {
      quotedSpecial.lastIndex = this.#at;
      const special = quotedSpecial.exec(this.#text);
      if (special === null) {
        this.#at = this.#text.length;
        return value + this.#text.slice(from);
      }
      value += this.#text.slice(from, special.index);
      this.#at = special.index + 1;
      if (special[0] === '"') return value;
      from = this.#at;
      this.#at = Math.min(this.#at + 1, this.#text.length);
    }
  }

  #comment(): void {
    let depth = 0;
    while (true) {
      commentSpecial.lastIndex = this.#at;
      const special = commentSpecial.exec(this.#text);
      if (special === null) {
        this.#at = this.#text.length;
        return;
      }
      this.#at = special.index + 1;
      if (special[0] === '(') depth++;
      else if (special[0] === '\\') this.#at++;
      else if (--depth <= 0) return;
    }
  }

  #until(end: RegExp): string {
    end.lastIndex = this.#at;
    const start = this.#at;
    this.#at = end.exec(this.#text)?.index ?? this.#text.length;
    return this.#text.slice(start, this.#at);
  }

  #skipToSemicolon(): void {
    const semicolon = this.#text.indexOf(';', this.#at);
    this.#at = semicolon < 0 ? this.#text.length : semicolon;
  }
}

const quotedSpecial = /["\\]/g;
const commentSpecial = /[()\\]/g;
const parameterStart = /[\w*-]{1,64}=/y;

const looksLikeParameter = (text: string, at: number): boolean => {
  parameterStart.lastIndex = at;
  return parameterStart.test(text);
};

/**
 * Joins `name*0`, `name*1*`, … into one parameter: `name`, or `name*` when a piece is percent-encoded (the others are
 * encoded then, and an empty charset put in front when the first was plain). A series with a gap stays as it is.
 * Joined ones come after the others.
 *
 * @source RFC 2231 §3, §4.1
 */
const joinContinuations = (parameters: readonly Parameter[]): Parameter[] => {
  const result: Parameter[] = [];
  const series = new Map<string, Piece[]>();
  for (const parameter of parameters) {
    const match = /^([^*]+)\*(\d{1,4})(\*?)$/.exec(parameter.name);
    if (match === null) {
      result.push(parameter);
      continue;
    }
    const [, name = '', index, star] = match;
    const piece = { index: Number(index), isExtended: star === '*', parameter, name };
    const key = name.toLowerCase();
    const pieces = series.get(key);
    if (pieces === undefined) series.set(key, [piece]);
    else pieces.push(piece);
  }
  for (const pieces of series.values()) {
    pieces.sort((a, b) => a.index - b.index);
    const name = pieces[0]?.name ?? '';
    if (pieces.some((piece, index) => piece.index !== index)) {
      result.push(...pieces.map((piece) => piece.parameter));
    } else if (pieces.some((piece) => piece.isExtended)) {
      const value = pieces.map(({ isExtended, parameter }) =>
        isExtended ? parameter.value : percentEncode(parameter.value),
      );
      if (pieces[0]?.isExtended === false) value.unshift("''");
      result.push({ name: `${name}*`, value: value.join('') });
    } else {
      result.push({ name, value: pieces.map((piece) => piece.parameter.value).join('') });
    }
  }
  return result;
};

interface Piece {
  index: number;
  isExtended: boolean;
  parameter: Parameter;
  name: string;
}

const percentEncode = (value: OctetText): OctetText =>
  value.replace(
    /[^A-Za-z0-9!#$&+.^_`{|}~-]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
