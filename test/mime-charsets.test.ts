/**
 * Third-party vectors: every code point of the East Asian charsets, from encoding_rs (WHATWG indexes) and Perl's Encode.
 * A case is a line, which is one character in most tables; a verdict names a table, how many of its lines differ and why.
 * The tables for encoders (X_out) are read backwards.
 *
 * By a rule: half-width katakana have no code in ISO-2022-JP, its encoder writes full-width ones.
 *
 * Broken on purpose: with ICU's Big5 alone, 6,251 of 19,787 lines of big5 fail; with ICU's EUC-KR alone, 11,224 of 23,945
 * of euc_kr; with ICU's Shift_JIS alone, 492 of 11,285 of shift_jis.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { decodeText } from '#message';
import { corpora, notRun } from './support/corpora.ts';
import { type Failure, report, Tally } from './support/verdicts.ts';

const folder = corpora('charsets');

/** The file without its ending, the label that mail uses, and the lines that differ for the reason in the verdict list. */
const files: [name: string, input: string, expected: string, label: string, differing: number][] = [
  ['big5', 'big5_in.txt', 'big5_in_ref.txt', 'big5', 0],
  ['euc_kr', 'euc_kr_in.txt', 'euc_kr_in_ref.txt', 'ks_c_5601-1987', 0],
  ['gb18030', 'gb18030_in.txt', 'gb18030_in_ref.txt', 'gb18030', 0],
  ['gbk', 'gb18030_in.txt', 'gb18030_in_ref.txt', 'gbk', 0],
  ['iso_2022_jp', 'iso_2022_jp_in.txt', 'iso_2022_jp_in_ref.txt', 'iso-2022-jp', 0],
  ['jis0208', 'jis0208_in.txt', 'jis0208_in_ref.txt', 'euc-jp', 0],
  ['jis0212', 'jis0212_in.txt', 'jis0212_in_ref.txt', 'euc-jp', 21],
  ['shift_jis', 'shift_jis_in.txt', 'shift_jis_in_ref.txt', 'shift_jis', 0],
  ['perl big5-eten', 'perl-encode/big5-eten.enc', 'perl-encode/big5-eten.utf', 'big5', 8],
  ['perl big5-hkscs', 'perl-encode/big5-hkscs.enc', 'perl-encode/big5-hkscs.utf', 'big5-hkscs', 143],
  ['perl gb2312', 'perl-encode/gb2312.enc', 'perl-encode/gb2312.utf', 'gb2312', 1],
  ['perl ksc5601', 'perl-encode/ksc5601.enc', 'perl-encode/ksc5601.utf', 'ks_c_5601-1987', 0],
  ['perl jisx0208', 'perl-encode/jisx0208.enc', 'perl-encode/jisx0208.utf', 'euc-jp', 3],
  ['big5 out', 'big5_out_ref.txt', 'big5_out.txt', 'big5', 0],
  ['euc_kr out', 'euc_kr_out_ref.txt', 'euc_kr_out.txt', 'euc-kr', 0],
  ['gb18030 out', 'gb18030_out_ref.txt', 'gb18030_out.txt', 'gb18030', 0],
  ['iso_2022_jp out', 'iso_2022_jp_out_ref.txt', 'iso_2022_jp_out.txt', 'iso-2022-jp', 0],
  ['jis0208 out', 'jis0208_out_ref.txt', 'jis0208_out.txt', 'euc-jp', 0],
  ['shift_jis out', 'shift_jis_out_ref.txt', 'shift_jis_out.txt', 'shift_jis', 0],
  ['perl jisx0201', 'perl-encode/jisx0201.enc', 'perl-encode/jisx0201.utf', 'euc-jp', 0],
  ['perl jisx0212', 'perl-encode/jisx0212.enc', 'perl-encode/jisx0212.utf', 'euc-jp', 0],
];

// The two voicing marks by themselves do not combine.
const fullWidth = (kana: string): string =>
  kana.normalize('NFKC').replace('\u3099', '\u309b').replace('\u309a', '\u309c');

test('legacy text becomes the characters of the tables (charsets)', {
  skip: folder === null && notRun,
}, (t) => {
  const failures: Failure[] = [];
  const tally = new Tally('charsets');
  for (const [name, input, reference, label, differing] of files) {
    const read = (file: string): Buffer => fs.readFileSync(path.join(folder ?? '', file));
    const expected = read(reference).toString('utf8').split('\n');
    const { text, isKnown } = decodeText(read(input), label);
    assert.ok(isKnown, label);
    const actual = text.split('\n');
    assert.equal(actual.length, expected.length, name);
    const isHalfWidth = (line: string): boolean =>
      name === 'iso_2022_jp out' && /^[\uff61-\uff9f]$/.test(line);
    const byRule = expected.filter(isHalfWidth).length;
    const wrong = expected.filter(
      (line, index) => (isHalfWidth(line) ? fullWidth(line) : line) !== actual[index],
    ).length;
    t.diagnostic(`${name} as ${label}: ${expected.length - wrong} of ${expected.length} lines`);
    assert.equal(wrong, differing, name);
    if (wrong > 0) failures.push({ case: name, what: `${wrong} lines differ` });
    tally.add(expected.length, wrong, byRule);
  }
  report(t, 'charsets', files.length, failures);
  tally.check(t);
});
