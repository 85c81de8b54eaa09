import assert from 'node:assert/strict';
import { equalBytes, fromHex, hex, latin1, utf8 } from '#base/bytes';
import { canonicalJson } from '#base/canonical-json';
import { type Io, isPowerCut, type SimFs, type SimFsOptions } from '#store/durable';
import {
  type ClosedSegment,
  type KnownHead,
  type Log,
  type LogOptions,
  openHead,
  openKeyReader,
  openLog,
} from '#store/log';
import { type KeyRef, PayloadSealer, sealPayload, sha256, sha256Of } from '#store/segments';
import { CompactRange, leafHash } from '#trust/seal';

/** A group that was handed to `commit`. */
export interface Attempt {
  recordHashes: readonly string[];
  /** plaintext heads of its sealed frames by record hash */
  heads: ReadonlyMap<string, { key: KeyRef; fileKey: Uint8Array; plain: Uint8Array }>;
  erased: readonly KeyRef[];
  leaves: readonly Uint8Array[];
  acked: boolean;
}

/** What must be true of a log, kept beside it. */
export interface Model {
  /** in order; all but the last few are in the log */
  attempts: Attempt[];
}

export const dataFolder = '/srv/fengni/data';

export const logOptions = (io: Io, knownHeads: readonly KnownHead[] = []): LogOptions => ({
  io,
  folder: dataFolder,
  shard: 7,
  knownHeads,
  segmentLeaf: (closed, { seq, leafIndex }) =>
    utf8(`segment ${closed.number} ${closed.revision} ${hex(closed.sha256)} ${seq} ${leafIndex}`),
  limits: { segmentBytesMax: 12_000, segmentFramesMax: 24, segmentAgeMsMax: 100_000 },
});

/** What `logOptions` writes of a closed segment. */
export const segmentOfLeaf = (leaf: Uint8Array): ClosedSegment | null => {
  const [kind, number, revision, digest] = latin1(leaf).split(' ');
  return kind === 'segment'
    ? { number: Number(number), revision: Number(revision), sha256: fromHex(digest as string) as Uint8Array }
    : null;
};

/** Builds a random group and hands it to the log. */
export const attemptGroup = (
  log: Log,
  model: Model,
  numbers: () => number,
  erasing = true,
): { attempt: Attempt; committed: Promise<void> } => {
  const upTo = (max: number): number => numbers() % max;
  const octets = (length: number): Uint8Array => {
    const whole = new Uint8Array(length);
    for (let at = 0; at < length; at++) whole[at] = numbers() & 255;
    return whole;
  };
  const group = log.beginGroup();
  const heads = new Map<string, { key: KeyRef; fileKey: Uint8Array; plain: Uint8Array }>();
  const leaves = group.opening.map(({ draft }) => draft.leaf as Uint8Array);
  const erased: KeyRef[] = [];
  const known = keysOf(model);

  const sealed = (
    type: 'MSG' | 'DELIVER' | 'STATE',
    key: KeyRef,
    fileKey: Uint8Array,
    length: number,
  ): void => {
    const plain = octets(40 + upTo(200));
    const storedHead = sealPayload(fileKey, octets(16), plain);
    let storedOctets: Uint8Array[] = [];
    let storedHash = sha256(storedHead);
    if (type === 'MSG') {
      const sealer = new PayloadSealer(fileKey, octets(16));
      storedOctets = sealer.write(octets(length));
      storedOctets.push(...sealer.finish().pieces);
      storedHash = sealer.storedHash(storedHead);
      assert(equalBytes(storedHash, sha256Of([...storedOctets, storedHead])));
    }
    const leaf = type === 'MSG' ? utf8(`leaf ${group.nextSeq()} ${group.nextLeafIndex()}`) : null;
    const placed = group.add({
      type,
      critical: true,
      leaf,
      key,
      body: { kind: 'sealed', storedHead, storedOctets, bodyCommitment: sha256(plain), storedHash },
    });
    if (leaf !== null) leaves.push(leaf);
    heads.set(hex(placed.recordHash), { key, fileKey, plain });
  };

  for (let frames = 1 + upTo(5); frames > 0; frames--) {
    const choice = upTo(10);
    if (choice < 4) {
      const fileKey = octets(16);
      const key = group.useKey(fileKey);
      sealed('MSG', key, fileKey, upTo(8) === 0 ? upTo(6_000) : upTo(600));
      if (choice < 2) sealed('DELIVER', key, fileKey, 0);
    } else if (choice < 6 && known.length > 0) {
      const old = known[upTo(known.length)] as (typeof known)[number];
      sealed('STATE', old.key, old.fileKey, 0);
    } else if (choice === 6 && erasing && known.length > 0) {
      const { key } = known[upTo(known.length)] as (typeof known)[number];
      erased.push(key);
      const body = { kind: 'clear', octets: utf8(canonicalJson({ keys: [{ ...key }] })) } as const;
      group.add({ type: 'ERASED', critical: true, leaf: null, key: null, body });
    } else if (choice === 7) {
      const leaf = utf8(`event ${group.nextSeq()}`);
      leaves.push(leaf);
      group.add({ type: 'LEAF', critical: true, leaf, key: null, body: { kind: 'none' } });
    } else {
      const body = { kind: 'clear', octets: octets(upTo(300)) } as const;
      group.add({ type: 'ROW', critical: false, leaf: null, key: null, body });
    }
  }
  const attempt: Attempt = { recordHashes: [], heads, erased, leaves, acked: false };
  model.attempts.push(attempt);
  const before = log.nextSeq;
  const result = log.commit(group);
  // The numbers of a group are fixed when it is handed over, also when it never becomes durable.
  const committed = result.then((done) => {
    assert.equal(done.firstSeq, before);
    assert.deepEqual(
      done.leaves.map(({ octets: leaf }) => leaf),
      leaves,
    );
    attempt.recordHashes = done.recordHashes.map(hex);
    attempt.acked = true;
  });
  committed.catch(() => {});
  return { attempt, committed };
};

