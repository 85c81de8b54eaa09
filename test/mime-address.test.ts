/**
 * Third-party vectors for addresses and domain names: address-isemail (164 cases) and idna (IdnaTestV2, one line in eight).
 *
 * Broken on purpose: with the limit of the local part at 640 octets, 3 isemail cases fail; with plain lower-casing in
 * place of the first step of UTS #46 in `toAscii`, 51 more idna lines.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { toAscii } from '#base/idna';
import { parseEnvelopeAddress } from '#message/address';
import { corpora, notRun } from './support/corpora.ts';
import { report, Tally } from './support/verdicts.ts';

const isemail = corpora('address-isemail');
const idna = corpora('idna');

const unescapeXml = (text: string): string =>
  text
    .replace(/&#x([0-9a-f]+);/gi, (_, digits: string) => String.fromCodePoint(Number.parseInt(digits, 16)))
    .replace(/&#(\d+);/g, (_, digits: string) => String.fromCodePoint(Number(digits)))
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&quot;/g, '"')
    .replace(/&apos;/g, "'")
    .replace(/&amp;/g, '&')
    // The file shows controls as U+2400 and up.
    .replace(/[\u2400-\u2421]/g, (symbol) => String.fromCharCode(symbol.charCodeAt(0) - 0x2400));

test('an envelope takes what RFC 5321 allows and nothing else (address-isemail)', {
  skip: isemail === null && notRun,
}, (t) => {
  const xml = fs.readFileSync(path.join(isemail ?? '', 'tests.xml'), 'utf8');
  const cases = [...xml.matchAll(/<test id="(\d+)">([\s\S]*?)<\/test>/g)].map(([, id, inner]) => ({
    id: id ?? '',
    address: unescapeXml(/<address>([\s\S]*?)<\/address>/.exec(inner ?? '')?.[1] ?? ''),
    category: /<category>(.*?)<\/category>/.exec(inner ?? '')?.[1] ?? '',
  }));
  const good = new Set(['ISEMAIL_VALID_CATEGORY', 'ISEMAIL_DNSWARN', 'ISEMAIL_RFC5321']);
  const failures = cases.flatMap(({ id, address, category }) => {
    const parsed = parseEnvelopeAddress(address);
    const accepted = parsed !== null && !parsed.isTooLong;
    return accepted === good.has(category)
      ? []
      : [{ case: id, what: `${accepted ? 'accepted' : 'refused'}, ${category}: ${JSON.stringify(address)}` }];
  });
  const tally = new Tally('address-isemail');
  report(t, 'address-isemail', cases.length, failures, { tally });
  tally.check(t);
  assert.equal(cases.length, 164);
});

test('domain names become A-labels as UTS #46 says, or are refused (idna)', {
  skip: idna === null && notRun,
}, (t) => {
  const lines = fs
    .readFileSync(path.join(idna ?? '', 'IdnaTestV2-part.txt'), 'utf8')
    .split('\n')
    .map((line, index) => ({ line: line.replace(/#.*/, '').trim(), number: index + 1 }))
    .filter(({ line }) => line !== '');
  const unescapeColumn = (text: string): string =>
    text === '""'
      ? ''
      : text.replace(/\\u([0-9A-F]{4})|\\x\{([0-9A-F]+)\}/g, (_, four: string | undefined, many: string) =>
          four === undefined
            ? String.fromCodePoint(Number.parseInt(many, 16))
            : String.fromCharCode(Number.parseInt(four, 16)),
        );
  const failures = lines.flatMap(({ line, number }) => {
    const columns = line.split(';').map((column) => column.trim());
    const [source = '', unicode = '', unicodeStatus = '', ascii = '', asciiStatus = ''] = columns;
    const status = asciiStatus === '' ? unicodeStatus : asciiStatus;
    const isError = status !== '' && status !== '[]';
    const expected = isError ? null : unescapeColumn(ascii || unicode || source);
    const result = toAscii(unescapeColumn(source), { checkHyphens: true });
    return result === expected
      ? []
      : [
          {
            case: `line ${number}`,
            what: `${JSON.stringify(result)}, expected ${JSON.stringify(expected)} ${status}: ${source}`,
          },
        ];
  });
  const tally = new Tally('idna');
  report(t, 'idna', lines.length, failures, { tally });
  tally.check(t);
  assert.ok(lines.length > 700);
});
