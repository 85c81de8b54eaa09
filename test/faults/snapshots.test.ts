import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSnapshotHistory } from './snapshot-histories.ts';

const histories = Number(process.env['FENGNI_SNAPSHOT_HISTORIES'] ?? 40);
const firstSeed = Number(process.env['FENGNI_SEED'] ?? 1);

test(`${histories} machines that write snapshots, each cut three times at any operation: made from snapshots, from STATE frames and while running, all is the same (FORMATS §6 (5), (6))`, async (t) => {
  let [calls, rebuilt, restored] = [0, 0, 0];
  for (let seed = firstSeed; seed < firstSeed + histories; seed++) {
    const seen = await runSnapshotHistory(seed * 1_000);
    calls += seen.calls;
    rebuilt += seen.rebuilt;
    restored += seen.restored;
  }
  t.diagnostic(
    `seeds ${firstSeed} to ${firstSeed + histories - 1} (× 1000), ${calls} I/O operations, ${rebuilt} compared, ${restored} accounts from snapshots`,
  );
  assert.ok(restored >= histories, 'snapshots were used');
});
