import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalBytes, utf8 } from '#base/bytes';
import { silentLogger } from '#base/logger';
import { openAccessGate } from '#services/access';
import { createInbound, type LocalTransaction } from '#services/inbound';
import { createImapLogin } from '#services/mailboxes';
import { openWriter, type Writer } from '#services/writer';
import { openBodyReaders } from '#store/bodies';
import { type SimCall, SimFs } from '#store/durable';
import type { MailIndex } from '#store/index';
import { checkLargeFile, copyLargeFile, openSpool } from '#store/large';
import { createMemoryDirectory, createMemoryIndex } from '#store/memory';
import { chunkBytes, sha256 } from '#store/segments';
import { addPeople, dataFolder, seal, startMachine } from './faults/writer-machine.ts';

// Bodies in files of their own, on a simulated machine: what is refused, what is removed and when, what a reader reads.

const letter = (lengthBytes: number): Uint8Array =>
  utf8(`Subject: large\r\n\r\n${'x'.repeat(Math.max(0, lengthBytes - 18))}`);

interface Machine {
  io: SimFs;
  writer: Writer;
  account: string;
}

const machine = async (io = new SimFs({ seed: 1 })): Promise<Machine> => {
  const { writer } = await startMachine(io);
  assert(writer.kind === 'writer');
  if (writer.index.accounts().length === 0) await addPeople(writer, ['ann']);
  const verdict = await writer.resolve('ann@fengni.test');
  assert(verdict.kind === 'accepted');
  return { io, writer, account: verdict.recipients[0]?.account ?? '' };
};

const recipients = (account: string) => [{ account, address: 'ann@fengni.test' }];
const filesIn = (io: SimFs, sub: string): string[] =>
  [...io.contents(dataFolder).keys()].filter((name) => name.startsWith(`${dataFolder}/${sub}/`));

const deliverLarge = async ({ io, writer, account }: Machine, octets: Uint8Array) => {
  const { message, copies } = await seal(io, octets, recipients(account));
  assert(message.ownFile !== null);
  const outcome = await writer.deliver(message, copies);
  assert(outcome.kind === 'done');
  return { id: outcome.id, message, copies };
};

const readAll = async (
  io: SimFs,
  index: MailIndex,
  id: string,
  start = 0,
  end = Infinity,
): Promise<Uint8Array> => {
  const bodies = openBodyReaders({ io, folder: dataFolder, shard: 0 });
  try {
    const row = index.messageById(id);
    assert(row !== null);
    const body = await bodies.message(row);
    const pieces: Uint8Array[] = [];
    for await (const piece of body.read(start, Math.min(end, body.sizeBytes))) pieces.push(piece.slice());
    return Buffer.concat(pieces);
  } finally {
    await bodies.close();
  }
};

