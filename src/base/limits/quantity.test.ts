import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDuration, formatSize, MiB, parseDuration, parseSize } from './index.ts';

test('sizes and durations are read as people write them', () => {
  assert.equal(parseSize('50MiB'), 50 * MiB);
  assert.equal(parseSize('0B'), 0);
  assert.equal(parseDuration('30s'), 30_000);
  assert.equal(parseDuration('500ms'), 500);
  assert.equal(parseDuration('14d'), 14 * 86_400_000);
});

test('what is not quite a quantity is none', () => {
  for (const text of [
    '',
    '5',
    'MiB',
    '-1s',
    '1.5h',
    '1e3s',
    '5 s',
    ' 5s',
    '5s ',
    '5M',
    '5mib',
    '5MB',
    '5constructor',
    '٣s',
    '9999999999999s',
  ]) {
    assert.equal(parseDuration(text), null, text);
    assert.equal(parseSize(text), null, text);
  }
  assert.equal(parseSize('999999999999TiB'), null, 'beyond 2^53');
});

test('what is written is read back (property)', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      // At most 12 digits are read; beyond that the unit has to be larger.
      fc.pre(/^\d{1,12}\D/.test(formatSize(value)) && /^\d{1,12}\D/.test(formatDuration(value)));
      assert.equal(parseSize(formatSize(value)), value);
      assert.equal(parseDuration(formatDuration(value)), value);
    }),
  );
  assert.equal(formatSize(50 * MiB), '50MiB');
  assert.equal(formatDuration(7_200_000), '2h');
  assert.equal(formatDuration(0), '0ms');
});
