import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GiB, MiB } from '#base/limits';
import { isNearlyFull } from './disk-watch.ts';

test('a disk is nearly full below 5 % and below the room that is asked for, whichever is more', () => {
  const at = (freeBytes: number, sizeBytes: number, freeBytesMin = 2 * GiB): boolean =>
    isNearlyFull({ freeBytes, sizeBytes, freeBytesMin });
  assert.equal(at(2 * GiB - 1, 10 * GiB), true);
  assert.equal(at(2 * GiB, 10 * GiB), false);
  assert.equal(at(50 * GiB - 1, 1000 * GiB), true);
  assert.equal(at(50 * GiB, 1000 * GiB), false);
  assert.equal(at(2 * MiB, 48 * MiB, 0), true, '5 % in any case');
  assert.equal(at(3 * MiB, 48 * MiB, 0), false);
});
