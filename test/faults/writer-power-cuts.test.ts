import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callsMin, runHistory } from './writer-histories.ts';

const histories = Number(process.env['FENGNI_WRITER_HISTORIES'] ?? 100);
const firstSeed = Number(process.env['FENGNI_SEED'] ?? 1);

// Checked by breaking it: a spool that does not sync, a rename whose folder is not synced, a large file renamed after its group, `copy` without its second frame, an answer before `commit`, HEAD before its leaves are durable.
test(`${histories} whole machines, each cut three times at any operation, keep every promise (I1–I5)`, async (t) => {
  let calls = 0;
  let largeFiles = 0;
  for (let seed = firstSeed; seed < firstSeed + histories; seed++) {
    const history = await runHistory(seed * 1_000);
    calls += history.calls;
    largeFiles += history.largeFiles;
  }
  t.diagnostic(
    `seeds ${firstSeed} to ${firstSeed + histories - 1} (× 1000), ${calls} I/O operations, ${largeFiles} files of large bodies`,
  );
  assert.ok(calls >= histories * callsMin);
  assert.ok(largeFiles >= histories, 'large bodies were among what was promised');
});
