import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatIp, parseIp, reverseName } from './index.ts';

test('an address has one text (RFC 5952 §4)', () => {
  for (const [written, canonical] of [
    ['192.0.2.1', '192.0.2.1'],
    ['2001:DB8::1', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['1::', '1::'],
    ['::ffff:c000:201', '::ffff:192.0.2.1'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
  ] as const) {
    const octets = parseIp(written);
    assert.ok(octets !== null, written);
    assert.equal(formatIp(octets), canonical);
  }
});

test('what is no address is none: zones, leading zeros, brackets, numbers too large', () => {
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    '1.2.3.4 ',
    'fe80::1%eth0',
    '[::1]',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8:9',
    '12345::',
    ':1',
    '1:',
    '1.2.3.4::',
    '::1.2.3.4:5',
  ])
    assert.equal(parseIp(text), null, text);
});

test('octets come back from their text, and node:net agrees on what is an address', () => {
  const octets = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc
      .array(fc.constantFrom(0, 0, 0, 255, 1), { minLength: 16, maxLength: 16 })
      .map((a) => Uint8Array.from(a)),
  );
  fc.assert(fc.property(octets, (each) => assert.deepEqual(parseIp(formatIp(each)), each)));
  const text = fc.string({ unit: fc.constantFrom(...'0123afF:.:: %'), maxLength: 24 });
  fc.assert(
    fc.property(text, (each) =>
      assert.equal(parseIp(each) !== null, net.isIP(each) !== 0 && !each.includes('%'), each),
    ),
  );
});

test('an address points back under in-addr.arpa or ip6.arpa (RFC 1035 §3.5, RFC 3596 §2.5)', () => {
  assert.equal(reverseName(parseIp('192.0.2.1') as Uint8Array), '1.2.0.192.in-addr.arpa');
  assert.equal(
    reverseName(parseIp('2001:db8::567:89ab') as Uint8Array),
    'b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa',
  );
});
