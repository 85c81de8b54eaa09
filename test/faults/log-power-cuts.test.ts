import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { Endured } from './log-histories.ts';

const run = promisify(execFile);
const cutsMin = 2_000;
/** more than four cuts each */
const seeds = 600;
const firstSeed = Number(process.env['FENGNI_SEED'] ?? 1);

test(`${cutsMin} power cuts and more, at any operation, lose nothing acknowledged and show nothing in part (I1, I2, I5, I7)`, async (t) => {
  const halves = [Math.ceil(seeds / 2), Math.floor(seeds / 2)];
  const endured = await Promise.all(
    halves.map(async (count, half) => {
      const first = firstSeed + half * (halves[0] as number);
      const program = path.join(import.meta.dirname, 'log-histories.ts');
      const { stdout } = await run(process.execPath, [program, `${first}`, `${count}`]);
      return JSON.parse(stdout) as Endured;
    }),
  );
  const cuts = endured.reduce((sum, each) => sum + each.cuts, 0);
  const calls = endured.reduce((sum, each) => sum + each.calls, 0);
  t.diagnostic(`seeds ${firstSeed} to ${firstSeed + seeds - 1}, ${cuts} cuts in ${calls} operations`);
  assert(cuts >= cutsMin);
});
