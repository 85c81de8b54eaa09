import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseNumberSet, rangesHold, resolveNumberSet } from './number-set.ts';

test('sets are read as RFC 9051 §9 writes them', () => {
  assert.deepEqual(parseNumberSet('1,3:5,*,7:*'), [1, 1, 3, 5, 0, 0, 7, 0]);
  for (const wrong of ['', '0', '1,', ',1', '1:', ':1', '1:2:3', '01', '4294967296', '1:0', 'a', '**']) {
    assert.equal(parseNumberSet(wrong), null, wrong);
  }
  assert.deepEqual(resolveNumberSet([9, 0, 1, 3, 2, 5, 6, 6], 4), [1, 9]);
  assert.deepEqual(resolveNumberSet([1, 1, 3, 3], 4), [1, 1, 3, 3]);
});

test('a resolved set holds what its parts hold', () => {
  const number = fc.integer({ min: 0, max: 30 });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(number, number), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 30 }),
      (pairs, star) => {
        const ranges = resolveNumberSet(pairs.flat(), star);
        for (let value = 1; value <= 31; value++) {
          const held = pairs.some(([a, b]) => {
            const first = a || star;
            const last = b || star;
            return value >= Math.min(first, last) && value <= Math.max(first, last);
          });
          assert.equal(rangesHold(ranges, value), held);
        }
        for (let at = 2; at < ranges.length; at += 2)
          assert.ok((ranges[at] ?? 0) > (ranges[at - 1] ?? 0) + 1);
      },
    ),
    { numRuns: 500 },
  );
});
