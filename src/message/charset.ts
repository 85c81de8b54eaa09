import { big5Pairs, big5Rows } from './big5-table.ts';

/**
 * Text of legacy charsets: the runtime's decoders (ICU) under the names that mail uses, and what ICU's set here lacks:
 * unified Hangul, Big5 with the Hong Kong characters, HZ, ISO-2022-KR, ISO-2022-CN, UTF-7 and UTF-32.
 */

/**
 * The text of octets in a charset that `charsetOf` named. Octets that the charset does not have become U+FFFD. Never throws.
 *
 * @source WHATWG Encoding; RFC 1842 and 1843 (HZ), RFC 1557 (ISO-2022-KR), RFC 1922 (ISO-2022-CN), RFC 2152 (UTF-7)
 */
export const decodeCharset = (octets: Uint8Array, charset: string): string => {
  const own = ownDecoders.get(charset);
  return own === undefined ? decoder(charset).decode(octets) : own(octets);
};

/** The text of octets that are UTF-8, or null. */
export const decodeUtf8 = (octets: Uint8Array): string | null => {
  try {
    return fatalUtf8.decode(octets);
  } catch {
    return null;
  }
};

/**
 * The charset that a label in mail means, or null for one that nobody knows.
 *
 * @source WHATWG Encoding (gb2312 means GBK, iso-8859-1 windows-1252, ks_c_5601-1987 UHC), and what mailers write
 */
