import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { Acknowledged } from '../support/mail-load.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { killAll } from './kills.ts';

const kills = Number(process.env['FENGNI_KILLS'] ?? 20);
const firstSeed = Number(process.env['FENGNI_SEED'] ?? 1);
const acknowledgedPerKill = 50;
/** kills after which everything is looked at */
const killsOfRound = 5;

let server: TestServer;
const acknowledged: Acknowledged[] = [];
before(async () => {
  server = await startServer();
});

for (let done = 0; done < kills; done += killsOfRound) {
  const count = Math.min(killsOfRound, kills - done);
  test(`every process is killed under load, ${done + 1} to ${done + count} of ${kills}: what was acknowledged is there once, and nothing else but what was sent`, async (t) => {
    const outcome = await killAll(server, {
      kills: count,
      acknowledgedMin: acknowledgedPerKill * count,
      seed: firstSeed + done,
      acknowledged,
    });
    const { stored, unanswered } = outcome;
    t.diagnostic(
      `${acknowledged.length} acknowledged, ${stored} stored, ${unanswered} of them without an answer`,
    );
    assert.deepEqual(outcome.problems, []);
    assert.ok(acknowledged.length >= acknowledgedPerKill * (done + count));
  });
}
