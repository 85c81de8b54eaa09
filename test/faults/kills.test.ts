import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startServer } from '../support/server.ts';
import { killAll } from './kills.ts';

const kills = Number(process.env['FENGNI_KILLS'] ?? 20);
const seed = Number(process.env['FENGNI_SEED'] ?? 1);
const acknowledgedMin = Number(process.env['FENGNI_ACKNOWLEDGED'] ?? 1_000);

test(`${kills} times every process is killed under load: what was acknowledged is there once, and nothing else but what was sent`, async (t) => {
  const outcome = await killAll(await startServer(), { kills, acknowledgedMin, seed });
  const { acknowledged, stored, unanswered } = outcome;
  t.diagnostic(`${acknowledged} acknowledged, ${stored} stored, ${unanswered} of them without an answer`);
  assert.deepEqual(outcome.problems, []);
  assert.ok(acknowledged >= acknowledgedMin);
});
