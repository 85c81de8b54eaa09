import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomNumbers, type SimFault, SimFs, type SimFsOptions } from '#store/durable';
import { openLog } from '#store/log';
import { compare, headOf, liveAndDie, logOptions, type Model } from './log-workload.ts';

const seeds = Number(process.env['FENGNI_POWER_CUTS'] ?? 2_000);
const firstSeed = Number(process.env['FENGNI_SEED'] ?? 1);
const callsMin = 200;

/** One machine's history: it works, dies, recovers (and dies while recovering), several times over. */
export const history = async (
  seed: number,
  wrap: (machine: SimFs) => SimFs = (machine) => machine,
): Promise<number> => {
  const numbers = randomNumbers(seed);
  const model: Model = { attempts: [] };
  let calls = 0;
  let deathAt = 0;
  let death: SimFault = null;
  const nextOptions = (): SimFsOptions => {
    const kind = numbers() % 8;
    death = kind < 5 ? 'power-cut' : kind === 5 ? 'EIO' : kind === 6 ? 'ENOSPC' : null;
    // Every third life dies early, which is in or shortly after recovery.
    deathAt = numbers() % 3 === 0 ? numbers() % 40 : 30 + (numbers() % 130);
    const [at, how] = [deathAt, death];
    return {
      seed: numbers(),
      afterFailedSync: numbers() % 2 === 0 ? 'cache' : 'disk',
      fault: ({ index, operation }) => {
        if (index !== at) return null;
        return how === 'ENOSPC' && operation !== 'write' ? null : how;
      },
    };
  };
  let machine = wrap(new SimFs(nextOptions()));
  while (calls < callsMin) {
    const end = numbers() % 4 === 0 ? 'kill' : 'power';
    const next = await liveAndDie(machine, model, numbers, { deathAt, end }, nextOptions);
    calls += machine.calls;
    machine = wrap(next);
  }
  // What a last recovery finds is there for good: it stays through a cut right after, and a second recovery changes nothing (I5).
  const quiet = (): SimFsOptions => ({ seed: numbers() });
  const last = wrap(machine.cutPower(quiet()));
  const log = await openLog(logOptions(last, [headOf(model, 'a witness')]));
  assert(log.kind === 'log', log.kind === 'refused' ? log.error.message : '');
  await compare(log, model, last);
  await log.close();
  const before = last.contents();
  const after = wrap(last.cutPower(quiet()));
  const again = await openLog(logOptions(after, [headOf(model, 'a witness')]));
  assert(again.kind === 'log');
  await compare(again, model, after);
  assert.equal(again.nextSeq, log.nextSeq);
  await again.close();
  assert.deepEqual(after.contents(), before, 'recovery after recovery changes nothing (I5)');
  return calls;
};

test(`${seeds} histories with power cuts at any operation lose nothing acknowledged and show nothing in part (I1, I2, I5, I7)`, async () => {
  let calls = 0;
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    try {
      calls += await history(seed);
    } catch (error) {
      throw new Error(
        `seed ${seed}: ${(error as Error).message} (repeat with FENGNI_SEED=${seed} FENGNI_POWER_CUTS=1)`,
        {
          cause: error,
        },
      );
    }
  }
  assert(calls >= seeds * callsMin);
});
