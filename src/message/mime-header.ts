import { messageLimits } from './limits.ts';
import type { FieldValue, MimeHeader, OctetText, Parameter, TransferEncoding } from './part.ts';

/** The value on one line: each fold with the blanks around it is one space (RFC 5322 §2.2.3), none in front and at the end. */
export const unfold = (value: OctetText): OctetText =>
  /[\r\n]/.test(value)
    ? value
        .split(/[\r\n]+/)
        .map(trimBlanks)
        .filter((line) => line !== '')
        .join(' ')
    : trimBlanks(value);

// String's own trim would take U+00A0, which is an octet of some character here.
export const trimBlanks = (text: OctetText): OctetText => {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
};

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;

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
 * What the Content-* fields of a header say. Of several Content-Type fields the first counts, of others the last.
 *
 * @param inDigest the part of a multipart/digest is a message unless it says otherwise (RFC 2046 §5.1.5)
 * @source RFC 2045 §5.1 to §8, RFC 2183, RFC 1864, RFC 3282, RFC 2557 §4
 */
export const readMimeHeader = (values: readonly FieldValue[], inDigest: boolean): MimeHeader => {
  if (!inDigest && values.length === 0) return plainText;
  const last = new Map<string, OctetText>();
  for (const { name, value } of values) last.set(name, value);
  const text = (name: string): OctetText | null => {
    const value = last.get(name);
    return value === undefined ? null : unfold(value);
  };
  const contentType = values.find((field) => field.name === 'content-type')?.value;
  const media = contentType === undefined ? null : parseMediaType(contentType);
  // RFC 2045 §5.2: a Content-Type that can't be read counts as none.
  const { type, subtype, parameters } =
    media ?? (inDigest ? { type: 'message', subtype: 'rfc822', parameters: [] } : plainText);
  const disposition = last.get('content-disposition');
  const languages = text('content-language');
  return {
    type,
    subtype,
    parameters,
    id: text('content-id'),
    description: text('content-description'),
    transferEncoding: parseToken(last.get('content-transfer-encoding')),
    md5: parseToken(last.get('content-md5')),
    disposition: disposition === undefined ? null : parseDisposition(disposition),
    languages: languages === null ? [] : parseLanguages(languages),
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
  // RFC 2046 §5.1.1 forbids white space at its end; where it is quoted all the same, it is in the delimiters too.
  boundary ??= '';
  return trimBlanks(boundary) === '' || boundary.length > messageLimits.boundaryOctetsMax ? null : boundary;
};

/**
 * `type/subtype; name=value …`; null when there is no type to read.
 *
 * @source RFC 2045 §5.1
 */
export const parseMediaType = (
  value: OctetText,
): { type: OctetText; subtype: OctetText; parameters: Parameter[] } | null => {
  const scan = new ParameterScanner(value);
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
  const scan = new ParameterScanner(value);
  const type = scan.token();
  return type === '' ? null : { type, parameters: joinContinuations(scan.parameters()) };
};

const parseLanguages = (value: OctetText): OctetText[] => {
  const scan = new ParameterScanner(value);
  const languages: OctetText[] = [];
  do {
    const tag = scan.token();
    if (tag !== '') languages.push(tag);
  } while (scan.skipTo(','));
  return languages;
};

const parseToken = (value: OctetText | undefined): OctetText | null => {
  if (value === undefined) return null;
  const scan = new ParameterScanner(value);
  const token = scan.run();
  return token === '' ? null : token;
};

const tokenEnd = /[\0-\x20()<>@,;:\\"/[\]?=\x7f]/g;
const runEnd = /[\t\n\r (;]/g;

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
      if (char === ' ' || char === '\t' || char === '\r' || char === '\n') this.#at++;
      else if (char === '(') this.#comment();
      else return;
    }
  }

  token(): string {
    this.blanks();
    return this.#until(tokenEnd);
  }

  /** Up to a blank, a comment or a semicolon. */
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

  /** Past the next such character; false when there is none. */
  skipTo(char: string): boolean {
    const found = this.#text.indexOf(char, this.#at);
    this.#at = found < 0 ? this.#text.length : found + 1;
    return found >= 0;
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
    this.#until(runEnd);
    const end = this.#at;
    this.blanks();
    const next = this.#text[this.#at];
    if (next === undefined || next === ';' || looksLikeParameter(this.#text, this.#at)) {
      return this.#text.slice(start, end);
    }
    // A value with blanks and no quotes, as in filename=Annual report.pdf
    this.#skipToSemicolon();
    return unfold(this.#text.slice(start, this.#at));
  }

  #quoted(): string {
    let value = '';
    const start = ++this.#at;
    let from = start;
    while (true) {
      quotedSpecial.lastIndex = this.#at;
      const special = quotedSpecial.exec(this.#text);
      if (special === null) {
        // Never closed: it ends where its line does.
        lineEnd.lastIndex = start;
        this.#at = lineEnd.exec(this.#text)?.index ?? this.#text.length;
        return this.#text.slice(start, this.#at);
      }
      value += this.#text.slice(from, special.index);
      this.#at = special.index + 1;
      if (special[0] === '"') return value.replace(/[\r\n]+/g, '');
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

const lineEnd = /[\r\n]/g;
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
  value.replace(/[^ -$&-~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