test('the file of a body is renamed and its folders are synced before its group is written (FORMATS §2)', async () => {
  const calls: SimCall[] = [];
  const io = new SimFs({
    seed: 3,
    fault: (call) => {
      calls.push(call);
      return null;
    },
  });
  const here = await machine(io);
  calls.length = 0;
  await deliverLarge(here, letter(5_000));
  const steps = calls
    .filter(({ operation, path }) => /^(rename|sync-folder)$/.test(operation) || path.includes('/segments/'))
    .map(
      ({ operation, path }) =>
        `${operation} ${path.replace(/-[0-9a-f]{32}$/, '').slice(dataFolder.length + 1)}`,
    )
    .filter((step) => !step.startsWith('open') && !step.startsWith('stat'));
  assert.deepEqual(steps.slice(0, 3), ['rename spool/mx', 'sync-folder large', 'sync-folder spool']);
  assert.match(steps[3] ?? '', /^write segments\//);
});

test('what the writer does not take leaves no file and touches no other: a false length, a name that is none, an id in use', async () => {
  const here = await machine();
  const { io, writer, account } = here;
  const first = await deliverLarge(here, letter(3_000));
  const before = io.contents(dataFolder).get(`${dataFolder}/large/${first.id}.flarge`);
  const next = await seal(io, letter(4_000), recipients(account));
  assert(next.message.ownFile !== null);
  const { spoolName, sha256: hash } = next.message.ownFile;
  for (const changed of [
    { ...next.message, storedOctetsBytes: next.message.storedOctetsBytes + 1 },
    { ...next.message, ownFile: { spoolName: `../large/${first.id}.flarge`, sha256: hash } },
    { ...next.message, ownFile: { spoolName: '../index.db', sha256: hash } },
    { ...next.message, ownFile: { spoolName: `mx-${'0'.repeat(32)}`, sha256: hash } },
    { ...next.message, id: first.id },
  ]) {
    const outcome = await writer.deliver(changed, next.copies);
    assert.equal(outcome.kind, 'refused');
    assert.deepEqual(filesIn(io, 'large'), [`${dataFolder}/large/${first.id}.flarge`]);
    assert.deepEqual(filesIn(io, 'spool'), [`${dataFolder}/spool/${spoolName}`]);
  }
  assert.deepEqual(io.contents(dataFolder).get(`${dataFolder}/large/${first.id}.flarge`), before);

  // Taken and then refused by the decision: the account is not there.
  const stranger = await seal(io, letter(4_000), [{ account: 'anobody', address: 'x@fengni.test' }]);
  assert.equal((await writer.deliver(stranger.message, stranger.copies)).kind, 'refused');
  assert.deepEqual(filesIn(io, 'large'), [`${dataFolder}/large/${first.id}.flarge`]);
});

test('a message may come twice at once: one is stored, whole', async () => {
  const here = await machine();
  const octets = letter(6_000);
  const { message, copies } = await seal(here.io, octets, recipients(here.account));
  const outcomes = await Promise.all([
    here.writer.deliver(message, copies),
    here.writer.deliver(message, copies),
  ]);
  assert.deepEqual(outcomes.map(({ kind }) => kind).sort(), ['done', 'refused']);
  assert.ok(equalBytes(await readAll(here.io, here.writer.index, message.id), octets));
});

test('a range costs its chunks: the rest of a large body is not read', async () => {
  const here = await machine();
  const octets = letter(10 * chunkBytes);
  const { id } = await deliverLarge(here, octets);
  const reads: SimCall[] = [];
  const io = here.io.killProcess({
    seed: 9,
    fault: (call) => {
      if (call.operation === 'read' && call.path.includes('/large/')) reads.push(call);
      return null;
    },
  });
  const { writer } = await machine(io);
  reads.length = 0;
  const at = 7 * chunkBytes + 10;
  assert.ok(equalBytes(await readAll(io, writer.index, id, at, at + 100), octets.subarray(at, at + 100)));
  assert.equal(reads.length, 2, 'the nonce and one chunk');
});

test('ERASED: the file goes after the key slot is destroyed; after a cut in between the next start removes it', async () => {
  const order: string[] = [];
  let cut: SimFs | null = null;
  const io: SimFs = new SimFs({
    seed: 5,
    fault: ({ operation, path }) => {
      if (operation === 'data-sync' && path.includes('/keys/')) order.push('keys');
      if (operation === 'remove' && path.includes('/large/')) {
        order.push('file');
        cut ??= io.wouldSurvive({ seed: 11 });
      }
      return null;
    },
  });
  const here = await machine(io);
  const gone = await deliverLarge(here, letter(5_000));
  const kept = await deliverLarge(here, letter(5_100));
  const keptFile = `${dataFolder}/large/${kept.id}.flarge`;
  const row = here.writer.index.messageById(gone.id);
  assert(row !== null);
  order.length = 0;
  await here.writer.queue.submit({
    accounts: [],
    reads: 'rows',
    bytes: 1_000,
    decide: ({ draft }) => {
      draft.erased([row.key], 'purged', [gone.id]);
      return { kind: 'done' };
    },
  });
  for (let turns = 0; filesIn(io, 'large').length > 1; turns++) {
    assert.ok(turns < 1_000, 'the file of an erased message is removed');
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(order.slice(-2), ['keys', 'file']);
  assert.deepEqual(filesIn(io, 'large'), [keptFile]);

  const survivor = cut as SimFs | null;
  assert(survivor !== null);
  assert.equal(filesIn(survivor, 'large').length, 2, 'the power went before the file did');
  const again = await machine(survivor);
  await again.writer.swept;
  assert.deepEqual(filesIn(survivor, 'large'), [keptFile]);
});

test('a file that the index does not know is kept when a frame names it, and removed when none does', async () => {
  const here = await machine();
  const { id } = await deliverLarge(here, letter(5_000));
  const stray = `${'a'.repeat(26)}`;
  const io = here.io.killProcess({ seed: 8 });
  const file = await io.open(`${dataFolder}/large/${stray}.flarge`, 'create-new');
  await file.write([utf8('of a group that never was')], 0);
  await file.close();
  const writer = await openWriter({
    io,
    folder: dataFolder,
    shard: 0,
    hostname: 'mail.fengni.test',
    projections: () => {
      // Somebody changed the index: the message is hidden.
      const index = createMemoryIndex();
      const hidden = Object.create(index, {
        messageById: { value: (asked: string) => (asked === id ? null : index.messageById(asked)) },
      }) as MailIndex;
      return { index: hidden, directory: createMemoryDirectory() };
    },
    parse: async () => {
      const { createMessageParser } = await import('#services/mailstore');
      return createMessageParser().end();
    },
    sealer: { advance: async () => ({ kind: 'refused', reason: 'none' }) },
    knownHeads: [],
    logger: silentLogger,
    schedule: () => () => {},
    failed: (error) => {
      throw error;
    },
  });
  assert(writer.kind === 'writer');
  await writer.swept;
  assert.deepEqual(filesIn(io, 'large'), [`${dataFolder}/large/${id}.flarge`]);
});

test('a lost or changed file is damage of its message alone: it is named, never served, and a copy brings it back', async () => {
  const here = await machine();
  const octets = letter(5_000);
  const lost = await deliverLarge(here, octets);
  const other = await deliverLarge(here, letter(6_000));
  const path = `${dataFolder}/large/${lost.id}.flarge`;
  const whole = here.io.contents(dataFolder).get(path);
  assert(whole !== undefined);
  const facts = { id: lost.id, storedLength: whole.length, fileHash: sha256(whole) };
  assert.equal((await checkLargeFile(here.io, dataFolder, facts)).kind, 'good');

  for (const [name, change] of [
    ['hash', (octets: Uint8Array) => octets.map((octet, at) => (at === 3_000 ? octet ^ 1 : octet))],
    ['length', (octets: Uint8Array) => octets.subarray(0, -1)],
    ['length', (octets: Uint8Array) => Buffer.concat([octets, utf8('x')])],
    ['missing', null],
  ] as const) {
    const io = here.io.wouldSurvive({ seed: 12 });
    if (change === null) await io.remove(path);
    else io.tamper(path, change);
    assert.equal((await checkLargeFile(io, dataFolder, facts)).kind, name);
    // The projections are made anew: the others' mail is there all the same.
    const again = await machine(io);
    await assert.rejects(readAll(io, again.writer.index, lost.id), /frame-damaged|payload-damaged/);
    assert.equal((await readAll(io, again.writer.index, other.id)).length, 6_000);

    const copy = '/copy';
    await io.makeFolder(copy);
    await io.makeFolder(`${copy}/large`);
    assert.equal((await copyLargeFile(io, dataFolder, copy, facts)).kind, 'missing');
    const file = await io.open(`${copy}/large/${lost.id}.flarge`, 'create-new');
    await file.write([whole.map((octet, at) => (at === 9 ? octet ^ 1 : octet))], 0);
    assert.equal(
      (await copyLargeFile(io, dataFolder, copy, facts)).kind,
      'hash',
      'a copy that is damaged too',
    );
    await file.write([whole], 0);
    await file.close();
    assert.equal((await copyLargeFile(io, dataFolder, copy, facts)).kind, 'good');
    assert.ok(equalBytes(await readAll(io, again.writer.index, lost.id), octets));
    assert.equal(filesIn(io, 'large').length, 2, 'no temporary file stays');
  }
});

const local: LocalTransaction = {
  peer: null,
  helo: null,
  protocol: 'LOCAL',
  tls: null,
  uid: 1000,
  msgSalt: null,
  mailFrom: 'bo@example.org',
  parameters: ['BODY=8BITMIME'],
};

test('inbound: the budget counts memory alone, and a nearly full disk refuses in time while the rest goes on', async () => {
  const here = await machine();
  const { io, writer, account } = here;
  let isFull = false;
  const inbound = createInbound({
    writer,
    hostname: 'mail.fengni.test',
    origin: () => 'mail.fengni.test/fengni/s0/g1',
    clock: io.clock,
    random: io.random,
    logger: silentLogger,
    large: { spool: openSpool({ io, folder: dataFolder, owner: 'mx' }) },
    heldBytesMax: 600_000,
    isDiskNearlyFull: () => isFull,
  });
  const to = [{ address: 'ann@fengni.test', key: account, dsn: null }];
  const send = async (lengthBytes: number, during: (sent: number) => void = () => {}) => {
    const delivery = inbound.begin(local, to);
    const octets = letter(lengthBytes);
    for (let at = 0; at < octets.length; at += 50_000) {
      await delivery.write(octets.slice(at, at + 50_000));
      during(at);
    }
    return delivery;
  };

  const large = await (await send(1_500_000)).finish();
  assert.equal(large.kind, 'accepted', 'larger than the budget: it is in the spool');

  const half = await send(400_000);
  half.abort();
  for (let turns = 0; filesIn(io, 'spool').length > 0; turns++) {
    assert.ok(turns < 1_000, 'the spool file of an abandoned message is removed');
    await new Promise((resolve) => setImmediate(resolve));
  }

  const stopped = await send(900_000, (sent) => {
    if (sent >= 500_000) isFull = true;
  });
  const outcome = await stopped.finish();
  assert.deepEqual(
    [outcome.kind, 'code' in outcome && outcome.code, 'enhanced' in outcome && outcome.enhanced],
    ['refused', 452, '4.3.1'],
  );
  assert.deepEqual(filesIn(io, 'spool'), []);
  const verdict = await inbound.recipient(local, 'ann@fengni.test');
  assert.deepEqual([verdict.kind, 'code' in verdict && verdict.code], ['refused', 452]);
  // What was promised is read, and deleting goes on.
  assert(large.kind === 'accepted');
  assert.equal((await readAll(io, writer.index, large.id)).length, 1_500_000);
  const inbox = writer.index.mailboxByName(account, 'INBOX');
  const request = { account, mailbox: inbox?.id ?? '', uids: '1', origin: '' };
  await writer.changeFlags({ ...request, mode: 'add', flags: ['\\Deleted'] });
  assert.equal((await writer.expunge({ ...request, deletedOnly: true })).kind, 'done');
  isFull = false;
  assert.equal((await (await send(300_000)).finish()).kind, 'accepted', 'with room again mail flows');
});

test('inbound: a disk without room in the middle of a large message is 452, and its file is removed', async () => {
  const first = await machine(new SimFs({ seed: 21, capacityBytes: 900_000 }));
  const { io, writer, account } = first;
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
  const delivery = inbound.begin(local, [{ address: 'ann@fengni.test', key: account, dsn: null }]);
  for (let sent = 0; sent < 2_000_000; sent += 50_000) await delivery.write(new Uint8Array(50_000).fill(65));
  const outcome = await delivery.finish();
  assert.deepEqual([outcome.kind, 'code' in outcome && outcome.code], ['refused', 452]);
  assert.deepEqual(filesIn(io, 'spool'), []);
  assert.deepEqual(filesIn(io, 'large'), []);
});

test('APPEND: a nearly full disk refuses before the literal, and a large message that it meets on the way', async () => {
  const here = await machine();
  const { io, writer, account } = here;
  let isFull = false;
  const imap = createImapLogin({
    login: { verify: async () => ({ kind: 'granted', account, key: 'ann@fengni.test' }) },
    index: writer.index,
    gate: openAccessGate({ io, folder: dataFolder, shard: 0, damaged: () => {} }),
    writer,
    clock: io.clock,
    random: io.random,
    logger: silentLogger,
    large: { spool: openSpool({ io, folder: dataFolder, owner: 'access' }) },
    isDiskNearlyFull: () => isFull,
  });
  const granted = await imap.verify({
    authorizationId: '',
    authenticationId: 'ann@fengni.test',
    password: '',
    connection: {
      peer: { address: '192.0.2.1', port: 1 },
      local: { address: '192.0.2.2', port: 993 },
      tls: null,
    },
  } as unknown as Parameters<typeof imap.verify>[0]);
  assert(granted.kind === 'granted');
  const facts = { flags: [], internalDateMs: null, sizeBytes: 700_000, binary: false };
  const append = async (during: (sent: number) => void = () => {}) => {
    const begun = await granted.account.append('INBOX');
    assert(begun.kind === 'ready');
    const taken = await begun.sink.begin(facts);
    if (taken.kind === 'refused') return taken;
    const octets = letter(facts.sizeBytes);
    for (let at = 0; at < octets.length; at += 50_000) {
      await begun.sink.write(octets.slice(at, at + 50_000));
      during(at);
    }
    return begun.sink.commit();
  };
  assert.equal((await append()).kind, 'done');
  const met = await append((sent) => {
    if (sent > 500_000) isFull = true;
  });
  assert.equal(met.kind, 'refused');
  assert.deepEqual(filesIn(io, 'spool'), []);
  assert.equal((await append()).kind, 'refused');
  isFull = false;
  assert.equal((await append()).kind, 'done');
  assert.equal(filesIn(io, 'large').length, 2);
  imap.close();
});
