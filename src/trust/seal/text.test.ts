import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { base64, parseBase64, parseHash } from './text.ts';

/** What `parseHash` is: base 64 in its one spelling, of 32 octets. */
const expected = (text: string): Uint8Array | null => {
  const octets = parseBase64(text);
  return octets?.length === 32 ? octets : null;
};

test('a hash is read exactly when base 64 writes it so (RFC 4648 §3.5)', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (octets) => {
      assert.deepEqual(parseHash(base64(octets)), octets);
    }),
  );
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.nat(43),
      fc.constantFrom(...'AZaz09+/=-_ \n\u0000\u007f\u0080\u00ff\u2028\ud800'),
      (octets, at, letter) => {
        const text = base64(octets);
        const changed = text.slice(0, at) + letter + text.slice(at + 1);
        assert.deepEqual(parseHash(changed), expected(changed));
      },
    ),
    { numRuns: 2_000 },
  );
});

test('other lengths, and bits that are left over, are no hash', () => {
  for (const length of [0, 29, 30, 31, 33, 34]) assert.equal(parseHash(base64(new Uint8Array(length))), null);
  assert.equal(parseHash(`${'A'.repeat(42)}B=`), null);
  assert.equal(parseHash(`${'A'.repeat(42)}C=`), null);
  assert.equal(parseHash(`${'A'.repeat(42)}==`), null);
  assert.deepEqual(parseHash(`${'A'.repeat(42)}E=`), new Uint8Array(32).fill(1, 31));
});
