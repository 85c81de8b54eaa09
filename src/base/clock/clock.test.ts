import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRandom } from '#base/clock';

test('random octets are of the length asked for, each its own, never handed out twice', () => {
  const seen = new Set<string>();
  for (let count = 0; count < 5_000; count++) {
    const octets = systemRandom(16);
    assert.equal(octets.length, 16);
    assert.equal(octets.buffer.byteLength, 16);
    seen.add(Buffer.from(octets).toString('hex'));
  }
  assert.equal(seen.size, 5_000);
  assert.ok(!seen.has('0'.repeat(32)));
  assert.equal(systemRandom(0).length, 0);
  assert.equal(systemRandom(100_000).length, 100_000);
});
