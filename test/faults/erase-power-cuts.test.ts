import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runEraseHistory, type Seen } from './erase-histories.ts';

const histories = Number(process.env['FENGNI_ERASE_HISTORIES'] ?? 40);
const firstSeed = Number(process.env['FENGNI_SEED'] ?? 1);

test(`${histories} machines that erase, hold and purge, each cut three times: erased stays erased, held stays, no slot goes before ERASED (I1–I5)`, async (t) => {
  const all: Seen = { calls: 0, erased: 0, held: 0, purged: 0, rebuilt: 0 };
  for (let seed = firstSeed; seed < firstSeed + histories; seed++) {
    const seen = await runEraseHistory(seed * 1_000);
    for (const name of Object.keys(all) as (keyof Seen)[]) all[name] += seen[name];
  }
  t.diagnostic(
    `seeds ${firstSeed} to ${firstSeed + histories - 1} (× 1000): ${Object.entries(all)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')}`,
  );
  // The histories reach what they are about.
  if (histories >= 20) for (const count of Object.values(all)) assert.ok(count > 0);
});