export const charsetOf = (label: string): string | null => {
  // RFC 2231 §5: a language may follow in an encoded-word; quotes are what people leave in.
  const name = label
    .replace(/\*.*$/s, '')
    .replace(/["'\s]+/g, '')
    .toLowerCase();
  const alias = aliases.get(name) ?? name.replace(/^(?:cp|ms|x-cp|ibm-)(125\d|874|866)$/, 'windows-$1');
  if (ownDecoders.has(alias)) return alias;
  if (alias.length > 40) return null;
  const before = known.get(alias);
  if (before !== undefined) return before;
  try {
    const { encoding } = new TextDecoder(alias);
    // ICU's EUC-KR stops at KS X 1001; the WHATWG's does not, nor do mailers.
    const charset = encoding === 'euc-kr' ? 'uhc' : encoding;
    // A label that is found is one of the 228 that the standard has.
    known.set(alias, charset);
    return charset;
  } catch {
    return null;
  }
};

/** To ask by making a decoder costs more than to decode a short mail. */
const known = new Map<string, string>();

const aliases: ReadonlyMap<string, string> = new Map([
  ['gb2312', 'gb18030'],
  ['gb_2312-80', 'gb18030'],
  ['euc-cn', 'gb18030'],
  ['cp936', 'gb18030'],
  ['ms936', 'gb18030'],
  ['windows-936', 'gb18030'],
  ['gbk', 'gb18030'],
  ['x-gbk', 'gb18030'],
  ['gb13000', 'gb18030'],
  ['gb18030-2000', 'gb18030'],
  ['gb18030-2005', 'gb18030'],
  ['gb18030-2022', 'gb18030'],
  ['cp950', 'big5'],
  ['ms950', 'big5'],
  ['windows-950', 'big5'],
  ['big5-eten', 'big5'],
  ['big-5', 'big5'],
  ['cp949', 'uhc'],
  ['ms949', 'uhc'],
  ['windows-949', 'uhc'],
  ['euckr', 'uhc'],
  ['ks_c_5601', 'uhc'],
  ['cp932', 'shift_jis'],
  ['ms932', 'shift_jis'],
  ['windows-932', 'shift_jis'],
  ['shift-jis', 'shift_jis'],
  ['eucjp', 'euc-jp'],
  ['iso-2022-jp-1', 'iso-2022-jp'],
  ['iso-2022-jp-2', 'iso-2022-jp'],
  ['iso-2022-jp-ms', 'iso-2022-jp'],
  ['cp50220', 'iso-2022-jp'],
  ['cp50221', 'iso-2022-jp'],
  ['csiso2022jp', 'iso-2022-jp'],
  ['hz', 'hz-gb-2312'],
  ['csiso2022kr', 'iso-2022-kr'],
  ['iso-2022-cn-ext', 'iso-2022-cn'],
  ['unicode-1-1-utf-7', 'utf-7'],
  ['utf7', 'utf-7'],
  ['utf-16', 'utf-16be'],
  ['utf16', 'utf-16be'],
  ['unicode', 'utf-16be'],
  ['utf-8mb4', 'utf-8'],
  ['8bit', 'windows-1252'],
  ['7bit', 'windows-1252'],
  ['646', 'windows-1252'],
  ['us', 'windows-1252'],
  ['windows-866', 'ibm866'],
  ['cp10000', 'macintosh'],
  ['mac', 'macintosh'],
]);

const fatalUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const decoders = new Map<string, TextDecoder>();

/** One decoder a charset, for whole texts only. */
const decoder = (charset: string): TextDecoder => {
  let known = decoders.get(charset);
  if (known === undefined) {
    known = new TextDecoder(charset);
    decoders.set(charset, known);
  }
  return known;
};

const latin1 = (octets: Uint8Array): string =>
  Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('latin1');

const decodeUhc = (octets: Uint8Array): string =>
  latin1(octets).replace(
    /[\x81-\xfe][A-Za-z\x80-\xff]|[\x80-\xff]/g,
    (pair) => uhcTable().get(pair) ?? (pair.charCodeAt(1) < 0x80 ? `\ufffd${pair[1]}` : '\ufffd'),
  );

let uhc: Map<string, string> | null = null;

/**
 * KS X 1001 by ICU, and the 8,822 other syllables: they fill the free places in the order of Unicode, 178 a row from 0x81,
 * 84 a row from 0xA1.
 */
const uhcTable = (): Map<string, string> => {
  if (uhc !== null) return uhc;
  const table = new Map<string, string>();
  const taken = new Set<number>();
  const eucKr = new TextDecoder('euc-kr');
  for (let lead = 0xa1; lead <= 0xfe; lead++) {
    for (let trail = 0xa1; trail <= 0xfe; trail++) {
      const text = eucKr.decode(Uint8Array.of(lead, trail));
      // Private use is no character.
      if (text.length !== 1 || text === '\ufffd' || (text >= '\ue000' && text <= '\uf8ff')) continue;
      table.set(String.fromCharCode(lead, trail), text);
      taken.add(text.charCodeAt(0));
    }
  }
  table.set('\xa2\xe6', '\u20ac').set('\xa2\xe7', '\u00ae');
  let code = 0xac00;
  for (let lead = 0x81; lead <= 0xc6; lead++) {
    for (let trail = 0x41; trail <= (lead < 0xa1 ? 0xfe : 0xa0); trail++) {
      if ((trail > 0x5a && trail < 0x61) || (trail > 0x7a && trail < 0x81)) continue;
      while (taken.has(code)) code++;
      if (code > 0xd7a3) break;
      table.set(String.fromCharCode(lead, trail), String.fromCharCode(code++));
    }
  }
  uhc = table;
  return table;
};

const decodeBig5 = (octets: Uint8Array): string =>
  latin1(octets).replace(
    /[\x81-\xfe][@-~\x80-\xff]|[\x80-\xff]/g,
    (pair) => big5Table().get(pair) ?? (pair.charCodeAt(1) < 0x80 ? `\ufffd${pair[1]}` : '\ufffd'),
  );

let big5: Map<string, string> | null = null;

/** ICU's Big5, then what the WHATWG has otherwise. */
const big5Table = (): Map<string, string> => {
  if (big5 !== null) return big5;
  const table = new Map<string, string>();
  const icu = new TextDecoder('big5');
  const trails: number[] = [];
  for (let trail = 0x40; trail <= 0xfe; trail++) if (trail < 0x7f || trail > 0xa0) trails.push(trail);
  for (let lead = 0x81; lead <= 0xfe; lead++) {
    for (const trail of trails) {
      const text = icu.decode(Uint8Array.of(lead, trail));
      if (!text.startsWith('\ufffd')) table.set(String.fromCharCode(lead, trail), text);
    }
  }
  for (const [lead, characters] of big5Rows) {
    for (const [index, character] of [...characters].entries()) {
      const octets = String.fromCharCode(lead, trails[index] ?? 0);
      if (character === '\ufffd') table.delete(octets);
      else if (character !== ' ') table.set(octets, character);
    }
  }
  for (const [octets, text] of big5Pairs) table.set(octets, text);
  big5 = table;
  return table;
};

/**
 * ICU makes one U+FFFD of a pair that is no character; here an ASCII octet after a lead stays, as the WHATWG has it, so that
 * no quote and no `<` gets lost.
 */
const decodeShiftJis = (octets: Uint8Array): string =>
  latin1(octets).replace(/[\x81-\x9f\xe0-\xfc][@-~\x80-\xfc]|[\x80-\xff]/g, (pair) => {
    if (pair.length === 1) {
      const code = pair.charCodeAt(0);
      if (code === 0x80) return pair;
      return code > 0xa0 && code < 0xe0 ? String.fromCharCode(code - 0xa1 + 0xff61) : '\ufffd';
    }
    return shiftJisTable().get(pair) ?? (pair.charCodeAt(1) < 0x80 ? `\ufffd${pair[1]}` : '\ufffd');
  });

let shiftJis: Map<string, string> | null = null;

const shiftJisTable = (): Map<string, string> => {
  if (shiftJis !== null) return shiftJis;
  const table = new Map<string, string>();
  const icu = new TextDecoder('shift_jis');
  for (let lead = 0x81; lead <= 0xfc; lead++) {
    if (lead === 0xa0) lead = 0xe0;
    for (let trail = 0x40; trail <= 0xfc; trail++) {
      const text = icu.decode(Uint8Array.of(lead, trail));
      if (trail !== 0x7f && !text.startsWith('\ufffd')) table.set(String.fromCharCode(lead, trail), text);
    }
  }
  shiftJis = table;
  return table;
};

const highPairs = (pairs: string): Buffer => {
  const octets = Buffer.from(pairs, 'latin1');
  for (let at = 0; at < octets.length; at++) octets[at] = (octets[at] ?? 0) | 0x80;
  return octets;
};

/** `~{` and `~}` around pairs of GB 2312, `~~` for a tilde, `~` before a line end for nothing. */
const decodeHz = (octets: Uint8Array): string =>
  latin1(octets).replace(
    /~\{((?:[!-}][!-~])*)(?:~\}|(?=[^!-}]|$))|~(~|\r?\n|\})|[\x80-\xff]+/g,
    (whole, pairs: string | undefined, escaped: string | undefined) => {
      if (pairs !== undefined) return decoder('gb18030').decode(highPairs(pairs));
      if (escaped !== undefined) return escaped === '~' ? '~' : '';
      return decoder('gb18030').decode(Buffer.from(whole, 'latin1'));
    },
  );

