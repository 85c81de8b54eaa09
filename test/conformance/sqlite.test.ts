import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sqlite } from './implementations.ts';
import { points } from './points.ts';
import { conformance } from './suite.ts';

test('the suite has the fifteen points that every store passes, each with cases', () => {
  assert.deepEqual(
    points.map(({ number }) => number),
    Array.from({ length: 15 }, (_, at) => at + 1),
  );
  assert(points.every(({ cases }) => cases.some((each) => 'run' in each)));
});

conformance(sqlite, points);
