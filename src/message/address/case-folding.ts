// Code points without a canonical decomposition whose full case folding is not their lower case (CaseFolding.txt, C + F).
const exceptions: ReadonlyMap<string, string> = new Map(
  Object.entries({
    '\u00b5': '\u03bc',
    '\u00df': 'ss',
    '\u0149': '\u02bcn',
    '\u017f': 's',
    '\u0345': '\u03b9',
    '\u03c2': '\u03c3',
    '\u03d0': '\u03b2',
    '\u03d1': '\u03b8',
    '\u03d5': '\u03c6',
    '\u03d6': '\u03c0',
    '\u03f0': '\u03ba',
    '\u03f1': '\u03c1',
    '\u03f5': '\u03b5',
    '\u0587': '\u0565\u0582',
    '\u1c80': '\u0432',
    '\u1c81': '\u0434',
    '\u1c82': '\u043e',
    '\u1c83': '\u0441',
    '\u1c84': '\u0442',
    '\u1c85': '\u0442',
    '\u1c86': '\u044a',
    '\u1c87': '\u0463',
    '\u1c88': '\ua64b',
    '\u1e9a': 'a\u02be',
    '\ufb00': 'ff',
    '\ufb01': 'fi',
    '\ufb02': 'fl',
    '\ufb03': 'ffi',
    '\ufb04': 'ffl',
    '\ufb05': 'st',
    '\ufb06': 'st',
    '\ufb13': '\u0574\u0576',
    '\ufb14': '\u0574\u0565',
    '\ufb15': '\u0574\u056b',
    '\ufb16': '\u057e\u0576',
    '\ufb17': '\u0574\u056d',
  }),
);
const exceptional = new RegExp(`[${[...exceptions.keys()].join('')}\\u13f8-\\u13fd\\uab70-\\uabbf]`, 'g');

/**
 * The text with differences of case removed, in NFC: two texts fold to the same one exactly if they are a canonical caseless match.
 *
 * @source Unicode §3.13 D145 (full case folding), in NFC instead of NFD
 */
export const foldCase = (text: string): string =>
  /^[\0-\x7f]*$/.test(text)
    ? text.toLowerCase()
    : text.normalize('NFD').toLowerCase().normalize('NFD').replace(exceptional, foldOne).normalize('NFC');

const foldOne = (char: string): string => {
  const code = char.charCodeAt(0);
  // Cherokee folds to its capitals, which are the older letters.
  if (code >= 0xab70 && code <= 0xabbf) return String.fromCharCode(code - 0x97d0);
  if (code >= 0x13f8 && code <= 0x13fd) return String.fromCharCode(code - 8);
  return exceptions.get(char) ?? char;
};
