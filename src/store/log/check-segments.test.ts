import assert from 'node:assert/strict';
import { test } from 'node:test';
import { latin1, utf8 } from '#base/bytes';
import { randomNumbers, SimFs } from '#store/durable';
import {
  attemptGroup,
  compare,
  dataFolder,
  logOptions,
  type Model,
  segmentOfLeaf,
} from '../../../test/faults/log-workload.ts';
import { type CheckSummary, checkSegments, type Deviation, newGeneration, openLog } from './index.ts';

const check = async (
  machine: SimFs,
  live = false,
  certain = { seq: 0, leaves: 0 },
): Promise<{ found: Deviation[]; summary: CheckSummary }> => {
  const found: Deviation[] = [];
  const deviation = (one: Deviation): void => {
    found.push(one);
  };
  const summary = await checkSegments({
    io: machine,
    folder: dataFolder,
    shard: 7,
    live,
    certain,
    deviation,
    segmentOfLeaf,
  });
  return { found, summary };
};

const written = async (
  groups: number,
  seed = 5,
  limits = {},
  erasing = true,
): Promise<{ machine: SimFs; model: Model }> => {
  const machine = new SimFs({ seed });
  const model: Model = { attempts: [] };
  const log = await openLog({
    ...logOptions(machine),
    ...(Object.keys(limits).length > 0 ? { limits } : {}),
  });
  assert(log.kind === 'log');
  const numbers = randomNumbers(seed);
  for (let count = 0; count < groups; count++) await attemptGroup(log, model, numbers, erasing).committed;
  await log.close();
  return { machine, model };
};

const segmentsOf = (machine: SimFs): string[] =>
  [...machine.contents(dataFolder).keys()].filter((path) => path.endsWith('.fseg')).sort();

test('void octets that a power cut left behind a SEAL belong to the file as it is named; later ones do not', async () => {
  const limits = { segmentFramesMax: 1 };
  const { machine } = await written(1, 5, limits, false);
  const sealed = segmentsOf(machine).at(-1) as string;
  const append = (): void =>
    machine.tamper(sealed, (octets) => Uint8Array.from([...octets, ...new Array(1_024).fill(7)]));
  const [seal] = (await check(machine)).summary.segments === 1 ? [machine.contents().get(sealed)] : [];
  assert(seal !== undefined && latin1(seal).split('"count":').length === 3, 'the only group holds a SEAL');
  append();
  const log = await openLog({ ...logOptions(machine), limits });
  assert(log.kind === 'log');
  await attemptGroup(log, { attempts: [] }, randomNumbers(1), false).committed;
  await log.close();
  assert(segmentsOf(machine).length > 1);
  assert.deepEqual((await check(machine)).found, []);
  append();
  assert.deepEqual(
    (await check(machine)).found.map(({ what }) => what.replace(/frame \d+/, 'frame N')),
    ['SHA-256 of the file is not the one in the segment leaf of frame N', 'octets behind the SEAL'],
  );
});

test('a good log has no deviation, also behind void ends and while it is written', async () => {
  const { machine } = await written(24);
  const { found, summary } = await check(machine);
  assert.deepEqual(found, []);
  assert(summary.segments > 2 && summary.keySlots > 10 && summary.erased > 0);
  assert.equal(summary.unfinishedOctets, 0);
  // A torn end is void until the next start, and then allowed by the next file alone.
  const newest = segmentsOf(machine).at(-1) as string;
  machine.tamper(newest, (octets) => Uint8Array.from([...octets, ...new Array(700).fill(7)]));
  const torn = await check(machine);
  assert.deepEqual(torn.found, []);
  assert(torn.summary.unfinishedOctets >= 700);
  const log = await openLog(logOptions(machine));
  assert(log.kind === 'log');
  await attemptGroup(log, { attempts: [] }, randomNumbers(1), false).committed;
  assert.deepEqual((await check(machine, true)).found, []);
  await log.close();
  const after = await check(machine);
  assert.deepEqual(after.found, []);
  assert.equal(after.summary.unfinishedOctets, 0);
});

test('one flipped bit anywhere in segments or key files is reported', async () => {
  const { machine } = await written(9);
  const numbers = randomNumbers(99);
  const files = [...machine.contents(dataFolder)].filter(([path]) => /\.f(seg|keys)$/.test(path));
  for (const [path, octets] of files) {
    // Every octet of the header's fields and of the first frame's headers, then others at random.
    const positions = [...Array(96).keys(), 480, 511, ...Array.from({ length: 232 }, (_, at) => 512 + at)];
    for (let count = 0; count < 60; count++) positions.push(numbers() % octets.length);
    for (const position of positions.filter(
      (at, index) => at < octets.length && (index % 4 === 0 || index > 329),
    )) {
      const mask = 1 << (numbers() % 8);
      const flip = (all: Uint8Array): Uint8Array => {
        all[position] = (all[position] as number) ^ mask;
        return all;
      };
      machine.tamper(path, flip);
      const { found, summary } = await check(machine);
      const noticed = found.length + summary.unfinishedOctets + summary.unfinishedSlots;
      assert(noticed > 0, `${path} at ${position}, bit ${mask}`);
      machine.tamper(path, flip);
    }
  }
  assert.deepEqual((await check(machine)).found, []);
});

test('a last group that is not whole is taken for one that never was, unless it is known to have been', async () => {
  const { machine } = await written(6, 5, { segmentBytesMax: 1e9 }, false);
  const segment = segmentsOf(machine)[0] as string;
  const good = await check(machine);
  machine.tamper(segment, (octets) => {
    octets[octets.length - 700] = (octets[octets.length - 700] as number) ^ 1;
    return octets;
  });
  const unknown = await check(machine);
  assert.deepEqual(unknown.found, []);
  assert(unknown.summary.unfinishedOctets > 0 && unknown.summary.lastSeq < good.summary.lastSeq);
  const known = await check(machine, false, { seq: good.summary.lastSeq, leaves: 0 });
  assert.equal(known.found[0]?.file, segment.slice(dataFolder.length + 1));
  const covered = await check(machine, false, { seq: 0, leaves: 1_000 });
  assert(covered.found.length > 0);
});

