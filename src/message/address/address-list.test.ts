import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type AddressEntry, mailboxesOf, parseAddressList } from './index.ts';

const show = (entries: readonly AddressEntry[]): string =>
  entries
    .map((entry): string =>
      entry.kind === 'group'
        ? `${entry.name}:{${show(entry.members)}}`
        : `${entry.name ?? ''}|${entry.route ?? ''}|${entry.localPart ?? '-'}|${entry.domain ?? '-'}`,
    )
    .join(' & ');

test('addresses of RFC 5322 §3.4 and §4.4, and those that people type', () => {
  const cases: [string, string][] = [
    ['a@b', '||a|b'],
    ['Name <a@b>', 'Name||a|b'],
    ['"Last, First" <a@b>, c@d', 'Last, First||a|b & ||c|d'],
    ['"q \\" \\\\" <a@b>', 'q " \\||a|b'],
    ['"a b"@c', '||a b|c'],
    ['""@c', '|||c'],
    ['a@b (Name)', 'Name||a|b'],
    ['a@b (one (two) three)', 'one (two) three||a|b'],
    ['a (x) . b @ c (y) . d', 'y||a.b|c.d'],
    ['<@r,@s:a@b>', '|@r,@s|a|b'],
    ['Group: a@b, "C" <c@d>; , e@f', 'Group:{||a|b & C||c|d} & ||e|f'],
    ['undisclosed-recipients:;', 'undisclosed-recipients:{}'],
    ['Group: a@b', 'Group:{||a|b}'],
    ['a@b; c@d', '||a|b & ||c|d'],
    ['John Q. Public <a@b>', 'John Q. Public||a|b'],
    ['a@b <c@d>', 'a@b||c|d'],
    ['=?utf-8?Q?"A,_B"?= <a@b>', '=?utf-8?Q?"A,_B"?=||a|b'],
    ['Ann Lee ann@x', 'Ann Lee||ann|x'],
    ['foo', '||foo|-'],
    ['Foo Bar', 'Foo Bar||-|-'],
    ['Foo <>', 'Foo||-|-'],
    ['a@', '||a|-'],
    ['<a@b', '||a|b'],
    ['"open <a@b>', '"open||a|b'],
    ['a@[192.0.2.1]', '||a|[192.0.2.1]'],
    ['a@[open', '||a|[open'],
    ['(open a@b', ''],
    [' , ,', ''],
    ['', ''],
    ['李明 <李明@例子.测试>', '李明||李明|例子.测试'],
    ['a@b\r\n , \r\n\tc@d', '||a|b & ||c|d'],
    ['<<a@b>>', '||a|b'],
    ['李明 <a@b>；c@d，e@f', '李明||a|b & ||c|d & ||e|f'],
    ['<a@b；c@d', '||a|b & ||c|d'],
    ['A <a@b> trailing, c@d', 'A||a|b & ||c|d'],
  ];
  for (const [text, expected] of cases) assert.equal(show(parseAddressList(text)), expected, text);
});

test('any text gives a list, and a list written again gives the same mailboxes (property)', () => {
  const pieces = [
    'a',
    'b.c',
    '@',
    '<',
    '>',
    ',',
    ';',
    ':',
    '"',
    '(',
    ')',
    '[',
    ']',
    '\\',
    ' ',
    '.',
    '=?',
    '?=',
    '\r\n ',
    '\xe9',
    'd',
  ];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 30, size: 'max' }), (parts) => {
      const mailboxes = mailboxesOf(parseAddressList(parts.join('')));
      for (const mailbox of mailboxes) {
        const { localPart, domain } = mailbox;
        if (
          localPart === null ||
          domain === null ||
          !/^[a-d.\xe9]+$/.test(domain) ||
          /[\\"\r\n]/.test(localPart)
        )
          continue;
        const [again] = parseAddressList(`"${localPart}"@${domain}`);
        assert.deepEqual(again, { kind: 'mailbox', name: null, route: null, localPart, domain });
      }
    }),
  );
});

test('long hostile lists end: nothing tries all pairs of places', () => {
  for (const unit of [
    '(',
    '()',
    '"',
    '"a',
    '\\',
    '<',
    '>',
    '[',
    '@',
    ',',
    ';',
    ':',
    '.',
    '=?',
    '=?a?q?',
    ' ',
    'a ',
    'a@',
    '<a',
    '\r\n',
    'a.',
  ]) {
    parseAddressList(unit.repeat(60_000));
    parseAddressList(`<${unit.repeat(60_000)}`);
  }
});
