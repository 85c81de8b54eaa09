import assert from 'node:assert/strict';
import { type Io, randomNumbers, type SimFault, SimFs, type SimFsOptions } from '#store/durable';
import { checkSegments, openLog } from '#store/log';
import {
  compare,
  dataFolder,
  headOf,
  liveAndDie,
  logOptions,
  type Model,
  segmentOfLeaf,
} from './log-workload.ts';

const callsMin = 200;

/** what machines went through */
export interface Endured {
  /** operations */
  calls: number;
  /** times that the power went */
  cuts: number;
}

/**
 * One machine's history: it works, dies, recovers (and dies while recovering), several times over.
 *
 * @param wrap puts a mistake between the log and the machine
 * @throws where something acknowledged is lost, or something is there in part
 */
export const history = async (
  seed: number,
  wrap: (machine: SimFs) => Io = (machine) => machine,
): Promise<Endured> => {
  const numbers = randomNumbers(seed);
  const model: Model = { attempts: [] };
  let [calls, cuts] = [0, 0];
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
  let machine = new SimFs(nextOptions());
  while (calls < callsMin) {
    const end = numbers() % 4 === 0 ? 'kill' : 'power';
    const next = await liveAndDie(machine, wrap(machine), model, numbers, { deathAt, end }, nextOptions);
    calls += machine.calls;
    cuts += end === 'power' ? 1 : 0;
    machine = next;
  }
  // What a last recovery finds is there for good: it stays through a cut right after, and a second recovery changes nothing (I5).
  const quiet = (): SimFsOptions => ({ seed: numbers() });
  const last = machine.cutPower(quiet());
  const log = await openLog(logOptions(wrap(last), [headOf(model, 'a witness')]));
  assert(log.kind === 'log', log.kind === 'refused' ? log.error.message : '');
  await compare(log, model, last);
  await log.close();
  await checkSegments({
    io: last,
    folder: dataFolder,
    shard: 7,
    live: false,
    certain: { seq: log.nextSeq - 1, leaves: log.generation === 1 ? log.nextLeafIndex : 0 },
    deviation: ({ file, offset, what }) => assert.fail(`the checker finds in ${file} at ${offset}: ${what}`),
    segmentOfLeaf,
  });
  const before = last.contents();
  const after = last.cutPower(quiet());
  const again = await openLog(logOptions(wrap(after), [headOf(model, 'a witness')]));
  assert(again.kind === 'log');
  await compare(again, model, after);
  assert.equal(again.nextSeq, log.nextSeq);
  await again.close();
  assert.deepEqual(after.contents(), before, 'recovery after recovery changes nothing (I5)');
  return { calls, cuts: cuts + 2 };
};

/** Runs histories one after the other. @throws with the seed of the first that goes wrong */
export const histories = async (
  firstSeed: number,
  count: number,
  wrap?: (machine: SimFs) => Io,
): Promise<Endured> => {
  const all: Endured = { calls: 0, cuts: 0 };
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    try {
      const { calls, cuts } = await history(seed, wrap);
      all.calls += calls;
      all.cuts += cuts;
    } catch (error) {
      const repeat = `node test/faults/log-histories.ts ${seed} 1`;
      throw new Error(`seed ${seed}: ${(error as Error).message} (repeat: ${repeat})`, { cause: error });
    }
  }
  return all;
};

// Started by itself it costs half: the test runner watches every promise.
if (import.meta.main) {
  const [firstSeed = '1', count = '1'] = process.argv.slice(2);
  process.stdout.write(`${JSON.stringify(await histories(Number(firstSeed), Number(count)))}\n`);
}
