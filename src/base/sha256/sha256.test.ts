import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256, sha256Is, sha256OfText } from './index.ts';

test('a digest is what a hash object makes of the same octets, wherever they lie (FIPS 180-4)', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(20), (octets, from) => {
      const part = octets.subarray(from);
      const expected = createHash('sha256').update(part).digest();
      assert.deepEqual(Buffer.from(sha256(part)), expected);
      assert.ok(sha256Is(part, expected));
    }),
  );
});

test('any changed bit of the expected digest is seen, and any other length', () => {
  const octets = new Uint8Array([1, 2, 3]);
  for (let bit = 0; bit < 256; bit++) {
    const other = sha256(octets);
    other[bit >> 3] = (other[bit >> 3] as number) ^ (1 << (bit & 7));
    assert.equal(sha256Is(octets, other), false);
  }
  for (const length of [0, 31, 33]) assert.equal(sha256Is(octets, new Uint8Array(length)), false);
});

test('digests do not share memory', () => {
  const first = sha256(new Uint8Array([1]));
  const copy = first.slice();
  sha256(new Uint8Array([2]));
  assert.deepEqual(first, copy);
  assert.equal(first.byteLength, first.buffer.byteLength);
});

test('a text has the digest of its UTF-8', () => {
  for (const text of ['', 'abc', 'é 封泥 \u{1f600}', 'x'.repeat(5_000)])
    assert.deepEqual(sha256OfText(text), sha256(new TextEncoder().encode(text)));
});
