import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressKey, foldCase, parseEnvelopeAddress, splitSubaddress } from './index.ts';

test('the key has the domain in lower-case A-labels and the local part NFC, folded, without needless quotes (RFC 6532 §3.1)', () => {
  const keys: [string, string | null][] = [
    ['Admin@Fengni.Test', 'admin@fengni.test'],
    ['"admin"@fengni.test', 'admin@fengni.test'],
    ['"ad\\min"@fengni.test', 'admin@fengni.test'],
    ['"Ad Min"@fengni.test', '"ad min"@fengni.test'],
    ['"a\\"b\\\\c"@fengni.test', '"a\\"b\\\\c"@fengni.test'],
    ['""@fengni.test', '""@fengni.test'],
    ['".a"@fengni.test', '".a"@fengni.test'],
    ['李明@例子。测试', '李明@xn--fsqu00a.xn--0zwm56d'],
    ['李明@ＸＮ--FSQU00A.xn--0zwm56d', '李明@xn--fsqu00a.xn--0zwm56d'],
    ['Jose\u0301@bücher.example', 'josé@xn--bcher-kva.example'],
    ['ΣΊΣΥΦΟΣ@example.test', 'σίσυφοσ@example.test'],
    ['Straße@straße.example', 'strasse@xn--strae-oqa.example'],
    ['a@[192.0.2.1]', 'a@[192.0.2.1]'],
    ['a@[ipv6:2001:DB8::1]', 'a@[IPv6:2001:db8:0:0:0:0:0:1]'],
    ['a@[IPv6:::ffff:192.0.2.1]', 'a@[IPv6:0:0:0:0:0:ffff:c000:201]'],
    ['a@b@c', null],
    ['a@', null],
    ['@b', null],
    ['a', null],
    ['postmaster', null],
    ['', null],
    ['a b@c', null],
    ['.a@c', null],
    ['a..b@c', null],
    ['a@c.', null],
    ['a@-c', null],
    ['a@c_d', null],
    ['a\u0000@c', null],
    ['a\u0085@c', null],
    ['a\ud800@c', null],
    ['a@b%41', null],
    ['a@xn--', null],
    ['@route.example:a@c', null],
    [`${'a'.repeat(65)}@c`, null],
  ];
  for (const [address, key] of keys) assert.equal(addressKey(address), key, address);
});

const domain = fc.constantFrom('example.test', 'EXAMPLE.Test', 'bücher.example', '例子.测试', '[192.0.2.1]');

test('a key is its own key, and case and quotes never change it (property)', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 20 }), domain, (local, where) => {
      const key = addressKey(`${local}@${where}`);
      if (key === null) return;
      assert.equal(addressKey(key), key);
      const upper = local.toUpperCase();
      if (foldCase(upper) === foldCase(local)) assert.equal(addressKey(`${upper}@${where}`), key);
      if (/^[\w.+-]+$/.test(local)) assert.equal(addressKey(`"${local}"@${where}`), key);
    }),
  );
});

test('folding is idempotent over all of Unicode (property)', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => foldCase(foldCase(text)) === foldCase(text)),
  );
});

test('an envelope address may be longer than an account may have, and says so (RFC 5321 §4.5.3.1)', () => {
  assert.equal(parseEnvelopeAddress(`${'a'.repeat(64)}@b.test`)?.isTooLong, false);
  assert.equal(parseEnvelopeAddress(`${'a'.repeat(65)}@b.test`)?.isTooLong, true);
  assert.equal(parseEnvelopeAddress(`a@${'b.'.repeat(200)}test`), null);
  assert.equal(parseEnvelopeAddress(`${'a'.repeat(3000)}@b.test`), null);
});

test('a source route is dropped and a bare Postmaster is taken (RFC 5321 §3.6.1, §4.1.1.3)', () => {
  assert.deepEqual(parseEnvelopeAddress('@a.test,@b.test:C@D.test'), {
    address: 'C@D.test',
    localPart: 'C',
    domain: 'D.test',
    asciiDomain: 'd.test',
    isDomainLiteral: false,
    needsUtf8: false,
    isTooLong: false,
  });
  assert.equal(parseEnvelopeAddress('@a.test:'), null);
  assert.equal(parseEnvelopeAddress('@a b:c@d'), null);
  assert.equal(parseEnvelopeAddress('POSTmaster')?.domain, '');
  assert.equal(parseEnvelopeAddress('李@a.test')?.needsUtf8, true);
});

test('a subaddress is split at the first separator that leaves a user (RFC 5233 §4)', () => {
  assert.deepEqual(splitSubaddress('user+detail'), { user: 'user', detail: 'detail' });
  assert.deepEqual(splitSubaddress('user+a+b'), { user: 'user', detail: 'a+b' });
  assert.deepEqual(splitSubaddress('user+'), { user: 'user', detail: '' });
  assert.deepEqual(splitSubaddress('user-a+b', ['+', '-']), { user: 'user', detail: 'a+b' });
  assert.deepEqual(splitSubaddress('user--a', ['-', '--']), { user: 'user', detail: 'a' });
  assert.equal(splitSubaddress('+detail'), null);
  assert.equal(splitSubaddress('user'), null);
  assert.equal(splitSubaddress('user+a', []), null);
});
