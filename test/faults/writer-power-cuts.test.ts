import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callsMin, runHistory } from './writer-histories.ts';

const histories = Number(process.env['FENGNI_WRITER_HISTORIES'] ?? 100);
const firstSeed = Number(process.env['FENGNI_SEED'] ?? 1);

// Checked by breaking it: `copy` without its second frame, an answer before `commit`, HEAD before its leaves are durable.
test(`${histories} whole machines, each cut three times at any operation, keep every promise (I1–I5)`, async (t) => {
  let calls = 0;
  for (let seed = firstSeed; seed < firstSeed + histories; seed++) calls += await runHistory(seed * 1_000);
  t.diagnostic(`seeds ${firstSeed} to ${firstSeed + histories - 1} (× 1000), ${calls} I/O operations`);
  assert.ok(calls >= histories * callsMin);
});
