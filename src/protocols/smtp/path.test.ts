import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isAddressLiteral, readPath } from './index.ts';

const whole = (text: string): string | null => {
  const path = readPath(text, 0);
  return path !== null && path.next === text.length ? path.address : null;
};

test('a path gives the mailbox as it was written (RFC 5321 §4.1.2)', () => {
  for (const address of [
    'a@b',
    'Some.One+tag@Example.ORG',
    "!#$%&'*+-/=?^_`{|}~@example.org",
    '"a b"@example.org',
    '"a\\"b\\\\c@d>"@example.org',
    '""@example.org',
    'a@[192.0.2.1]',
    'a@[IPv6:2001:db8::1]',
    'a@[IPv6:::ffff:192.0.2.1]',
    'a@[x400:something]',
    'a@under_score.example',
    'a@xn--fiqs8s.example',
    `${'l'.repeat(300)}@example.org`,
  ]) {
    assert.equal(whole(`<${address}>`), address);
  }
});

test('the empty path is the null sender, a source route is dropped (RFC 5321 §4.5.5, appendix C)', () => {
  assert.equal(whole('<>'), '');
  assert.equal(whole('<@relay.example:a@b.example>'), 'a@b.example');
  assert.equal(whole('<@one.example,@[192.0.2.1]:"x y"@b.example>'), '"x y"@b.example');
  for (const text of ['<@relay.example>', '<@a.example,b.example:c@d>', '<@a:>', '<@a:Postmaster>']) {
    assert.equal(whole(text), null, text);
  }
});

test('Postmaster may stand without a domain, in any case; nothing else may (RFC 5321 §4.5.1)', () => {
  assert.equal(whole('<Postmaster>'), 'Postmaster');
  assert.equal(whole('<POSTMASTER>'), 'POSTMASTER');
  assert.equal(whole('<somebody>'), null);
  assert.equal(whole('<"postmaster">'), null);
});

test('what is no path is refused', () => {
  for (const text of [
    'a@b',
    '<a@b',
    '<a@>',
    '<@b>',
    '<a b@c>',
    '<.a@b>',
    '<a.@b>',
    '<a..b@c>',
    '<a@.b>',
    '<a@b.>',
    '<a@b..c>',
    '<a@-b>',
    '<a@b->',
    `<a@${'x'.repeat(64)}.example>`,
    `<a@${'xxxxxxxxx.'.repeat(26)}example>`,
    `<${'l'.repeat(1000)}@example.org>`,
    '<"a@b>',
    '<"a"b@c>',
    '<a@[300.0.0.1]>',
    '<a@[IPv6:1::2::3]>',
    '<a@[IPv6:1:2:3:4:5:6:7]>',
    '<a@[nothing]>',
    '<a@b@c>',
    '<<a@b>>',
    '< a@b>',
    '<a\u0085@b>',
  ]) {
    assert.equal(whole(text), null, text);
  }
});

test('an address beyond ASCII is marked international (RFC 6531 §3.3)', () => {
  assert.deepEqual(readPath('<李明@例子.测试> X', 0), {
    address: '李明@例子.测试',
    international: true,
    next: 10,
  });
  assert.equal(readPath('<"李 明"@例子.测试>', 0)?.international, true);
  assert.equal(readPath('<a@b>', 0)?.international, false);
});

test('address literals (RFC 5321 §4.1.3)', () => {
  for (const good of [
    '[127.0.0.1]',
    '[IPv6:::]',
    '[ipv6:::1]',
    '[IPv6:1:2:3:4:5:6:7:8]',
    '[IPv6:1:2:3:4:5:6:1.2.3.4]',
  ]) {
    assert.equal(isAddressLiteral(good), true, good);
  }
  for (const bad of [
    '127.0.0.1',
    '[127.0.0.1',
    '[1.2.3]',
    '[1.2.3.4.5]',
    '[IPv6:12345::]',
    '[IPv6:]',
    '[IPv6:1.2.3.4::]',
    '[]',
  ]) {
    assert.equal(isAddressLiteral(bad), false, bad);
  }
});

test('reading a path never fails and never runs past the text', () => {
  const piece = fc.constantFrom(
    '<',
    '>',
    '@',
    ',',
    ':',
    '"',
    '\\',
    '.',
    '-',
    'a',
    'b',
    '[',
    ']',
    'IPv6:',
    '1',
    ' ',
    '李',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const text = `<${pieces.join('')}`;
      const path = readPath(text, 0);
      if (path === null) return;
      assert.ok(path.next <= text.length);
      assert.equal(text[path.next - 1], '>');
      assert.ok(text.slice(0, path.next).endsWith(`${path.address}>`));
    }),
  );
});