test('a missing, a swapped, a cut and an old segment are each named', async () => {
  const { machine } = await written(30);
  const [first, second, third, fourth] = segmentsOf(machine) as [string, string, string, string];
  const contents = machine.contents(dataFolder);
  const restore = (path: string): void =>
    machine.tamper(path, () => (contents.get(path) as Uint8Array).slice());
  const names = async (): Promise<string[]> => [
    ...new Set((await check(machine)).found.map(({ file }) => file)),
  ];
  const short = (path: string): string => path.slice(dataFolder.length + 1);

  machine.tamper(second, () => (contents.get(third) as Uint8Array).slice());
  assert((await names()).includes(short(second)));
  restore(second);

  machine.tamper(second, (octets) => octets.slice(0, octets.length - 512));
  const cut = await check(machine);
  assert(cut.found.some(({ what }) => /SHA-256 of the file|is not at the end of/.test(what)));
  restore(second);

  await machine.rename(second, `${second}.elsewhere`);
  const missing = await check(machine);
  assert(
    missing.found.some(
      ({ file, what }) => file === short(third) && /a segment between is missing/.test(what),
    ),
  );
  const refused = await openLog(logOptions(machine));
  assert(refused.kind === 'refused' && refused.error.code === 'log-damaged');
  await machine.rename(`${second}.elsewhere`, second);

  await machine.remove(first);
  const begun = await openLog(logOptions(machine));
  assert(begun.kind === 'refused');
  assert.match(begun.error.subject, /the log begins with seq \d+/);
  assert((await check(machine)).found.length > 0);
  assert(fourth !== undefined);
});

test('a roll-back is told from a torn end, and a new generation accepts it with numbers never given out', async () => {
  const { machine, model } = await written(12, 11, { segmentBytesMax: 1e9 });
  const segment = segmentsOf(machine)[0] as string;
  const leaves = model.attempts.flatMap((attempt) => attempt.leaves).length;
  const head = { source: 'a witness', generation: 1, size: leaves, root: null };
  const whole = machine.contents().get(segment) as Uint8Array;
  machine.tamper(segment, (octets) => octets.slice(0, octets.length - 100));

  const refused = await openLog(logOptions(machine, [head]));
  assert(refused.kind === 'refused');
  assert.match(
    refused.error.subject,
    /cannot be believed; the log holds \d+ leaves of generation 1, up to seq \d+; .* a witness knows \d+/,
  );
  assert.equal(refused.head, head);
  assert(whole.length > 0);

  const options = {
    ...logOptions(machine, [head]),
    gapLeaf: (info: { before: number; after: number }) => utf8(`gap ${info.before} ${info.after}`),
  };
  const info = await newGeneration(options);
  assert.equal(info.generation, 2);
  assert.equal(info.after, info.before + 1 + 2 ** 32);
  assert.equal(info.lost.length, 1);
  const log = await openLog(logOptions(machine, [head]));
  assert(log.kind === 'log');
  assert.equal(log.generation, 2);
  assert(log.nextSeq > info.after);
  const numbers = randomNumbers(3);
  await attemptGroup(log, { attempts: [] }, numbers, false).committed;
  await log.close();
  const again = await openLog(logOptions(machine, [head]));
  assert(again.kind === 'log');
  const seqs: number[] = [];
  for await (const frame of again.scan(1)) seqs.push(frame.head.record.seq);
  assert.equal(seqs[info.before - 1], info.before);
  assert.equal(seqs[info.before], info.after);
  await again.close();
  assert.deepEqual((await check(machine)).found, []);
});

test('a new generation keeps what stands behind damage', async () => {
  const { machine, model } = await written(10, 21, { segmentBytesMax: 1e9 });
  const segment = segmentsOf(machine)[0] as string;
  const third = model.attempts.slice(0, 3).flatMap(({ recordHashes }) => recordHashes).length;
  const reader = await openLog({ ...logOptions(machine), limits: { segmentBytesMax: 1e9 } });
  assert(reader.kind === 'log');
  let offset = 0;
  for await (const frame of reader.scan(third + 1)) {
    offset = frame.address.offset;
    break;
  }
  await reader.close();
  machine.tamper(segment, (octets) => {
    octets[offset + 110] = (octets[offset + 110] as number) ^ 4;
    return octets;
  });
  assert.equal((await openLog(logOptions(machine))).kind, 'refused');
  const info = await newGeneration({ ...logOptions(machine), gapLeaf: () => utf8('gap') });
  const gone = model.attempts[3]?.recordHashes.length as number;
  assert.deepEqual(
    info.lost.map(({ firstSeq, lastSeq }) => [firstSeq, lastSeq]),
    [[third + 1, third + gone]],
  );
  const log = await openLog(logOptions(machine));
  assert(log.kind === 'log');
  const records = new Set<string>();
  for await (const frame of log.scan(1)) records.add(latin1(frame.head.recordHash));
  const all = model.attempts.flatMap(({ recordHashes }) => recordHashes).length;
  // The gap's leaf, the segment leaf of the file before, and COMMIT are new.
  assert.equal(records.size, all - gone + 3);
  await log.close();
  const { found, summary } = await check(machine);
  assert.deepEqual(found, [], 'what was accepted as lost is no deviation');
  assert(summary.acceptedLosses > 0);
  await assert.rejects(compare(log, model, machine));
});
