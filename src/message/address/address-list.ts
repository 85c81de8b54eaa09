/** A mailbox as somebody wrote it. Texts are in the characters of the input: octets stay octets. */
export interface Mailbox {
  kind: 'mailbox';
  /** phrase or, without one, the last comment; quotes removed, encoded words as they are */
  name: string | null;
  /** a source route as written, `@a,@b` */
  route: string | null;
  /** quotes removed; null when there is none, as in `Foo <>` */
  localPart: string | null;
  /** without blanks and comments; a literal with its brackets; null when there is none */
  domain: string | null;
}

export interface Group {
  kind: 'group';
  name: string;
  members: Mailbox[];
}

export type AddressEntry = Mailbox | Group;

interface Token {
  kind: 'atom' | 'quoted' | 'dot' | 'at' | 'literal' | 'colon';
  text: string;
  /** blanks or comments stand before it */
  isApart: boolean;
}

/**
 * The addresses of a header field: RFC 5322 with its obsolete forms, raw 8-bit octets or characters, `;` `，` `；` as separators,
 * a phrase with dots, `@` or encoded words that hold quotes, no closing `>` or `"`, nothing between commas. What is no
 * address still gives an entry, so that a reader sees that something stood there. Linear in the length.
 *
 * @param entriesMax entries after which nothing more is read; a group and each of its members count
 * @source RFC 5322 §3.4, §4.4; RFC 6532 §3.2
 */
export const parseAddressList = (text: string, entriesMax = Number.POSITIVE_INFINITY): AddressEntry[] =>
  new AddressScanner(text).list(entriesMax);

/** The mailboxes of a list, those in groups too. */
export const mailboxesOf = (entries: readonly AddressEntry[]): Mailbox[] =>
  entries.flatMap((entry) => (entry.kind === 'group' ? entry.members : [entry]));

