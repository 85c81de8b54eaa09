import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { concat, equalBytes, fromHex, hex, latin1, utf8 } from '#base/bytes';
import { canonicalJson } from '#base/canonical-json';
import { type Io, nodeIo, randomNumbers, type SimCall, SimFs } from '#store/durable';
import {
  encodeCommitBody,
  encodeFrameHead,
  encodeSegmentHeader,
  type FrameRecord,
  frameTypes,
  type KeyRef,
  PayloadSealer,
  parseSegmentHeader,
  sealPayload,
  sha256,
} from '#store/segments';
import { CompactRange, leafHash } from '#trust/seal';
import {
  attemptGroup,
  compare,
  dataFolder,
  headOf,
  logOptions,
  type Model,
} from '../../../test/faults/log-workload.ts';
import {
  type Frame,
  type Log,
  newGeneration,
  openHead,
  openKeyReader,
  openLog,
  openSegmentReader,
  type Placed,
} from './index.ts';

const opened = async (io: Io, options: Partial<Parameters<typeof openLog>[0]> = {}): Promise<Log> => {
  const log = await openLog({ ...logOptions(io), ...options });
  assert(log.kind === 'log', log.kind === 'refused' ? log.error.message : '');
  return log;
};

const unlimited = { limits: { segmentBytesMax: 1e12, segmentFramesMax: 1e12, segmentAgeMsMax: 1e12 } };

const addRow = (log: Log, text: string): Promise<unknown> => {
  const group = log.beginGroup();
  group.add({
    type: 'ROW',
    critical: true,
    leaf: null,
    key: null,
    body: { kind: 'clear', octets: utf8(text) },
  });
  return log.commit(group);
};

const scanned = async (log: Log, from = 1): Promise<Frame[]> => {
  const frames: Frame[] = [];
  for await (const frame of log.scan(from)) frames.push(frame);
  return frames;
};

/** A machine with a log of some groups, and what was acknowledged. */
const filled = async (
  groups: number,
  seed: number,
  options = {},
): Promise<{ machine: SimFs; model: Model }> => {
  const machine = new SimFs({ seed });
  const model: Model = { attempts: [] };
  const log = await opened(machine, options);
  const numbers = randomNumbers(seed);
  for (let count = 0; count < groups; count++) await attemptGroup(log, model, numbers).committed;
  await log.close();
  return { machine, model };
};

test('on a real disk: a sealed message is found again by its address, by another process, whole and by ranges', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-log-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const options = { ...logOptions(nodeIo), ...unlimited, folder };
  const log = await openLog(options);
  assert(log.kind === 'log');
  const octets = randomBytes(200_000);
  const head = randomBytes(20_000);
  const fileKey = randomBytes(16);
  const sealer = new PayloadSealer(fileKey, randomBytes(16));
  const storedOctets = [
    ...sealer.write(octets.subarray(0, 99_999)),
    ...sealer.write(octets.subarray(99_999)),
  ];
  const summary = sealer.finish();
  storedOctets.push(...summary.pieces);
  const storedHead = sealPayload(fileKey, randomBytes(16), head);
  const group = log.beginGroup();
  const key = group.useKey(fileKey);
  const placed = group.add({
    type: 'MSG',
    critical: true,
    leaf: utf8('a leaf'),
    key,
    body: {
      kind: 'sealed',
      storedHead,
      storedOctets,
      bodyCommitment: sha256(head),
      storedHash: sealer.storedHash(storedHead),
    },
  });
  assert.deepEqual([placed.seq, placed.leafIndex], [1, 0]);
  const committed = await log.commit(group);
  assert.deepEqual(
    [committed.group, committed.firstSeq, committed.lastSeq, committed.leafCount],
    [1, 1, 2, 1],
  );

  const reader = openSegmentReader({ io: nodeIo, folder });
  const keys = openKeyReader({ io: nodeIo, folder, shard: 7 });
  const frame = await reader.readFrame(placed.address, placed.seq);
  assert.equal(latin1(frame.leaf), 'a leaf');
  const found = await keys.fileKey(frame.head.record.key as KeyRef);
  assert(found.kind === 'clear');
  assert(equalBytes(openHead(frame, found.fileKey), head));
  const body = await reader.openOctets(frame, found.fileKey, summary.chunkHashes);
  for (const [start, end] of [
    [0, 200_000],
    [65_535, 65_537],
    [199_999, 200_000],
  ] as const) {
    const pieces: Uint8Array[] = [];
    for await (const piece of body.range(start, end)) pieces.push(piece);
    assert(equalBytes(concat(pieces), octets.subarray(start, end)));
  }
  await assert.rejects(reader.readFrame(placed.address, 9), { code: 'frame-damaged', exitStatus: 1 });
  await log.close();
  const again = await openLog(options);
  assert(again.kind === 'log');
  assert.equal(again.nextSeq, 3);
  await again.close();

  const file = path.join(folder, 'segments', '0000000000000001.0.fseg');
  const raw = fs.readFileSync(file);
  raw[placed.address.offset + 250] = (raw[placed.address.offset + 250] as number) ^ 1;
  fs.writeFileSync(file, raw);
  // The cut of the head: the reader finds it without a key, or the AEAD does.
  await assert.rejects(
    async () => openHead(await reader.readFrame(placed.address, placed.seq), fileKey),
    (error: { code?: string }) => error.code === 'frame-damaged' || error.code === 'payload-damaged',
  );
  await reader.close();
  await keys.close();
});