/** Keys in use, with the ones of erasures tried since left out: whether those happened is known only after recovery. */
const keysOf = (model: Model): { key: KeyRef; fileKey: Uint8Array }[] => {
  const gone = new Set(model.attempts.flatMap(({ erased }) => erased.map(nameOf)));
  const all = new Map<string, { key: KeyRef; fileKey: Uint8Array }>();
  for (const { heads } of model.attempts) {
    for (const { key, fileKey } of heads.values())
      if (!gone.has(nameOf(key))) all.set(nameOf(key), { key, fileKey });
  }
  return [...all.values()].slice(-12);
};

const nameOf = (key: KeyRef): string => `${key.epoch}:${key.slot}`;

/**
 * Compares a log that was just opened with the model: every acknowledged group is there and identical, what else is there is
 * the next attempt, whole; the model then goes on from what is there.
 */
export const compare = async (log: Log, model: Model, machine: SimFs): Promise<void> => {
  const found: { record: string; isCommit: boolean; seq: number }[] = [];
  const frames = new Map<string, Parameters<typeof openHead>[0]>();
  for await (const frame of log.scan(1)) {
    const record = hex(frame.head.recordHash);
    frames.set(record, frame);
    found.push({ record, isCommit: frame.head.record.type === 10, seq: frame.head.record.seq });
  }
  found.forEach(({ seq }, at) => {
    assert.equal(seq, at + 1, 'seq is gap-free');
  });
  let at = 0;
  let kept = 0;
  for (const attempt of model.attempts) {
    const end = found.findIndex(({ isCommit }, index) => index >= at && isCommit);
    if (end === -1) break;
    const records = found.slice(at, end + 1).map(({ record }) => record);
    if (attempt.acked)
      assert.deepEqual(records, attempt.recordHashes, 'an acknowledged group is identical (I1)');
    for (const record of attempt.heads.keys()) {
      assert(records.includes(record), 'a group that was not acknowledged is there whole or not at all (I2)');
    }
    attempt.recordHashes = records;
    at = end + 1;
    kept += 1;
  }
  assert.equal(at, found.length, 'nothing is there that nobody attempted (I2)');
  const lost = model.attempts.slice(kept);
  assert(
    !lost.some(({ acked }) => acked),
    `an acknowledged group is missing (I1): ${kept} of ${model.attempts.length}`,
  );
  model.attempts = model.attempts.slice(0, kept);
  for (const attempt of model.attempts) attempt.acked = true;

  const reader = openKeyReader({ io: machine, folder: dataFolder, shard: 7 });
  const gone = new Set(model.attempts.flatMap(({ erased }) => erased.map(nameOf)));
  const keyFiles = [...machine.contents(`${dataFolder}/keys`).values()];
  for (const { heads } of model.attempts) {
    for (const [record, { key, fileKey, plain }] of heads) {
      const held = await reader.fileKey(key);
      const isGone = gone.has(nameOf(key));
      assert.equal(held.kind, isGone ? 'destroyed' : 'clear', `key ${nameOf(key)} (I7)`);
      if (held.kind === 'clear') {
        assert(equalBytes(held.fileKey, fileKey));
        const frame = frames.get(record);
        assert(frame !== undefined && equalBytes(openHead(frame, fileKey), plain));
      } else {
        for (const octets of keyFiles)
          assert.equal(Buffer.from(octets).indexOf(fileKey), -1, 'an erased key is nowhere (I7)');
      }
    }
  }
  await reader.close();
};

/** The head over everything acknowledged, as an outside witness would keep it. */
export const headOf = (model: Model, source: string): KnownHead => {
  const range = new CompactRange();
  for (const { leaves, acked } of model.attempts)
    if (acked) for (const leaf of leaves) range.append(leafHash(leaf));
  return { source, generation: 1, size: range.size, root: range.root() };
};

/** A random life of the machine: opens the log, works, and dies where the seed says. @returns the machine after it was switched on again */
export const liveAndDie = async (
  machine: SimFs,
  io: Io,
  model: Model,
  numbers: () => number,
  plan: { deathAt: number; end: 'power' | 'kill' },
  nextOptions: () => SimFsOptions,
): Promise<SimFs> => {
  try {
    const opened = await openLog(logOptions(io, [headOf(model, 'a witness')]));
    assert(opened.kind === 'log', opened.kind === 'refused' ? `refused: ${opened.error.message}` : '');
    await compare(opened, model, machine);
    const flights: Promise<void>[] = [];
    while (machine.calls < plan.deathAt + 60) {
      const { committed } = attemptGroup(opened, model, numbers);
      // The next group is built while this one is under way.
      flights.push(committed);
      if (numbers() % 3 > 0 || flights.length > 1) {
        await flights.shift();
      }
      if (numbers() % 16 === 0) machine.advance(60_000);
    }
    for (const flight of flights) await flight;
    await opened.close();
  } catch (error) {
    if (!isPowerCut(error) && !isExpected(error)) throw error;
  }
  // Promises of groups behind the one that failed are settled by now; nothing of theirs was acknowledged.
  await new Promise((resolve) => setImmediate(resolve));
  return plan.end === 'kill' ? machine.killProcess(nextOptions()) : machine.cutPower(nextOptions());
};

const isExpected = (error: unknown): boolean =>
  ['log-failed', 'io-error', 'disk-full', 'descriptor-poisoned'].includes(
    (error as { code?: string }).code ?? '',
  );
