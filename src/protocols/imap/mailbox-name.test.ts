import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeModifiedUtf7,
  encodeModifiedUtf7,
  mailboxNameFromWire,
  matchesPattern,
  newMailboxName,
  wildcardsMax,
} from './mailbox-name.ts';

test('modified UTF-7 of the examples of RFC 3501 §5.1.3', () => {
  assert.equal(encodeModifiedUtf7('~peter/mail/台北/日本語'), '~peter/mail/&U,BTFw-/&ZeVnLIqe-');
  assert.equal(decodeModifiedUtf7('~peter/mail/&U,BTFw-/&ZeVnLIqe-'), '~peter/mail/台北/日本語');
  assert.equal(encodeModifiedUtf7('a&b'), 'a&-b');
  assert.equal(decodeModifiedUtf7('&U,BTFw-&ZeVnLIqe-'), null, 'superfluous shift');
  assert.equal(decodeModifiedUtf7('&g0l6P3ux-'), '草稿箱');
});

test('every well-formed name comes back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), (name) => {
      assert.equal(decodeModifiedUtf7(encodeModifiedUtf7(name)), name);
    }),
    { numRuns: 500 },
  );
});

test('whatever is decoded is the only way to write it', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.constantFrom('&', '-', 'A', 'g0l6P3ux', 'U,BT', 'AOk', 'AGE', '2D3cqQ', '/', ' ', 'x', '\x01'),
        { maxLength: 8 },
      ),
      (parts) => {
        const encoded = parts.join('');
        const decoded = decodeModifiedUtf7(encoded);
        if (decoded !== null) assert.equal(encodeModifiedUtf7(decoded), encoded);
      },
    ),
    { numRuns: 2000, examples: [[['&', 'AGE', '-']]] },
  );
});

test('ill-formed names are refused with CANNOT', () => {
  for (const encoded of ['&', '&Jjo', '&Jjo!-', '&AGE-', '&2D0-', '\xc3\xa9', '&J-']) {
    assert.equal(mailboxNameFromWire(encoded).kind, 'refused', encoded);
  }
  const long = 'é'.repeat(128);
  for (const name of [
    '',
    '/',
    'a//b',
    '/a',
    long,
    'a/'.repeat(21),
    'a\u0085b',
    'a*b',
    'a%b',
    'Other Users/x',
    'Shared Folders',
  ]) {
    assert.equal(newMailboxName(name).kind, 'refused', name);
  }
  assert.deepEqual(newMailboxName('a/b/'), { kind: 'name', name: 'a/b' });
  assert.equal(newMailboxName('é'.repeat(127)).kind, 'name');
  assert.equal(newMailboxName('a/'.repeat(20)).kind, 'name');
});

test('only INBOX folds case, and names are NFC', () => {
  const name = (octets: string): string => {
    const read = mailboxNameFromWire(octets);
    return read.kind === 'name' ? read.name : '(refused)';
  };
  assert.equal(name('iNbOx'), 'INBOX');
  assert.equal(name('inbox/Foo'), 'INBOX/Foo');
  assert.equal(name('inboxes'), 'inboxes');
  assert.equal(name(encodeModifiedUtf7('e\u0301')), '\u00e9');
});

test('patterns match as RFC 9051 §6.3.9 says, whatever the pattern', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('*', '%', 'a', 'b', '/'), { maxLength: 8 }),
      fc.array(fc.constantFrom('a', 'b', '/'), { maxLength: 10 }),
      (pattern, name) => {
        const expression = pattern
          .map((each) => (each === '*' ? '.*' : each === '%' ? '[^/]*' : each))
          .join('');
        assert.equal(
          matchesPattern(pattern.join(''), name.join('')),
          new RegExp(`^${expression}$`).test(name.join('')),
        );
      },
    ),
    { numRuns: 3000 },
  );
  const many = '%a'.repeat(wildcardsMax);
  assert.equal(matchesPattern(many, 'a'.repeat(5000)), true);
  assert.equal(matchesPattern(`${many}%a`, 'a'.repeat(5000)), false, 'more wildcards than anybody writes');
});