test('a segment closes with SEAL in its last group, and the next group names its SHA-256 (FORMATS §2)', async () => {
  const { machine } = await filled(30, 8);
  const log = await opened(machine);
  const frames = await scanned(log);
  const files = [...machine.contents(`${dataFolder}/segments`)].sort(([a], [b]) => (a < b ? -1 : 1));
  assert(files.length >= 3);
  const leaves = frames.filter(({ leaf }) => latin1(leaf).startsWith('segment '));
  assert.equal(leaves.length >= files.length - 1, true);
  for (const [at, leaf] of leaves.entries()) {
    const [name, octets] = files[at] as [string, Uint8Array];
    const [, number, revision, digest, seq, index] = latin1(leaf.leaf).split(' ');
    assert(name.endsWith(`${String(number).padStart(16, '0')}.${revision}.fseg`));
    assert.equal(digest, hex(sha256(octets)));
    assert.deepEqual([Number(seq), Number(index)], [leaf.head.record.seq, leaf.head.record.leafIndex]);
    const before = frames[leaf.head.record.seq - 3] as Frame;
    assert.equal(before.head.record.type, frameTypes.SEAL);
  }
  await log.close();
});

test('an unclean end is never overwritten: the next segment says where the old one ends', async () => {
  const { machine, model } = await filled(3, 2, unlimited);
  const first = `${dataFolder}/segments/0000000000000001.0.fseg`;
  const end = machine.contents().get(first)?.length as number;
  machine.tamper(first, (octets) => concat([octets, new Uint8Array(1_000).fill(0xaa)]));
  const torn = machine.contents().get(first);
  const log = await opened(machine, unlimited);
  await compare(log, model, machine);
  await addRow(log, 'after');
  await log.close();
  assert.deepEqual(machine.contents().get(first), torn);
  const name = [...machine.contents(`${dataFolder}/segments`).keys()].sort().at(-1) as string;
  const header = parseSegmentHeader(machine.contents().get(name) as Uint8Array);
  assert(header.kind === 'header');
  assert.equal(header.header.prevEnd?.offset, end);
  assert.equal(header.header.firstSeq, (header.header.prevEnd?.seq ?? 0) + 1);
});

test('a damaged last group is a torn end, unless a head covers it (FORMATS §6.4)', async () => {
  const { machine, model } = await filled(4, 16, unlimited);
  const path = `${dataFolder}/segments/0000000000000001.0.fseg`;
  const whole = machine.contents().get(path) as Uint8Array;
  const lastStart = await (async () => {
    const log = await opened(machine, unlimited);
    const records = model.attempts.at(-1)?.recordHashes ?? [];
    const frame = (await scanned(log)).find(({ head }) => hex(head.recordHash) === records[0]);
    await log.close();
    return frame?.address.offset as number;
  })();
  const before: Model = { attempts: model.attempts.slice(0, -1) };
  const covering = headOf(model, 'the sealer');
  assert(covering.size > headOf(before, '').size, 'the last group has a leaf');
  for (const at of [lastStart, lastStart + 50, lastStart + 200, whole.length - 512 - 300]) {
    machine.tamper(path, () => {
      const octets = new Uint8Array(whole);
      octets[at] = (octets[at] as number) ^ 0x10;
      return octets;
    });
    const refused = await openLog({ ...logOptions(machine, [covering]), ...unlimited });
    assert(refused.kind === 'refused');
    assert.equal(refused.error.code, 'log-damaged');
    assert.match(refused.error.subject, /the sealer knows \d+ of generation 1/);
    assert.equal(refused.place?.offset, lastStart);
    const copy = machine.wouldSurvive({ seed: 1 });
    const log = await opened(copy, { ...unlimited, knownHeads: [headOf(before, 'the sealer')] });
    await compare(log, { attempts: [...before.attempts] }, copy);
    await log.close();
  }
});

