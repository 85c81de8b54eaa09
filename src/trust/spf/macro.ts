/**
 * Macro strings (RFC 7208 §7): read once into parts, expanded with what is known of a message.
 */

/** `s l o d i p h v` everywhere; `c r t` in explanations only (RFC 7208 §7.2) */
export type MacroLetter = 's' | 'l' | 'o' | 'd' | 'i' | 'p' | 'h' | 'v' | 'c' | 'r' | 't';

export type MacroPart =
  | {
      readonly kind: 'literal';
      readonly text: string /** written `%%`, `%_` or `%-` */;
      readonly isEscape: boolean;
    }
  | {
      readonly kind: 'macro';
      readonly letter: MacroLetter;
      /** labels kept, from the right; 0 keeps all */
      readonly keep: number;
      readonly isReversed: boolean;
      /** characters that separate labels */
      readonly delimiters: string;
      /** a capital letter: escaped for a URL */
      readonly isEscaped: boolean;
    };

export type MacroValues = Readonly<Record<MacroLetter, string>>;

const macro = /^%\{([slodiphvcrt])(\d*)(r?)([.\-+,/_=]*)\}/i;
/** more labels than a domain can have; every number above keeps all of them */
const keepMax = 128;

/**
 * @param mayExplain spaces and the letters `c`, `r`, `t` are allowed, as in the text of an explanation
 * @returns null where the text breaks the grammar
 * @source RFC 7208 §7.1
 */
export const parseMacroString = (text: string, mayExplain: boolean): MacroPart[] | null => {
  const parts: MacroPart[] = [];
  let literal = '';
  const endLiteral = (): void => {
    if (literal !== '') parts.push({ kind: 'literal', text: literal, isEscape: false });
    literal = '';
  };
  for (let at = 0; at < text.length; ) {
    const character = text.charAt(at);
    if (character !== '%') {
      if (!((character > ' ' && character <= '~') || (mayExplain && character === ' '))) return null;
      literal += character;
      at++;
      continue;
    }
    const escaped = { '%': '%', _: ' ', '-': '%20' }[text.charAt(at + 1)];
    if (escaped !== undefined) {
      endLiteral();
      parts.push({ kind: 'literal', text: escaped, isEscape: true });
      at += 2;
      continue;
    }
    // As long as the longest that makes sense, so that a digit bomb costs nothing.
    const [whole, letter = '', digits = '', reversed = '', delimiters = ''] =
      macro.exec(text.slice(at, at + 64)) ?? [];
    if (whole === undefined) return null;
    const lower = letter.toLowerCase() as MacroLetter;
    if (!mayExplain && 'crt'.includes(lower)) return null;
    // RFC 7208 §7.1: the number, where there is one, is not zero.
    if (digits !== '' && Number(digits) === 0) return null;
    endLiteral();
    parts.push({
      kind: 'macro',
      letter: lower,
      keep: digits === '' ? 0 : Math.min(Number(digits), keepMax),
      isReversed: reversed !== '',
      delimiters: delimiters === '' ? '.' : delimiters,
      isEscaped: letter !== lower,
    });
    at += whole.length;
  }
  endLiteral();
  return parts;
};

/** Whether a macro occurs, so that what is costly to find out (`p`) is found out only then. */
export const usesMacro = (parts: readonly MacroPart[], letter: MacroLetter): boolean =>
  parts.some((part) => part.kind === 'macro' && part.letter === letter);

/**
 * @param lengthMax characters of the result
 * @returns null where the result would be longer
 * @source RFC 7208 §7.3
 */
export const expandMacros = (
  parts: readonly MacroPart[],
  values: MacroValues,
  lengthMax: number,
): string | null => {
  let text = '';
  for (const part of parts) {
    text += part.kind === 'literal' ? part.text : expandMacro(part, values[part.letter]);
    if (text.length > lengthMax) return null;
  }
  return text;
};

const expandMacro = (part: MacroPart & { readonly kind: 'macro' }, value: string): string => {
  let text = value;
  if (part.keep > 0 || part.isReversed || part.delimiters !== '.') {
    let labels = splitAt(value, part.delimiters);
    if (part.isReversed) labels.reverse();
    if (part.keep > 0) labels = labels.slice(-part.keep);
    text = labels.join('.');
  }
  return part.isEscaped ? escapeForUrl(text) : text;
};

const splitAt = (value: string, delimiters: string): string[] => {
  const labels: string[] = [];
  let start = 0;
  for (let at = 0; at < value.length; at++) {
    if (!delimiters.includes(value.charAt(at))) continue;
    labels.push(value.slice(start, at));
    start = at + 1;
  }
  labels.push(value.slice(start));
  return labels;
};

/** @source RFC 7208 §7.3, RFC 3986 §2.3 */
const escapeForUrl = (text: string): string =>
  [...Buffer.from(text, 'utf8')]
    .map((octet) => {
      const character = String.fromCharCode(octet);
      return /[A-Za-z0-9\-._~]/.test(character)
        ? character
        : `%${octet.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
