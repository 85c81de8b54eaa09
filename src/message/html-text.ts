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
  ['copy', '©'],
  ['reg', '®'],
  ['trade', '™'],
  ['hellip', '…'],
  ['mdash', '—'],
  ['ndash', '–'],
  ['lsquo', '‘'],
  ['rsquo', '’'],
  ['ldquo', '“'],
  ['rdquo', '”'],
  ['laquo', '«'],
  ['raquo', '»'],
  ['bull', '•'],
  ['middot', '·'],
  ['euro', '€'],
  ['pound', '£'],
  ['yen', '¥'],
  ['times', '×'],
  ['deg', '°'],
  ['auml', 'ä'],
  ['ouml', 'ö'],
  ['uuml', 'ü'],
  ['Auml', 'Ä'],
  ['Ouml', 'Ö'],
  ['Uuml', 'Ü'],
  ['szlig', 'ß'],
  ['eacute', 'é'],
  ['egrave', 'è'],
  ['agrave', 'à'],
  ['ccedil', 'ç'],
]);

/**
 * The text of HTML for search and previews: no tags, comments, scripts or styles, a line for each block, characters for
 * the common entities. Not a sanitizer: the result is text, to be shown as text. Linear in the length.
 */
export const htmlToText = (html: string): string => {
  const source = html.slice(0, htmlLengthMax);
  const lower = source.toLowerCase();
  let text = '';
  let at = 0;
  while (at < source.length) {
    const open = source.indexOf('<', at);
    if (open < 0) break;
    text += source.slice(at, open);
    if (lower.startsWith('<!--', open)) {
      const end = source.indexOf('-->', open + 4);
      at = end < 0 ? source.length : end + 3;
      continue;
    }
    const [, slash, name = ''] = /^<(\/?)([a-z][a-z0-9]*)/.exec(lower.slice(open, open + 20)) ?? [];
    const isTag = name !== '' || /[!/?]/.test(source[open + 1] ?? '');
    if (!isTag) {
      text += '<';
      at = open + 1;
      continue;
    }
    const close = source.indexOf('>', open);
    at = close < 0 ? source.length : close + 1;
    if (hidden.has(name) && slash === '') {
      const end = lower.indexOf(`</${name}`, at);
      at = end < 0 ? source.length : end;
    } else if (blocks.has(name)) text += '\n';
    else if (cells.has(name)) text += ' ';
  }
  text += source.slice(at);
  return decodeEntities(text)
    .split('\n')
    .map((line) => line.replace(/[\s\u200b\ufeff]+/g, ' ').trim())
    .filter((line, index, lines) => line !== '' || (index > 0 && lines[index - 1] !== ''))
    .join('\n')
    .trim();
};

const decodeEntities = (text: string): string =>
  text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,8}));?/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return entities.get(name) ?? entities.get(String(name).toLowerCase()) ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    const isCharacter = code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return isCharacter ? String.fromCodePoint(code) : '\ufffd';
  });