test('heads of another history are refused, the same history is not, by the ledger or from the log itself', async () => {
  const { machine, model } = await filled(12, 4);
  const head = headOf(model, 'a mirror');
  const log = await opened(machine, { knownHeads: [head] });
  await log.close();
  const other = { ...head, root: sha256(utf8('another')) };
  const refused = await openLog(logOptions(machine, [other]));
  assert(refused.kind === 'refused');
  assert.equal(refused.error.code, 'log-rolled-back');
  assert.match(refused.error.subject, /another history/);
  const byLedger = await openLog({ ...logOptions(machine, [head]), rootAt: async () => other.root });
  assert(byLedger.kind === 'refused');
  const later = await openLog(logOptions(machine, [{ ...head, generation: 2 }]));
  assert(later.kind === 'refused' && later.error.code === 'log-rolled-back');
  const more = await openLog(logOptions(machine, [{ ...head, size: head.size + 3, root: null }]));
  assert(more.kind === 'refused');
  assert.match(
    more.error.subject,
    new RegExp(`holds ${head.size} leaves .* a mirror knows ${head.size + 3} of generation 1`),
  );
});

test('after a failed sync nothing is acknowledged, written or synced any more', async () => {
  for (const operation of ['data-sync', 'write', 'sync', 'sync-folder'] as const) {
    let armed = false;
    let failedAt = -1;
    const later: SimCall[] = [];
    const machine = new SimFs({
      seed: 6,
      fault: (call) => {
        if (failedAt >= 0 && ['write', 'data-sync', 'sync', 'sync-folder'].includes(call.operation))
          later.push(call);
        if (!armed || call.operation !== operation || failedAt >= 0) return null;
        failedAt = call.index;
        return 'EIO';
      },
    });
    const model: Model = { attempts: [] };
    const log = await opened(machine);
    const numbers = randomNumbers(6);
    await attemptGroup(log, model, numbers).committed;
    armed = true;
    const failing: Promise<void>[] = [];
    let error: { code?: string } = {};
    try {
      for (;;) {
        failing.push(attemptGroup(log, model, numbers).committed);
        await failing.at(-1);
      }
    } catch (thrown) {
      error = thrown as { code?: string };
    }
    assert.equal(error.code, 'log-failed');
    assert.equal(log.failure?.code, 'log-failed');
    assert.throws(() => log.beginGroup(), { code: 'log-failed' });
    // The other file of the same group may have been under way.
    assert(later.length <= 1, `${operation}: ${later.map((call) => call.operation).join()}`);
    await log.close();
    const restarted = machine.killProcess({ seed: 1 });
    const again = await opened(restarted);
    await compare(again, model, restarted);
    await again.close();
    const afterCut = restarted.cutPower({ seed: 2 });
    await compare(await opened(afterCut), model, afterCut);
  }
});

test('a new file whose sync failed in an earlier life is made durable before a group relies on it (I5)', async () => {
  for (const folder of ['segments', 'keys']) {
    let failed = false;
    const machine = new SimFs({
      seed: 8,
      fault: ({ operation, path: of }) => {
        if (failed || operation !== 'sync' || !of.startsWith(`${dataFolder}/${folder}/`)) return null;
        failed = true;
        return 'EIO';
      },
    });
    const model: Model = { attempts: [] };
    const numbers = randomNumbers(8);
    const log = await opened(machine);
    while (log.failure === null) await attemptGroup(log, model, numbers).committed.catch(() => {});
    await log.close();
    // The octets can still be read, but no sync brings them to the disk any more.
    const restarted = machine.killProcess({ seed: 1 });
    const again = await opened(restarted);
    await compare(again, model, restarted);
    for (let taken = 0; taken === 0; ) {
      const { attempt, committed } = attemptGroup(again, model, numbers);
      await committed;
      taken = attempt.heads.size;
    }
    await again.close();
    const afterCut = restarted.cutPower({ seed: 2 });
    await compare(await opened(afterCut), model, afterCut);
  }
});

