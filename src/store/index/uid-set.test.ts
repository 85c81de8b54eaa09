import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatUidSet, parseUidSet } from '#store/index';

test('a set of UIDs reads back as what was written, and only its one spelling is read', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 60 })), (uids) => {
      const sorted = uids.sort((a, b) => a - b);
      const text = formatUidSet(sorted);
      const back = parseUidSet(text)?.flatMap(({ first, last }) =>
        Array.from({ length: last - first + 1 }, (_, i) => first + i),
      );
      assert.deepEqual(back, sorted);
    }),
  );
  for (const text of ['0', '1,2', '2:1', '1:1', '5,3', '1:*', ' 1', '01', '1:4294967296'])
    assert.equal(parseUidSet(text), null, text);
});
