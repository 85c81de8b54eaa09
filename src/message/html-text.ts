/** What a person would read of HTML of that many characters is read; the rest is left out. */
const htmlLengthMax = 2_000_000;

const blocks: ReadonlySet<string> = new Set(
  (
    'address article aside blockquote br center dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr ' +
    'legend li main nav ol p pre section table tr ul'
  ).split(' '),
);
const cells: ReadonlySet<string> = new Set(['td', 'th', 'option']);
const hidden: ReadonlySet<string> = new Set([
  'head',
  'math',
  'noembed',
  'script',
  'style',
  'svg',
  'template',
  'title',
]);

/** HTML's names for U+00A0 to U+00FF, in order. */
const latin1Names =
  'nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro para ' +
  'middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute ' +
  'Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml ' +
  'Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ' +
  'ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml';

const latin1Entities = (): [string, string][] =>
  latin1Names
    .split(' ')
    .map((name, index): [string, string] => [name, String.fromCharCode(0xa0 + index)])
    .filter(([name]) => name !== 'nbsp' && name !== 'shy');

const entities: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
  ['nbsp', ' '],
  ['ensp', ' '],
  ['emsp', ' '],
  ['thinsp', ' '],
  ['zwnj', ''],
  ['zwj', ''],
  ['shy', ''],
  ['trade', '™'],
  ['hellip', '…'],
  ['mdash', '—'],
  ['ndash', '–'],
  ['lsquo', '‘'],
  ['rsquo', '’'],
  ['ldquo', '“'],
  ['rdquo', '”'],
  ['bull', '•'],
  ['euro', '€'],
  ['larr', '←'],
  ['rarr', '→'],
  ['sbquo', '‚'],
  ['bdquo', '„'],
  ['dagger', '†'],
  ['permil', '‰'],
  ['oelig', 'œ'],
  ['OElig', 'Œ'],
  ['scaron', 'š'],
  ['Scaron', 'Š'],
  ['Yuml', 'Ÿ'],
  ['check', '✓'],
  ['hearts', '♥'],
  ['star', '☆'],

  ...latin1Entities(),
]);

/**
 * The text of HTML for search and previews: no tags, comments, scripts or styles, a line for each block, characters for
 * the entities. Not a sanitizer: the result is text, to be shown as text. Linear in the length.
 *
 * @param lengthMax characters between tags, after which no more is read
 */
export const htmlToText = (html: string, lengthMax: number = htmlLengthMax): string => {
  const source = html.slice(0, htmlLengthMax);
  const scan = new TagScanner(source);
  let text = '';
  let at = 0;
  while (at < source.length && text.length <= lengthMax) {
    const open = source.indexOf('<', at);
    if (open < 0) break;
    text += source.slice(at, open);
    if (source.startsWith('<!--', open)) {
      const end = source.indexOf('-->', open + 4);
      at = end < 0 ? source.length : end + 3;
      continue;
    }
    tagName.lastIndex = open;
    const [, slash, letters = ''] = tagName.exec(source) ?? [];
    const name = letters.toLowerCase();
    const isTag = name !== '' || /[!/?]/.test(source[open + 1] ?? '');
    if (!isTag) {
      text += '<';
      at = open + 1;
      continue;
    }
    at = scan.endOfTag(open + 1 + letters.length);
    if (hidden.has(name) && slash === '') at = scan.endOfElement(name, at);
    else if (blocks.has(name)) text += '\n';
    else if (cells.has(name)) text += ' ';
  }
  if (text.length <= lengthMax) text += source.slice(at);
  return decodeEntities(text)
    .split('\n')
    .map((line) => line.replace(/[\s\u200b\ufeff]+/g, ' ').trim())
    .filter((line, index, lines) => line !== '' || (index > 0 && lines[index - 1] !== ''))
    .join('\n')
    .trim();
};

const tagName = /<(\/?)([a-z][a-z0-9]{0,20})/iy;

/** Finds ends in one pass: what was looked for in vain is not looked for again. */
class TagScanner {
  #source: string;
  #missing = new Set<string>();

  constructor(source: string) {
    this.#source = source;
  }

  #find(what: string, from: number): number {
    if (this.#missing.has(what)) return -1;
    const found = this.#source.indexOf(what, from);
    if (found < 0) this.#missing.add(what);
    return found;
  }

  /** After the `>` of a tag; one between quotes belongs to an attribute, if the quote is closed. */
  endOfTag(from: number): number {
    let at = from;
    while (true) {
      tagSpecial.lastIndex = at;
      const special = tagSpecial.exec(this.#source);
      if (special === null) return this.#source.length;
      at = special.index + 1;
      const [char] = special;
      if (char === '>') return at;
      // Only after `=` does a quote open a value.
      if (!/=\s{0,20}$/.test(this.#source.slice(Math.max(from, at - 22), at - 1))) continue;
      const close = this.#find(char, at);
      if (close >= 0) at = close + 1;
    }
  }

  /** Where `</name` begins, or the end. */
  endOfElement(name: string, from: number): number {
    if (this.#missing.has(`</${name}`)) return this.#source.length;
    const end = new RegExp(`</${name}`, 'gi');
    end.lastIndex = from;
    const found = end.exec(this.#source);
    if (found === null) this.#missing.add(`</${name}`);
    return found?.index ?? this.#source.length;
  }
}

const tagSpecial = /["'>]/g;

const decodeEntities = (text: string): string =>
  text.replace(
    /&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,8}[1-4]{0,2}));?/gi,
    (whole, decimal, hex, name) => {
      if (name !== undefined) return entities.get(name) ?? entities.get(String(name).toLowerCase()) ?? whole;
      const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
      const isCharacter = code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
      return isCharacter ? String.fromCodePoint(code) : '\ufffd';
    },
  );