test('a full disk refuses the group; with room again everything acknowledged is there', async () => {
  for (let capacityBytes = 3_000; capacityBytes < 12_000; capacityBytes += 700) {
    const machine = new SimFs({ seed: 7, capacityBytes });
    const model: Model = { attempts: [] };
    const log = await opened(machine);
    const numbers = randomNumbers(7);
    await assert.rejects(
      async () => {
        for (;;) await attemptGroup(log, model, numbers).committed;
      },
      (error: { code?: string; remedy?: string }) =>
        error.code === 'log-failed' && /free space/.test(error.remedy ?? ''),
    );
    await log.close();
    const roomy = machine.killProcess({ seed: 1 });
    const again = await opened(roomy, { knownHeads: [headOf(model, 'a witness')] });
    await compare(again, model, roomy);
    await attemptGroup(again, model, numbers).committed;
    await again.close();
  }
});

test('recovery cut short at every operation is the same as a crash before it', async () => {
  const { machine, model } = await filled(5, 31);
  const newest = [...machine.contents(`${dataFolder}/segments`).keys()].sort().at(-1) as string;
  machine.tamper(newest, (octets) => concat([octets, octets.subarray(512, 1_500)]));
  const straight = machine.wouldSurvive({ seed: 1 });
  await (await opened(straight)).close();
  const expected = straight.contents();
  for (let at = 0; ; at++) {
    const cut = machine.wouldSurvive({ seed: at, fault: ({ index }) => (index === at ? 'power-cut' : null) });
    const outcome = await openLog(logOptions(cut)).then(
      (log) => log,
      () => null,
    );
    const after = cut.cutPower({ seed: at * 7 });
    const log = await opened(after, { knownHeads: [headOf(model, 'a witness')] });
    await compare(log, { attempts: [...model.attempts] }, after);
    await log.close();
    assert.deepEqual(after.contents(), expected, `cut at ${at}`);
    if (outcome !== null) break;
  }
});

test('a new generation cut short at every operation can be begun again', async () => {
  const { machine, model } = await filled(6, 41, unlimited);
  const head = { source: 'a witness', generation: 1, size: 1_000, root: null };
  for (let at = 0; ; at++) {
    const cut = machine.wouldSurvive({ seed: at, fault: ({ index }) => (index === at ? 'power-cut' : null) });
    const options = (io: Io) => ({ ...logOptions(io, [head]), ...unlimited, gapLeaf: () => utf8('gap') });
    const done = await newGeneration(options(cut)).then(
      () => true,
      () => false,
    );
    const after = cut.cutPower({ seed: at * 3 });
    const between = await openLog({ ...logOptions(after, [head]), ...unlimited });
    if (done) assert.equal(between.kind, 'log');
    if (between.kind === 'refused') {
      assert(
        ['log-rolled-back', 'log-generation-unfinished'].includes(between.error.code),
        between.error.message,
      );
      await newGeneration(options(after));
    } else {
      await between.close();
    }
    const log = await opened(after, { ...unlimited, knownHeads: [head] });
    assert.equal(log.generation, 2);
    const frames = await scanned(log);
    const old = model.attempts.flatMap(({ recordHashes }) => recordHashes);
    assert.deepEqual(
      frames.slice(0, old.length).map(({ head: one }) => hex(one.recordHash)),
      old,
    );
    assert.equal(frames[old.length]?.head.record.seq, old.length + 1 + 2 ** 32);
    assert.equal(frames[old.length]?.head.record.leafIndex, 0);
    await log.close();
    if (done) break;
  }
});

