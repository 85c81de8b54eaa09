import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '#base/logger';
import type { LedgerWriter } from '#store/ledger';
import type { CommitQueue } from './commit-queue.ts';
import type { GroupDraft } from './group-draft.ts';
import { createHeads, type SealerLook, type SealerPort } from './heads.ts';

/** Heads over a queue that is durable at once, with timers that go off when they are told to. */
const world = (sealer: SealerPort) => {
  const timers = new Set<{ work: () => void; ms: number }>();
  const leaves: { first: number; last: number }[] = [];
  const signed: Uint8Array[] = [];
  let nextSeq = 1;
  let appended = 0;
  const commit = (records: number, draft: Partial<GroupDraft> = {}): void => {
    const first = nextSeq;
    nextSeq += records;
    const recordLeafHashes = Array.from({ length: records }, () => new Uint8Array(32));
    heads.committed({ first, recordLeafHashes }, { asksForHead: false, ...draft } as GroupDraft, []);
  };
  const queue = {
    submit: async (decision: { decide(context: unknown): unknown }) => {
      let records = 1;
      const draft = {
        recordLeafHashes: [],
        nextSeq,
        leaf: (leaf: { first: number; last: number }) => {
          leaves.push(leaf);
          records += 1;
          return { seq: nextSeq };
        },
        head: (note: Uint8Array) => {
          signed.push(note);
          records += 1;
        },
      };
      const outcome = decision.decide({ draft });
      commit(records);
      return outcome;
    },
  } as unknown as CommitQueue;
  const heads = createHeads({
    queue,
    ledger: {
      get size() {
        return appended;
      },
      append: async (octets: readonly Uint8Array[]) => {
        appended += octets.length;
      },
      root: () => new Uint8Array(32),
      writeCheckpoint: async () => {},
    } as unknown as LedgerWriter,
    sealer,
    generation: 1,
    origin: 'mail.fengni.test/fengni/s0/g1',
    logger: silentLogger,
    frames: { seq: 0, hashes: [] },
    due: false,
    sealedSize: 0,
    schedule: (work, ms) => {
      const timer = { work, ms };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    failed: (error) => assert.fail(error),
  });
  /** lets every timer of at most so many milliseconds go off, and what follows happen */
  const wait = async (ms: number): Promise<void> => {
    for (const timer of [...timers].filter((each) => each.ms <= ms)) {
      timers.delete(timer);
      timer.work();
    }
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  return { heads, commit, wait, leaves, signed, timers };
};

const ranges = (leaves: readonly { first: number; last: number }[]): string[] =>
  leaves.map(({ first, last }) => `${first} to ${last}`);

const note = new Uint8Array([1]);
const signs: SealerPort = { advance: async () => ({ kind: 'signed', note }) };
const never = new Promise<never>(() => {});

test('changes without a leaf ask for a head once there are 4,096 records: a start reads no more than that', async () => {
  const { commit, wait, leaves, signed } = world(signs);
  for (let group = 0; group < 409; group++) commit(10);
  await wait(1_000);
  assert.deepEqual(ranges(leaves), []);
  commit(10);
  await wait(1_000);
  assert.deepEqual(ranges(leaves), ['1 to 4100']);
  assert.equal(signed.length, 1);
  for (let group = 0; group < 400; group++) commit(10);
  await wait(1_000);
  assert.equal(leaves.length, 1);
  for (let group = 0; group < 10; group++) commit(10);
  await wait(1_000);
  assert.match(ranges(leaves)[1] ?? '', /^4101 to /);
});

test('a sealer that hangs is down after a time limit, holds nobody up, and is asked again', async () => {
  let answers = false;
  const { heads, commit, wait, leaves, signed } = world({
    advance: async () => (answers ? { kind: 'signed', note } : never),
    look: async (): Promise<SealerLook> =>
      answers ? { kind: 'signs', generation: 1, size: 0 } : { kind: 'down', reason: 'no-answer' },
  });
  commit(2, { asksForHead: true });
  await wait(1_000);
  assert.equal(heads.status().sealer, 'none');
  await wait(30_000);
  assert.deepEqual([heads.status().sealer, heads.status().reason], ['down', 'no-answer']);
  // The log does not grow by tries, whatever comes meanwhile.
  for (let tries = 0; tries < 100; tries++) {
    commit(2, { asksForHead: true });
    await wait(1_000);
  }
  assert.equal(leaves.length, 1);
  answers = true;
  await wait(1_000);
  assert.equal(heads.status().sealer, 'signing');
  assert.equal(leaves.length, 2);
  assert.equal(signed.length, 1);
});

test('an end does not wait for a sealer that hangs, nor does whoever waits for a head', async () => {
  const { heads, commit, wait } = world({ advance: () => never, look: () => never });
  commit(2, { asksForHead: true });
  let settled = false;
  const waiting = heads.settle().then(() => {
    settled = true;
  });
  await wait(0);
  assert.equal(settled, false);
  const stopped = heads.stop();
  await wait(5_000);
  await wait(5_000);
  await stopped;
  await wait(60_000);
  await waiting;
});
