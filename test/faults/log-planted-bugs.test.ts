import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalBytes, utf8 } from '#base/bytes';
import { type Io, type IoFile, randomNumbers, replaceFileDurable, SimFs } from '#store/durable';
import { openLog } from '#store/log';
import { histories } from './log-histories.ts';
import { attemptGroup, compare, dataFolder, logOptions, type Model } from './log-workload.ts';

/** An Io with some calls replaced. */
const changed = (machine: SimFs, change: Partial<Io>): Io => ({
  open: (path, how) => machine.open(path, how),
  readFile: (path) => machine.readFile(path),
  readFolder: (path) => machine.readFolder(path),
  makeFolder: (path) => machine.makeFolder(path),
  rename: (from, to) => machine.rename(from, to),
  remove: (path) => machine.remove(path),
  stat: (path) => machine.stat(path),
  syncFolder: (path) => machine.syncFolder(path),
  clock: machine.clock,
  random: machine.random,
  ...change,
});

const changedFile = (file: IoFile, change: Partial<IoFile>): IoFile => ({
  read: (into, position) => file.read(into, position),
  write: (pieces, position) => file.write(pieces, position),
  dataSync: () => file.dataSync(),
  sync: () => file.sync(),
  truncate: (size) => file.truncate(size),
  size: () => file.size(),
  close: () => file.close(),
  ...change,
});

const foundWithin = 100;

test('the simulated machine finds a folder that is not synced', async () => {
  const buggy = (machine: SimFs): Io => changed(machine, { syncFolder: async () => {} });
  await assert.rejects(histories(1, foundWithin, buggy), /I1|I7|rolled-back|damaged/);
});

test('the simulated machine finds an answer before the sync', async () => {
  const buggy = (machine: SimFs): Io =>
    changed(machine, {
      open: async (path, how) => {
        const file = await machine.open(path, how);
        return changedFile(file, {
          dataSync: async () => {
            file.dataSync().catch(() => {});
          },
        });
      },
    });
  await assert.rejects(histories(1, foundWithin, buggy), /I1|I7|rolled-back|damaged/);
});

test('the simulated machine finds a second sync after one that failed', async () => {
  const buggy = (machine: SimFs): Io =>
    changed(machine, {
      open: async (path, how) => {
        const file = await machine.open(path, how);
        return changedFile(file, {
          dataSync: async () => {
            try {
              await file.dataSync();
            } catch (error) {
              if (machine.isOff) throw error;
              const again = await machine.open(path, 'write');
              await again.dataSync();
              await again.close();
            }
          },
        });
      },
    });
  // Only histories in which a sync fails can show it.
  await assert.rejects(histories(1, 10 * foundWithin, buggy), /I1|I7|rolled-back|damaged/);
});

/** Replaces a file again and again until the power goes. @returns whether what is found afterwards is one of the two whole contents */
const replacing = async (seed: number, wrap: (machine: SimFs) => Io): Promise<boolean> => {
  const numbers = randomNumbers(seed);
  const cutAt = numbers() % 60;
  const machine = new SimFs({ seed, fault: ({ index }) => (index === cutAt ? 'power-cut' : null) });
  let durable = utf8('');
  let next = durable;
  try {
    for (let version = 0; ; version++) {
      next = utf8(`version ${version} `.repeat(200));
      await replaceFileDurable(wrap(machine), '/state', [next]);
      durable = next;
    }
  } catch {}
  const after = machine.cutPower({ seed: numbers() });
  const found = after.contents().get('/state') ?? utf8('');
  return equalBytes(found, durable) || equalBytes(found, next);
};

test('a replaced file is old or new after a cut at any operation; a rename before the sync is found', async () => {
  const buggy = (machine: SimFs): Io =>
    changed(machine, {
      open: async (path, how) => changedFile(await machine.open(path, how), { sync: async () => {} }),
    });
  let found = 0;
  for (let seed = 1; seed <= 300; seed++) {
    assert(await replacing(seed, (machine) => machine), `seed ${seed}`);
    if (!(await replacing(seed, buggy))) found += 1;
  }
  assert(found > 0, 'the mistake was not found');
});

test('a bad frame in the middle is refused with exact words; a recovery that cuts it away is found', async () => {
  const model: Model = { attempts: [] };
  const machine = new SimFs({ seed: 1 });
  const log = await openLog({ ...logOptions(machine), limits: {} });
  assert(log.kind === 'log');
  const numbers = randomNumbers(1);
  const starts: number[] = [];
  const segment = `${dataFolder}/segments/0000000000000001.0.fseg`;
  for (let count = 0; count < 8; count++) {
    starts.push(machine.contents().get(segment)?.length ?? 512);
    // With an erasure behind the cut the destroyed slot would give it away.
    await attemptGroup(log, model, numbers, false).committed;
  }
  await log.close();
  const middle = starts[4] as number;
  machine.tamper(segment, (octets) => {
    octets[middle + 140] = (octets[middle + 140] as number) ^ 1;
    return octets;
  });
  const before = machine.contents();

  const refused = await openLog(logOptions(machine));
  assert(refused.kind === 'refused');
  assert.equal(refused.error.code, 'log-damaged');
  assert.match(
    refused.error.subject,
    new RegExp(`at offset ${middle}: frame \\d+: checksum .*; this is no torn end: `),
  );
  assert.match(refused.error.remedy, /fengni log new-generation/);
  assert.equal(refused.error.exitStatus, 3);
  assert.deepEqual(machine.contents(), before, 'a refusal changes nothing');

  machine.tamper(segment, (octets) => octets.slice(0, middle));
  const cutAway = await openLog(logOptions(machine));
  assert(cutAway.kind === 'log');
  await assert.rejects(compare(cutAway, model, machine), /an acknowledged group is missing/);
  await cutAway.close();
});