/** A segment with one group of one frame of any type, made by the codecs alone. */
const segmentWith = (type: number, critical: boolean): Uint8Array => {
  const body = utf8('from a newer program');
  const record = (change: Partial<FrameRecord>): FrameRecord => ({
    type,
    critical,
    leafLength: 0,
    seq: 1,
    leafIndex: null,
    key: null,
    leafHash: new Uint8Array(32),
    bodyCommitment: sha256(body),
    prev: new Uint8Array(32),
    ...change,
  });
  const stored = (octets: Uint8Array) => ({
    encoding: 0,
    place: 0,
    headStoredLength: 0,
    storedLength: octets.length,
    storedHash: sha256(octets),
    fileHash: null,
  });
  const padded = (pieces: Uint8Array[], to: number): Uint8Array => {
    const length = concat(pieces).length;
    return concat([...pieces, new Uint8Array(Math.ceil(length / to) * to - length)]);
  };
  const frame = encodeFrameHead(record({}), stored(body), new Uint8Array(0));
  const range = new CompactRange();
  range.append(leafHash(frame.recordHash));
  const commit = encodeCommitBody({
    acked: 0,
    count: 1,
    epoch: 0,
    slots: 0,
    first: 1,
    generation: 1,
    group: 1,
    last: 1,
    leaves: 0,
    root: range.root(),
  });
  const last = encodeFrameHead(
    record({
      type: frameTypes.COMMIT,
      critical: true,
      seq: 2,
      bodyCommitment: sha256(commit),
      prev: frame.recordHash,
    }),
    stored(commit),
    new Uint8Array(0),
  );
  const header = encodeSegmentHeader({
    shard: 7,
    generation: 1,
    revision: 0,
    firstSeq: 1,
    epoch: 0,
    prevEnd: null,
  });
  const group = concat([padded([frame.octets, body], 8), padded([last.octets, commit], 8)]);
  return concat([header, padded([group], 512)]);
};

test('an unknown type stops a reader when it is critical, and is skipped when it is not (FORMATS §6.14)', async () => {
  for (const critical of [true, false]) {
    const machine = new SimFs({ seed: 1 });
    await (await opened(machine)).close();
    const file = await machine.open(`${dataFolder}/segments/0000000000000001.0.fseg`, 'create-new');
    await file.write([segmentWith(99, critical)], 0);
    const outcome = await openLog(logOptions(machine));
    if (critical) {
      assert(outcome.kind === 'refused');
      assert.equal(outcome.error.code, 'log-from-the-future');
      assert.match(outcome.error.subject, /a critical frame of type 99/);
    } else {
      assert(outcome.kind === 'log');
      await addRow(outcome, 'next');
      const seqs = (await scanned(outcome)).map((frame) => frame.head.record.seq);
      assert.deepEqual(seqs, [1, 2, 3, 4]);
      await outcome.close();
    }
  }
});

test('a draft that lies about its hash is refused, and the group goes on without it', async () => {
  const machine = new SimFs({ seed: 1 });
  const log = await opened(machine);
  const group = log.beginGroup();
  const fileKey = randomBytes(16);
  const key = group.useKey(fileKey);
  const storedHead = sealPayload(fileKey, randomBytes(16), utf8('head'));
  const draft = (storedHash: Uint8Array, leaf: Uint8Array | null): Placed =>
    group.add({
      type: 'DELIVER',
      critical: true,
      leaf,
      key,
      body: {
        kind: 'sealed',
        storedHead,
        storedOctets: [],
        bodyCommitment: sha256(utf8('head')),
        storedHash,
      },
    });
  assert.throws(() => draft(sha256(utf8('lie')), null), { code: 'frame-draft-wrong' });
  assert.throws(() => draft(sha256(storedHead), new Uint8Array(401)), { code: 'frame-draft-wrong' });
  assert.equal(draft(sha256(storedHead), null).seq, 1);
  await log.commit(group);
  // A builder that is given up leaves no trace.
  log.beginGroup().add({ type: 'ROW', critical: true, leaf: null, key: null, body: { kind: 'none' } });
  assert.equal(log.nextSeq, 3);
  await addRow(log, 'next');
  assert.deepEqual(
    (await scanned(log)).map((frame) => frame.head.record.seq),
    [1, 2, 3, 4],
  );
  await assert.rejects(async () => log.commit(group));
  await log.close();
});