/**
 * Escapes that nothing follows but another escape: two encoded-words put together have them, and the WHATWG's decoder an
 * error for each.
 */
const decodeIso2022Jp = (octets: Uint8Array): string =>
  decoder('iso-2022-jp').decode(Buffer.from(latin1(octets).replace(emptyEscapes, '$1'), 'latin1'));

// biome-ignore lint/suspicious/noControlCharactersInRegex: ESC is the charset's own
const emptyEscapes = /(?:\x1b(?:\([BIJ]|\$[@B]|\$\(D))+(\x1b(?:\([BIJ]|\$[@B]|\$\(D))/g;

/** `ESC $ ) C` names the set, SO and SI go in and out of it. */
const decodeIso2022Kr = (octets: Uint8Array): string =>
  latin1(octets).replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: SO, SI and ESC are the charset's own
    /\x1b\$\)C|\x0f|\x0e([^\x0e\x0f\x1b\r\n]*)/g,
    (_, pairs: string | undefined) => (pairs === undefined ? '' : decodeUhc(highPairs(pairs))),
  );

/**
 * `ESC $ ) A` names GB 2312, which SO and SI go in and out of. CNS 11643 (`ESC $ ) G`, `ESC $ * H`) has no table here:
 * its characters become U+FFFD.
 */
const decodeIso2022Cn = (octets: Uint8Array): string => {
  let isGb = true;
  return latin1(octets).replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: SO, SI and ESC are the charset's own
    /\x1b\$\)([A-Z])|\x1b\$[*+][A-Z]|\x1b[NO](..)|\x0f|\x0e?([^\x0e\x0f\x1b\r\n]*)/g,
    (whole, set: string | undefined, single: string | undefined, pairs: string | undefined) => {
      if (set !== undefined) isGb = set === 'A' || set === 'E';
      if (single !== undefined) return '\ufffd';
      if (pairs === undefined || !whole.startsWith('\x0e')) return pairs ?? '';
      return isGb
        ? decoder('gb18030').decode(highPairs(pairs))
        : '\ufffd'.repeat(Math.ceil(pairs.length / 2));
    },
  );
};

const decodeUtf7 = (octets: Uint8Array): string =>
  latin1(octets).replace(/\+([A-Za-z0-9+/]*)-?|[\x80-\xff]/g, (_, base64: string | undefined) => {
    if (base64 === undefined) return '\ufffd';
    if (base64 === '') return '+';
    const units = Buffer.from(base64, 'base64');
    return decoder('utf-16be').decode(units.subarray(0, units.length & ~1));
  });

const decodeUtf16 = (octets: Uint8Array): string =>
  decoder(octets[0] === 0xff && octets[1] === 0xfe ? 'utf-16le' : 'utf-16be').decode(octets);

const decodeUtf32 = (octets: Uint8Array): string => {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  const isLittle = octets[0] === 0xff && octets[1] === 0xfe;
  let text = '';
  for (let at = 0; at + 4 <= octets.length; at += 4) {
    const code = view.getUint32(at, isLittle);
    if (at === 0 && code === 0xfeff) continue;
    text += code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? '\ufffd' : String.fromCodePoint(code);
  }
  return text;
};

const ownDecoders: ReadonlyMap<string, (octets: Uint8Array) => string> = new Map([
  ['uhc', decodeUhc],
  ['big5', decodeBig5],
  ['shift_jis', decodeShiftJis],
  ['hz-gb-2312', decodeHz],
  ['iso-2022-jp', decodeIso2022Jp],
  ['iso-2022-kr', decodeIso2022Kr],
  ['iso-2022-cn', decodeIso2022Cn],
  ['utf-7', decodeUtf7],
  ['utf-16be', decodeUtf16],
  ['utf-32', decodeUtf32],
  ['utf-32be', decodeUtf32],
]);
