import { latin1 } from '#base/bytes';
import { literalMark } from './command-reader.ts';
import type { NumberSet } from './number-set.ts';
import { numberSetSyntax, parseNumberSet, savedResult } from './number-set.ts';
import { parseDateTime } from './wire.ts';

/** What the client sent is not a command: `BAD`. Never leaves the engine. */
export class ImapSyntaxError extends Error {}

// printable ASCII without ( ) { % * " \ ]
const atomPattern = /[!#$&'+,\-./0-9:;<=>?@A-Z[^_`a-z|}~]+/y;
const astringPattern = /[!#$&'+,\-./0-9:;<=>?@A-Z[\]^_`a-z|}~]+/y;
const listPattern = /[!#$%&'*+,\-./0-9:;<=>?@A-Z[\]^_`a-z|}~]+/y;
const tagPattern = /[!#$&',\-./0-9:;<=>?@A-Z[\]^_`a-z|}~]+/y;
const quotedPattern = /"((?:[^"\\\r\n]|\\["\\])*)"/y;
const numberPattern = /\d{1,15}/y;
const setPattern = /[\d:*,]+/y;
const flagPattern = /\\?[!#$&'+,\-./0-9:;<=>?@A-Z[^_`a-z|}~]+/y;

/**
 * Reads a command's arguments one after the other. Strings are octets, one a character.
 *
 * @throws {ImapSyntaxError} from every method that finds something else
 * @source RFC 9051 §9
 */
export class Arguments {
  readonly #text: string;
  readonly #literals: readonly Uint8Array[];
  #at = 0;
  #literal = 0;

  constructor(text: string, literals: readonly Uint8Array[]) {
    this.#text = text;
    this.#literals = literals;
  }

  get atEnd(): boolean {
    return this.#at === this.#text.length;
  }

  /** The next character, or the empty string. */
  get peek(): string {
    return this.#text[this.#at] ?? '';
  }

  /** Whether this text comes next. */
  upcoming(text: string): boolean {
    return this.#text.startsWith(text, this.#at);
  }

  end(): void {
    if (!this.atEnd) this.fail('something follows the last argument');
  }

  fail(what: string): never {
    throw new ImapSyntaxError(what);
  }

  tag(): string {
    return this.#match(tagPattern) ?? this.fail('no tag');
  }

  /** One blank, or several from a client that is careless. */
  space(): void {
    if (!this.blanks()) this.fail('a blank is missing');
  }

  /** Whether there were blanks. */
  blanks(): boolean {
    const from = this.#at;
    while (this.#text.charCodeAt(this.#at) === 0x20) this.#at++;
    return this.#at > from;
  }

  /** Takes the character if it is the next. */
  skip(character: string): boolean {
    if (this.peek !== character) return false;
    this.#at++;
    return true;
  }

  expect(character: string): void {
    if (!this.skip(character)) this.fail(`"${character}" is missing`);
  }

  atom(): string {
    return this.#match(atomPattern) ?? this.fail('an atom is missing');
  }

  /** An atom in capitals: a command's name, a keyword of the grammar. */
  word(): string {
    return this.atom().toUpperCase();
  }

  /** Takes this word if it is the next. */
  optionalWord(word: string): boolean {
    const end = this.#at + word.length;
    if (this.#text.slice(this.#at, end).toUpperCase() !== word) return false;
    const after = this.#text[end];
    if (after !== undefined && after !== ' ' && after !== ')') return false;
    this.#at = end;
    return true;
  }

  /** A word made of letters, digits, dots and hyphens, in capitals, or null. */
  name(): string | null {
    return this.#match(/[A-Za-z0-9.-]+/y)?.toUpperCase() ?? null;
  }

  astring(): string {
    return this.#stringIfAny() ?? this.#match(astringPattern) ?? this.fail('a string is missing');
  }

  string(): string {
    return this.#stringIfAny() ?? this.fail('a string in quotes or a literal is missing');
  }

  nstring(): string | null {
    const found = this.#stringIfAny();
    if (found !== null) return found;
    if (this.word() !== 'NIL') this.fail('a string or NIL is missing');
    return null;
  }

  /** A mailbox pattern of LIST and LSUB. */
  listMailbox(): string {
    return this.#stringIfAny() ?? this.#match(listPattern) ?? this.fail('a pattern is missing');
  }

  number(): number {
    return Number(this.#match(numberPattern) ?? this.fail('a number is missing'));
  }

  /** A mod-sequence; what is beyond any that we give counts as the highest. @source RFC 7162 §7 mod-sequence-valzer */
  modSeq(): number {
    const digits = this.#match(/\d{1,19}/y) ?? this.fail('a mod-sequence is missing');
    const value = BigInt(digits);
    if (value > 9_223_372_036_854_775_807n) this.fail('there is no such mod-sequence');
    return Math.min(Number(value), Number.MAX_SAFE_INTEGER);
  }

  numberSet(): NumberSet {
    if (this.skip('$')) return savedResult;
    const text = this.#match(setPattern) ?? this.fail('a set of numbers is missing');
    return parseNumberSet(text) ?? this.fail('the set of numbers is ill-formed');
  }

  /** Whether a set of numbers comes next, and nothing else could. */
  get atNumberSet(): boolean {
    return numberSetSyntax.test(this.peek);
  }

  /** A flag; `\Recent` is for the caller to leave out. */
  flag(): string {
    return this.#match(flagPattern) ?? this.fail('a flag is missing');
  }

  /** Words in parentheses, each told by its name in capitals; the callback reads what belongs to it. */
  wordList(each: (word: string) => void): void {
    this.expect('(');
    this.blanks();
    while (!this.skip(')')) {
      each(this.word());
      if (!this.blanks() && this.peek !== ')') this.fail('a blank is missing');
    }
  }

  /** Flags in parentheses. */
  flagList(): string[] {
    this.expect('(');
    const flags: string[] = [];
    this.blanks();
    while (!this.skip(')')) {
      flags.push(this.flag());
      if (!this.blanks() && this.peek !== ')') this.fail('a blank is missing');
    }
    return flags;
  }

  /** A quoted date-time, in milliseconds since 1970. */
  dateTime(): number {
    const text = this.#match(quotedPattern) ?? this.fail('a date is missing');
    return parseDateTime(text.slice(1, -1)) ?? this.fail('the date is ill-formed');
  }

  /** The rest, as it is. */
  rest(): string {
    const rest = this.#text.slice(this.#at);
    this.#at = this.#text.length;
    return rest;
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return null;
    this.#at = pattern.lastIndex;
    return match[0];
  }

  #stringIfAny(): string | null {
    const first = this.peek;
    if (first === '"') {
      const quoted = this.#match(quotedPattern) ?? this.fail('the quotes are not closed');
      return quoted.slice(1, -1).replace(/\\(["\\])/g, '$1');
    }
    if (first === '~' && this.#text[this.#at + 1] === literalMark) this.#at++;
    if (this.peek !== literalMark) return null;
    this.#at++;
    return latin1(this.#literals[this.#literal++] ?? new Uint8Array(0));
  }
}