test('keys beside the writer: growth is seen, an erased key is gone once it is forgotten', async () => {
  const machine = new SimFs({ seed: 1 });
  const log = await opened(machine, unlimited);
  const keys = openKeyReader({ io: machine, folder: dataFolder, shard: 7 });
  assert.equal((await keys.fileKey({ epoch: 0, slot: 0 })).kind, 'missing');
  const add = async (): Promise<{ key: KeyRef; fileKey: Uint8Array }> => {
    const group = log.beginGroup();
    const fileKey = randomBytes(16);
    const key = group.useKey(fileKey);
    const storedHead = sealPayload(fileKey, randomBytes(16), utf8('x'));
    const body = {
      storedHead,
      storedOctets: [],
      bodyCommitment: sha256(utf8('x')),
      storedHash: sha256(storedHead),
    };
    group.add({ type: 'DELIVER', critical: true, leaf: null, key, body: { kind: 'sealed', ...body } });
    await log.commit(group);
    return { key, fileKey };
  };
  const first = await add();
  assert.deepEqual(await keys.fileKey(first.key), { kind: 'clear', fileKey: new Uint8Array(first.fileKey) });
  const second = await add();
  assert.deepEqual(await keys.fileKey(second.key), {
    kind: 'clear',
    fileKey: new Uint8Array(second.fileKey),
  });
  const group = log.beginGroup();
  const body = { kind: 'clear', octets: utf8(canonicalJson({ keys: [{ ...first.key }] })) } as const;
  group.add({ type: 'ERASED', critical: true, leaf: null, key: null, body });
  await log.commit(group);
  keys.forget(first.key);
  assert.deepEqual(await keys.fileKey(first.key), { kind: 'destroyed' });
  assert.equal((await keys.fileKey(second.key)).kind, 'clear');
  assert.equal((await keys.fileKey({ epoch: 0, slot: 70_000 })).kind, 'missing');
  for (const octets of machine.contents(`${dataFolder}/keys`).values())
    assert.equal(Buffer.from(octets).indexOf(first.fileKey), -1);
  await keys.close();
  await log.close();
});

test('an epoch of 65,536 slots is followed by the next, in the middle of a group too', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-log-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const options = { ...logOptions(nodeIo), ...unlimited, folder };
  const log = await openLog(options);
  assert(log.kind === 'log');
  const storedHead = sealPayload(randomBytes(16), randomBytes(16), utf8('x'));
  const body = {
    kind: 'sealed' as const,
    storedHead,
    storedOctets: [],
    bodyCommitment: sha256(utf8('x')),
    storedHash: sha256(storedHead),
  };
  let last: KeyRef = { epoch: 0, slot: 0 };
  const keyOf = (number: number): Uint8Array => fromHex(String(number).padStart(32, '0')) as Uint8Array;
  for (let group = 0, number = 0; group < 2; group++) {
    const builder = log.beginGroup();
    for (let frame = 0; frame < 33_000; frame++) {
      last = builder.useKey(keyOf(number++));
      builder.add({ type: 'DELIVER', critical: true, leaf: null, key: last, body });
    }
    await log.commit(builder);
  }
  assert.deepEqual(last, { epoch: 1, slot: 66_000 - 65_536 - 1 });
  await log.close();
  const again = await openLog(options);
  assert(again.kind === 'log');
  assert.equal(again.nextSeq, 66_003);
  const keys = openKeyReader({ io: nodeIo, folder, shard: 7 });
  assert.deepEqual(await keys.fileKey({ epoch: 0, slot: 65_535 }), { kind: 'clear', fileKey: keyOf(65_535) });
  assert.deepEqual(await keys.fileKey({ epoch: 1, slot: 0 }), { kind: 'clear', fileKey: keyOf(65_536) });
  await keys.close();
  await again.close();
});

test('groups built while others are under way are written one after the other', async () => {
  const machine = new SimFs({ seed: 12 });
  const log = await opened(machine);
  const model: Model = { attempts: [] };
  const numbers = randomNumbers(12);
  const flights: Promise<void>[] = [];
  const order: number[] = [];
  for (let count = 0; count < 8; count++) {
    const { committed } = attemptGroup(log, model, numbers);
    flights.push(
      committed.then(() => {
        order.push(count);
      }),
    );
  }
  await Promise.all(flights);
  assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7]);
  await compare(log, model, machine);
  await log.close();
});
