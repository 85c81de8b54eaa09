import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startServer } from '../support/server.ts';
import { readSlowly } from './slow-reader.ts';

// FORMATS §6 (13). `npm run faults -- --only slow-reader` has it go on for ten minutes, and makes the mistake that must be found.

const seconds = Number(process.env['FENGNI_SLOW_SECONDS'] ?? 15);
const isControl = process.env['FENGNI_SLOW_CONTROL'] === '1';

test('(13) slow readers in the middle of RETR and FETCH: the WAL stays bounded, nobody else waits', async (t) => {
  const server = await startServer();
  const progress = (text: string): void => t.diagnostic(text);
  const outcome = await readSlowly(server, { seconds, control: isControl, progress });
  t.diagnostic(JSON.stringify(outcome));
  if (!isControl) assert.deepEqual(outcome.problems, []);
  assert.equal(await server.stop(), 0);
});
