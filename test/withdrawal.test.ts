import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '#base/bytes';
import { FengniError } from '#base/errors';
import { type Logger, silentLogger } from '#base/logger';
import { createInbound, type LocalTransaction } from '#services/inbound';
import type { Writer } from '#services/writer';
import { type Io, SimFs } from '#store/durable';
import { openSpool } from '#store/large';
import { addPeople, dataFolder, seal, startMachine } from './faults/writer-machine.ts';
import { eventually } from './support/line-client.ts';

// WIRE: a message that has not reached the writer's group within 60 s of the final dot is withdrawn and gets 451; one that is in a group
// gets what the group gets, however late. The disk of these tests stands still when they say so.

/** The same files; data syncs wait while the disk is held. */
const holding = (io: SimFs): { io: Io; hold(): () => void; syncs(): number } => {
  let gate: Promise<void> | null = null;
  let syncs = 0;
  const held: Io = {
    open: async (name, how) => {
      const file = await io.open(name, how);
      const dataSync = file.dataSync.bind(file);
      file.dataSync = async () => {
        syncs += 1;
        await gate;
        await dataSync();
      };
      return file;
    },
    readFile: (name) => io.readFile(name),
    readFolder: (name) => io.readFolder(name),
    makeFolder: (name) => io.makeFolder(name),
    rename: (from, to) => io.rename(from, to),
    remove: (name) => io.remove(name),
    stat: (name) => io.stat(name),
    syncFolder: (name) => io.syncFolder(name),
    clock: io.clock,
    random: io.random,
  };
  return {
    io: held,
    syncs: () => syncs,
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return () => {
        gate = null;
        resolve();
      };
    },
  };
};

const machine = async (logger: Logger = silentLogger) => {
  const io = new SimFs({ seed: 1 });
  const disk = holding(io);
  const { writer } = await startMachine(disk.io, { lookEveryMs: 1, logger });
  assert(writer.kind === 'writer');
  await addPeople(writer, ['ann']);
  const verdict = await writer.resolve('ann@fengni.test');
  assert(verdict.kind === 'accepted');
  const account = verdict.recipients[0]?.account ?? '';
  const letter = (text: string, aboveBytes?: number) =>
    seal(
      io,
      utf8(`Subject: ${text}\r\n\r\n${'x'.repeat(5_000)}\r\n`),
      [{ account, address: 'ann@fengni.test' }],
      dataFolder,
      aboveBytes ?? 100_000,
    );
  return { io, disk, writer, account, letter };
};

/** What becomes of a promise, without waiting for it. */
const watched = <T>(promise: Promise<T>): { state: string } => {
  const seen = { state: 'waits' };
  promise.then(
    (outcome) => {
      seen.state = (outcome as { kind: string }).kind;
    },
    (error: unknown) => {
      seen.state = error instanceof FengniError ? error.code : String(error);
    },
  );
  return seen;
};

const storedIds = (writer: Writer): string[] => writer.index.messages(0, 100).map(({ id }) => id);

const inGroup = async (disk: { syncs(): number }, before: number): Promise<void> =>
  eventually(() => disk.syncs() > before, 'a group is being synced');

test('while a group does not end, whoever waits behind it is withdrawn after 60 s, not when it ends; the group gets what it gets', async () => {
  const lines: unknown[] = [];
  const logger = {
    ...silentLogger,
    warn: (event: string, fields: unknown) => void lines.push([event, fields]),
  };
  const { io, disk, writer, letter } = await machine(logger);
  const [first, second, third] = [await letter('first'), await letter('second'), await letter('third')];
  const release = disk.hold();
  const before = disk.syncs();
  const taken = watched(writer.deliver(first.message, first.copies));
  await inGroup(disk, before);
  const late = watched(writer.deliver(second.message, second.copies));
  io.advance(30_000);
  const later = watched(writer.deliver(third.message, third.copies));
  io.advance(30_000);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(
    [taken.state, late.state, later.state],
    ['waits', 'waits', 'waits'],
    'not before its time',
  );
  io.advance(1);
  await eventually(() => late.state === 'writer-late', 'it is withdrawn while the disk stands still');
  assert.deepEqual([taken.state, later.state], ['waits', 'waits']);
  assert.equal(writer.queue.stats().late, 1);
  assert.deepEqual(lines, [['limit met', { limit: 'writer-late', count: 1 }]]);
  io.advance(20_000);
  release();
  await eventually(() => taken.state === 'done' && later.state === 'done', 'the others are stored');
  assert.deepEqual(storedIds(writer), [first.message.id, third.message.id]);
  await writer.stop();
});

