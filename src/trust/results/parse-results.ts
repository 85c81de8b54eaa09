import type { AuthenticationResults, MethodResult, ResultProperty } from './results.ts';

/** characters of a field that are read, results of a field, properties of a result, and comments in comments */
export const resultsLimits = Object.freeze({
  charactersMax: 16_384,
  resultsMax: 100,
  propertiesMax: 100,
  commentDepthMax: 20,
});

/**
 * Reads the value of a field that somebody else wrote, or forged; null when it is none.
 *
 * Nothing in it is believed: this tells whose name is on it, and what an ARC sealer says that it found.
 *
 * @param value unfolded or not
 * @source RFC 8601 §2.2
 */
export const parseResults = (value: string): AuthenticationResults | null => {
  if (value.length > resultsLimits.charactersMax) return null;
  const scan = new Scan(value);
  const authservId = scan.value();
  if (authservId === null) return null;
  // The version: 1, or of a format that we do not know.
  const version = scan.peek(';') || scan.atEnd ? '1' : scan.value();
  if (version !== '1') return null;
  const results: MethodResult[] = [];
  while (!scan.atEnd) {
    if (!scan.skip(';')) return null;
    // Some write a semicolon at the end.
    if (scan.atEnd && results.length > 0) break;
    const method = scan.keyword();
    if (method === null) return null;
    if (method.toLowerCase() === 'none' && !scan.peek('=')) {
      if (!scan.atEnd || results.length > 0) return null;
      return { authservId, results };
    }
    if (scan.skip('/') && scan.keyword() === null) return null;
    if (!scan.skip('=')) return null;
    const result = scan.keyword();
    if (result === null || results.length >= resultsLimits.resultsMax) return null;
    const rest = readRest(scan);
    if (rest === null) return null;
    results.push({ method: method.toLowerCase(), result: result.toLowerCase(), ...rest });
  }
  return results.length === 0 ? null : { authservId, results };
};

const readRest = (scan: Scan): Pick<MethodResult, 'reason' | 'properties'> | null => {
  let reason: string | null = null;
  const properties: ResultProperty[] = [];
  while (!scan.atEnd && !scan.peek(';')) {
    const type = scan.keyword();
    if (type === null) return null;
    if (type.toLowerCase() === 'reason' && scan.skip('=')) {
      reason = scan.value();
      if (reason === null) return null;
      continue;
    }
    if (!scan.skip('.')) return null;
    const name = scan.keyword();
    if (name === null || !scan.skip('=')) return null;
    const value = scan.propertyValue();
    if (value === null || properties.length >= resultsLimits.propertiesMax) return null;
    properties.push({ type: type.toLowerCase(), name: name.toLowerCase(), value });
  }
  return { reason, properties };
};

const blank = /[ \t\r\n]+/y;
const keywordWord = /[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?/y;
const token = /[^\0-\x20()<>@,;:\\"/[\]?=\x7f]+/y;
/** also what people write without quotes: mailboxes, addresses, base 64 */
const propertyToken = /[^\0-\x20();"\\\x7f]+/y;
const quoted = /"((?:[^"\\\r\n]|\\[^\r\n]|\r?\n[ \t])*)"/y;
const commentPart = /[()]|\\.|[^()\\]+/sy;

class Scan {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#blanks();
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  peek(character: string): boolean {
    return this.#text[this.#at] === character;
  }

  skip(character: string): boolean {
    if (!this.peek(character)) return false;
    this.#at++;
    this.#blanks();
    return true;
  }

  keyword(): string | null {
    return this.#take(keywordWord);
  }

  value(): string | null {
    return this.peek('"') ? this.#quoted() : this.#take(token);
  }

  propertyValue(): string | null {
    if (!this.peek('"')) return this.#take(propertyToken);
    const local = this.#quotedWithoutBlanks();
    if (local === null) return null;
    // "local part"@domain
    const domain = this.peek('@') ? this.#take(propertyToken) : null;
    if (domain === null) this.#blanks();
    return domain === null ? local : local + domain;
  }

  #quoted(): string | null {
    const text = this.#quotedWithoutBlanks();
    this.#blanks();
    return text;
  }

  #quotedWithoutBlanks(): string | null {
    quoted.lastIndex = this.#at;
    const found = quoted.exec(this.#text);
    if (found === null) return null;
    this.#at = quoted.lastIndex;
    return (found[1] ?? '').replace(/\r?\n/g, '').replace(/\\(.)/g, '$1');
  }

  #take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found === null) return null;
    this.#at = pattern.lastIndex;
    this.#blanks();
    return found[0];
  }

  /** Blanks and comments. A comment that does not end takes all that is left. */
  #blanks(): void {
    while (true) {
      blank.lastIndex = this.#at;
      if (blank.test(this.#text)) this.#at = blank.lastIndex;
      if (!this.peek('(')) return;
      let depth = 0;
      while (true) {
        commentPart.lastIndex = this.#at;
        const part = commentPart.exec(this.#text)?.[0];
        if (part === undefined || depth > resultsLimits.commentDepthMax) {
          this.#at = this.#text.length;
          return;
        }
        this.#at = commentPart.lastIndex;
        if (part === '(') depth++;
        else if (part === ')' && --depth === 0) break;
      }
    }
  }
}