// Everything else is part of an atom: a stray `]` or `)` breaks nothing.
const atomEnd = /[\t\n\r "(),.:;<>@[\\，；]/g;
const encodedWord = /=\?[^\s?]{1,60}\?[bq]\?[^\s?]*\?=/iy;
const quotedSpecial = /["\\]/g;
const commentSpecial = /[()\\]/g;
const literalSpecial = /[\]\\]/g;

class AddressScanner {
  #text: string;
  #at = 0;
  #comment: string | null = null;
  #hasMoreQuotes = true;
  #hasMoreBrackets = true;

  constructor(text: string) {
    this.#text = text;
  }

  list(entriesMax: number): AddressEntry[] {
    const entries: AddressEntry[] = [];
    let group: Group | null = null;
    let count = 0;
    while (this.#at < this.#text.length && count < entriesMax) {
      const { tokens, stop } = this.#tokens();
      if (stop === ':' && group === null) {
        group = { kind: 'group', name: phrase(tokens), members: [] };
        entries.push(group);
        count++;
        this.#comment = null;
        continue;
      }
      const mailbox = stop === '<' ? this.#angle(tokens) : bare(tokens, this.#comment);
      if (mailbox !== null) {
        (group?.members ?? entries).push(mailbox);
        count++;
      }
      this.#comment = null;
      if (stop === '<' ? this.#skipToSeparator() === ';' : stop === ';') group = null;
    }
    return entries;
  }

  /** Tokens up to a separator, which is taken: `,` `;` `<`, or `:` after a phrase. */
  #tokens(inAngle = false): { tokens: Token[]; stop: string } {
    const tokens: Token[] = [];
    let isApart = false;
    let hasAt = false;
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] ?? '';
      switch (char) {
        case ' ':
        case '\t':
        case '\r':
        case '\n':
          this.#at++;
          isApart = true;
          continue;
        case '(':
          this.#comment = this.#readComment();
          isApart = true;
          continue;
        // What a Chinese keyboard types, in text that is not octets.
        case '，':
        case '；':
          this.#at++;
          return { tokens, stop: char === '，' ? ',' : ';' };
        case ',':
        case ';':
          if (inAngle && char === ',' && tokens[0]?.kind === 'at' && !tokens.some(isColon)) {
            tokens.push({ kind: 'atom', text: ',', isApart });
            this.#at++;
            break;
          }
          this.#at++;
          return { tokens, stop: char };
        case '<':
        case '>':
          this.#at++;
          // A second `<` inside, or a `>` that closes nothing, says nothing.
          if ((char === '<') === inAngle) continue;
          return { tokens, stop: char };
        case ':':
          this.#at++;
          if (!inAngle && !hasAt) return { tokens, stop: char };
          tokens.push({ kind: 'colon', text: char, isApart });
          break;
        case '@':
          this.#at++;
          hasAt = true;
          tokens.push({ kind: 'at', text: char, isApart });
          break;
        case '.':
          this.#at++;
          tokens.push({ kind: 'dot', text: char, isApart });
          break;
        case '"': {
          const quoted = this.#readQuoted();
          tokens.push({ kind: quoted === null ? 'atom' : 'quoted', text: quoted ?? '"', isApart });
          break;
        }
        case '[':
          tokens.push(this.#readLiteral(isApart));
          break;
        default:
          tokens.push({ kind: 'atom', text: this.#readAtom(), isApart });
      }
      isApart = false;
    }
    return { tokens, stop: '' };
  }

  #angle(before: readonly Token[]): Mailbox | null {
    const name = phrase(before);
    const { tokens, stop } = this.#tokens(true);
    // `<a@b` without its end: what ended it is left to the list.
    if (stop !== '>' && stop !== '') this.#at--;
    const { name: _, ...address } = splitAddress(tokens) ?? {
      route: null,
      localPart: null,
      domain: null,
      name: null,
    };
    return { kind: 'mailbox', ...address, name: name === '' ? this.#comment : name };
  }

  #skipToSeparator(): string {
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] ?? '';
      if (char === ',' || char === ';' || char === '，' || char === '；') {
        this.#at++;
        return char === ';' || char === '；' ? ';' : ',';
      }
      if (char === '(') this.#readComment();
      else if (char === '"' && this.#readQuoted() !== null) continue;
      else if (char !== '"') this.#at++;
    }
    return '';
  }

  #readAtom(): string {
    const start = this.#at;
    if (this.#text.startsWith('=?', start)) {
      encodedWord.lastIndex = start;
      if (encodedWord.test(this.#text)) {
        this.#at = encodedWord.lastIndex;
        return this.#text.slice(start, this.#at);
      }
    }
    atomEnd.lastIndex = start + 1;
    this.#at = atomEnd.exec(this.#text)?.index ?? this.#text.length;
    return this.#text.slice(start, this.#at);
  }

  /** The text between the quotes; null, one octet on, when the quote is never closed. */
  #readQuoted(): string | null {
    const start = this.#at;
    const value = this.#hasMoreQuotes ? this.#readTo(quotedSpecial, '"', start + 1) : null;
    if (value === null) {
      this.#hasMoreQuotes = false;
      this.#at = start + 1;
    }
    return value;
  }

  #readLiteral(isApart: boolean): Token {
    const start = this.#at;
    const value = this.#hasMoreBrackets ? this.#readTo(literalSpecial, ']', start + 1) : null;
    if (value !== null) return { kind: 'literal', text: `[${value}]`, isApart };
    this.#hasMoreBrackets = false;
    this.#at = start + 1;
    return { kind: 'atom', text: '[', isApart };
  }

  #readTo(special: RegExp, close: string, start: number): string | null {
    let value = '';
    let from = start;
    special.lastIndex = start;
    for (let found = special.exec(this.#text); found !== null; found = special.exec(this.#text)) {
      value += this.#text.slice(from, found.index);
      if (found[0] === close) {
        this.#at = found.index + 1;
        return value.replace(/[\r\n]+/g, '');
      }
      from = found.index + 1;
      special.lastIndex = found.index + 2;
    }
    return null;
  }

  /** The comment's text with inner comments; one that is never closed goes to the end. */
  #readComment(): string {
    let depth = 0;
    let value = '';
    let from = this.#at + 1;
    commentSpecial.lastIndex = this.#at;
    for (
      let found = commentSpecial.exec(this.#text);
      found !== null;
      found = commentSpecial.exec(this.#text)
    ) {
      if (found[0] === '(') depth++;
      else if (found[0] === ')') depth--;
      else {
        value += this.#text.slice(from, found.index);
        from = found.index + 1;
        commentSpecial.lastIndex = found.index + 2;
      }
      if (depth === 0) {
        this.#at = found.index + 1;
        return oneLine(value + this.#text.slice(from, found.index));
      }
    }
    this.#at = this.#text.length;
    return oneLine(value + this.#text.slice(from));
  }
}

const isColon = (token: Token): boolean => token.kind === 'colon';

const oneLine = (text: string): string => {
  const line = text.replace(/[\r\n]+/g, '');
  let start = 0;
  let end = line.length;
  // String's own trim would take U+00A0, which is an octet of some character where the text is octets.
  while (start < end && isBlank(line[start])) start++;
  while (end > start && isBlank(line[end - 1])) end--;
  return line.slice(start, end);
};

const isBlank = (char: string | undefined): boolean => char === ' ' || char === '\t';

const phrase = (tokens: readonly Token[]): string => {
  let text = '';
  for (const token of tokens) text += (token.isApart && text !== '' ? ' ' : '') + token.text;
  return oneLine(text);
};

const bare = (tokens: readonly Token[], comment: string | null): Mailbox | null => {
  if (tokens.length === 0) return null;
  const { name, ...address } = splitAddress(tokens) ?? {
    name: null,
    route: null,
    localPart: null,
    domain: null,
  };
  return { kind: 'mailbox', ...address, name: name ?? comment };
};

/**
 * `@route:local@domain` from its tokens. Words before the local part, as in `Ann Lee ann@example.org`, are a name;
 * words without any `@` are a name too, but for a single one, which is a local part.
 */
const splitAddress = (
  tokens: readonly Token[],
): { name: string | null; route: string | null; localPart: string | null; domain: string | null } | null => {
  let start = 0;
  let route: string | null = null;
  const colon = tokens[0]?.kind === 'at' ? tokens.findIndex(isColon) : -1;
  if (colon > 0) {
    route = join(tokens.slice(0, colon));
    start = colon + 1;
  }
  const at = tokens.findLastIndex((token, index) => index >= start && token.kind === 'at');
  const before = tokens.slice(start, at < 0 ? tokens.length : at);
  const after = at < 0 ? [] : tokens.slice(at + 1);
  if (before.length === 0 && after.length === 0) return null;
  let localStart = 0;
  for (let index = 1; index < before.length; index++) {
    const previous = before[index - 1];
    // Obsolete: blanks around the dots of a local part.
    if (before[index]?.isApart === true && before[index]?.kind !== 'dot' && previous?.kind !== 'dot') {
      localStart = index;
    }
  }
  if (at < 0 && localStart > 0) return { name: phrase(before), route, localPart: null, domain: null };
  const domainEnd = after.findIndex(
    (token, index) => index > 0 && token.isApart && token.kind !== 'dot' && after[index - 1]?.kind !== 'dot',
  );
  const localPart = join(before.slice(localStart));
  const domain = join(domainEnd < 0 ? after : after.slice(0, domainEnd));
  const name = localStart === 0 ? null : phrase(before.slice(0, localStart));
  return {
    name,
    route,
    localPart: localPart === '' && before[localStart]?.kind !== 'quoted' ? null : localPart,
    domain: domain === '' ? null : domain,
  };
};

const join = (tokens: readonly Token[]): string => tokens.map((token) => token.text).join('');