test('the time counts from the final dot: what waited elsewhere has so much less', async () => {
  const { io, disk, writer, letter } = await machine();
  const [first, second] = [await letter('first'), await letter('second')];
  const release = disk.hold();
  const before = disk.syncs();
  const taken = watched(writer.deliver(first.message, first.copies));
  await inGroup(disk, before);
  const completeMs = io.clock.monotonicMs();
  io.advance(59_000);
  const late = watched(writer.deliver(second.message, second.copies, completeMs));
  io.advance(1_001);
  await eventually(() => late.state === 'writer-late', 'it is withdrawn');
  release();
  await eventually(() => taken.state === 'done', 'the first is stored');
  // One that comes too late is not taken by a writer that has nothing else to do either.
  const again = watched(writer.deliver(second.message, second.copies, io.clock.monotonicMs() - 60_001));
  await eventually(() => again.state === 'writer-late', 'it is withdrawn');
  assert.deepEqual(storedIds(writer), [first.message.id]);
  await writer.stop();
});

test('the file of a large message that is withdrawn is removed', async () => {
  const { io, disk, writer, letter } = await machine();
  const [first, second] = [await letter('first'), await letter('second', 2_000)];
  assert(second.message.ownFile !== null);
  const release = disk.hold();
  const before = disk.syncs();
  const taken = watched(writer.deliver(first.message, first.copies));
  await inGroup(disk, before);
  const late = watched(writer.deliver(second.message, second.copies, io.clock.monotonicMs() - 60_001));
  await eventually(() => late.state === 'writer-late', 'it is withdrawn');
  const files = (): string[] =>
    [...io.contents(dataFolder).keys()].filter((name) => name.includes('/large/'));
  await eventually(() => files().length === 0, 'its file is gone');
  release();
  await eventually(() => taken.state === 'done', 'the first is stored');
  await writer.stop();
});

test('the sender gets 451 for it and may try again; who is in the group gets 250 (WIRE, “Limits and replies”)', async () => {
  const { io, disk, writer, account } = await machine();
  const inbound = createInbound({
    writer,
    hostname: 'mail.fengni.test',
    origin: () => 'mail.fengni.test/fengni/s0/g1',
    clock: io.clock,
    random: io.random,
    logger: silentLogger,
    large: { spool: openSpool({ io, folder: dataFolder, owner: 'mx' }) },
    heldBytesMax: 2 ** 22,
  });
  const local: LocalTransaction = {
    peer: null,
    helo: null,
    protocol: 'LOCAL',
    tls: null,
    uid: 0,
    msgSalt: null,
    mailFrom: 'a@b.example',
    parameters: [],
  };
  const send = async (text: string) => {
    const delivery = inbound.begin(local, [{ address: 'ann@fengni.test', key: account, dsn: null }]);
    await delivery.write(utf8(`Subject: ${text}\r\n\r\nx\r\n`));
    return delivery.finish();
  };
  const release = disk.hold();
  const before = disk.syncs();
  const first = send('first');
  await inGroup(disk, before);
  const second = send('second');
  await new Promise((resolve) => setTimeout(resolve, 20));
  io.advance(60_001);
  const outcome = await second;
  assert.deepEqual(
    [outcome.kind, 'code' in outcome && outcome.code, 'enhanced' in outcome && outcome.enhanced],
    ['refused', 451, '4.3.0'],
  );
  io.advance(600_000);
  release();
  assert.equal((await first).kind, 'accepted');
  assert.equal((await send('second again')).kind, 'accepted');
  await writer.stop();
});
