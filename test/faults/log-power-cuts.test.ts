import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { callsMin } from './log-histories.ts';

const run = promisify(execFile);
const seeds = Number(process.env['FENGNI_POWER_CUTS'] ?? 2_000);
const firstSeed = Number(process.env['FENGNI_SEED'] ?? 1);

test(`${seeds} histories with cuts at any operation lose nothing acknowledged and show nothing in part (I1, I2, I5, I7)`, async (t) => {
  const halves = [Math.ceil(seeds / 2), Math.floor(seeds / 2)];
  const outputs = await Promise.all(
    halves.map(async (count, half) => {
      const first = firstSeed + half * (halves[0] as number);
      const program = path.join(import.meta.dirname, 'log-histories.ts');
      return count === 0
        ? '0'
        : (await run(process.execPath, [program, String(first), String(count)])).stdout;
    }),
  );
  const calls = outputs.reduce((sum, output) => sum + Number(output), 0);
  t.diagnostic(`seeds ${firstSeed} to ${firstSeed + seeds - 1}, ${calls} I/O operations`);
  assert(calls >= seeds * callsMin);
});
