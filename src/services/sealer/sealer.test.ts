import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '#base/bytes';
import { type Io, isPowerCut, SimFs } from '#store/durable';
import { LedgerWriter } from '#store/ledger';
import {
  base64,
  encodeLeaf,
  leafHash,
  parseCheckpoint,
  parseVerifierKey,
  treeRoot,
  verifyNote,
} from '#trust/seal';
import {
  allowNext,
  encodeAllowance,
  openSealerAgain,
  parseAllowance,
  parseState,
  Sealer,
  type SealerHead,
  type SealerOutcome,
} from './index.ts';

const origin = 'mail.fengni.test/fengni/s0/g1';
const nextOrigin = 'mail.fengni.test/fengni/s0/g2';
const folder = '/sealer';
const ledgerFolder = (generation: number): string => `/ledger/g${generation}`;
const leavesOf = (count: number, mark = ''): Uint8Array[] =>
  Array.from({ length: count }, (_, index) => utf8(`leaf ${index} ${mark}`));
const rootOf = (leaves: readonly Uint8Array[]): Uint8Array => treeRoot(leaves.map(leafHash));
const ask = (leaves: readonly Uint8Array[], generation = 1) => ({
  generation,
  origin: generation === 1 ? origin : nextOrigin,
  size: leaves.length,
  root: rootOf(leaves),
});

const headOf = (outcome: SealerOutcome): SealerHead => {
  if (outcome.kind !== 'signed') assert.fail(`${outcome.reason}: ${outcome.detail}`);
  return outcome.head;
};
/** Leaves of generation 2: its genesis first. */
const secondOf = (
  previous: { origin: string; size: number; root: Uint8Array },
  count: number,
): Uint8Array[] => [encodeLeaf({ kind: 'genesis', seq: 1, timeMs: 0, previous }), ...leavesOf(count - 1)];

const reasonOf = (outcome: { kind: string; reason?: string }): string | undefined => outcome.reason;

const newFs = async (): Promise<SimFs> => {
  const io = new SimFs({ seed: 1 });
  await io.makeFolder(folder);
  await io.syncFolder('/');
  return io;
};

const writeLedger = async (io: Io, leaves: readonly Uint8Array[], generation = 1): Promise<LedgerWriter> => {
  const writer = await LedgerWriter.open(io, ledgerFolder(generation));
  await writer.append(leaves.slice(writer.size));
  return writer;
};

const openSealer = (io: Io): Promise<Sealer> => Sealer.open({ io, folder, ledgerFolder });

const begun = async (io: Io): Promise<Sealer> => {
  const sealer = await openSealer(io);
  headOf(await sealer.create({ generation: 1, origin }));
  return sealer;
};

test('a head is signed by the key that the sealer names, over the root of the entries', async () => {
  const io = await newFs();
  const sealer = await begun(io);
  const leaves = leavesOf(600);
  let writer = await LedgerWriter.open(io, ledgerFolder(1));
  for (const size of [1, 2, 255, 256, 257, 600]) {
    await writer.append(leaves.slice(writer.size, size));
    const head = headOf(await sealer.advance(ask(leaves.slice(0, size))));
    const { note, ...parsed } = parseCheckpoint(head.note);
    assert.deepEqual(parsed, { origin, size, root: rootOf(leaves.slice(0, size)) });
    assert.equal(verifyNote(note, parseVerifierKey(head.key)).kind, 'signed');
    assert.deepEqual(headOf(await sealer.head()), head);
  }
  // one advance catches up, also after both began anew
  const more = leavesOf(1500);
  writer = await writeLedger(io, more);
  const again = await openSealer(io);
  assert.equal(headOf(await again.head()).size, 600);
  assert.equal(headOf(await again.advance(ask(more))).size, 1500);
});

test('the same request gives the same signature; fewer leaves, another root or name are refused', async () => {
  const io = await newFs();
  const sealer = await begun(io);
  const leaves = leavesOf(20);
  await writeLedger(io, leaves);
  const head = headOf(await sealer.advance(ask(leaves)));
  assert.deepEqual(headOf(await sealer.advance(ask(leaves))), head);
  assert.deepEqual(headOf(await sealer.create({ generation: 1, origin })), head);
  const refusals: [string, ReturnType<typeof ask>][] = [
    ['shrink', ask(leaves.slice(0, 19))],
    ['shrink', ask([])],
    ['fork', ask(leavesOf(20, 'other'))],
    ['entries-unreadable', ask(leavesOf(300))],
    ['other-generation', { ...ask(leaves), generation: 2 }],
    ['other-origin', { ...ask(leaves), origin: 'evil.test/fengni/s0/g1' }],
  ];
  for (const [reason, request] of refusals) assert.equal(reasonOf(await sealer.advance(request)), reason);
  assert.equal(reasonOf(await sealer.create({ generation: 1, origin: nextOrigin })), 'generation-used');
  assert.deepEqual(headOf(await sealer.head()), head);
});

test('a root that the entries do not give is refused, and so is a history rewritten below the last head', async () => {
  const io = await newFs();
  const sealer = await begun(io);
  await writeLedger(io, leavesOf(20));
  headOf(await sealer.advance(ask(leavesOf(20))));
  await writeLedger(io, leavesOf(30));
  assert.equal(reasonOf(await sealer.advance({ ...ask(leavesOf(30)), root: rootOf([]) })), 'root-mismatch');
  const rewritten = [...leavesOf(1, 'other'), ...leavesOf(30).slice(1)];
  await io.remove(`${ledgerFolder(1)}/tile/0/000.p/30`);
  await writeLedger(io, rewritten);
  assert.equal(reasonOf(await sealer.advance(ask(rewritten))), 'root-mismatch');
  assert.equal(headOf(await sealer.advance(ask(leavesOf(30)))).size, 30);
});

test('calls that come together are done one after the other', async () => {
  const io = await newFs();
  const sealer = await begun(io);
  const leaves = leavesOf(40);
  await writeLedger(io, leaves);
  const outcomes = await Promise.all([40, 10, 40].map((size) => sealer.advance(ask(leaves.slice(0, size)))));
  assert.deepEqual(outcomes.map(reasonOf), [undefined, 'shrink', undefined]);
});

const copyFolder = async (io: Io, to: string): Promise<void> => {
  await io.makeFolder(to);
  for (const name of await io.readFolder(folder)) {
    const file = await io.open(`${to}/${name}`, 'create');
    await file.write([await io.readFile(`${folder}/${name}`)], 0);
    await file.close();
  }
};

test('a copy of the folder signs nothing, neither a head nor the next; with acceptance a new key begins', async () => {
  const io = await newFs();
  const sealer = await begun(io);
  const leaves = leavesOf(20);
  await writeLedger(io, leaves);
  headOf(await sealer.advance(ask(leaves)));
  const next = { generation: 2, origin: nextOrigin };
  await allowNext(io, folder, 'rotation');
  const prepared = await sealer.prepare({ ...next, acceptLoss: false });
  assert(prepared.kind === 'prepared');
  await copyFolder(io, '/copy');
  const copy = await Sealer.open({ io, folder: '/copy', ledgerFolder });
  assert.equal(reasonOf(await copy.head()), 'copied');
  assert.equal(reasonOf(await copy.advance(ask(leaves))), 'copied');
  assert.equal(reasonOf(await copy.create({ generation: 1, origin })), 'copied');
  assert.equal(reasonOf(await copy.prepare({ ...next, acceptLoss: false })), 'copied');
  assert.equal(reasonOf(await copy.handover({ ...next, acceptLoss: false })), 'copied');
  assert.equal(reasonOf(await copy.handover({ ...next, acceptLoss: true })), 'not-allowed');
  await allowNext(io, '/copy', 'new-generation');
  const begunAnew = headOf(await copy.handover({ ...next, acceptLoss: true }));
  assert.notEqual(begunAnew.key, prepared.key);
  assert.equal(reasonOf(await copy.advance(ask(leaves))), 'other-generation');
});

const put = async (io: Io, name: string, octets: Uint8Array): Promise<void> => {
  const file = await io.open(`${folder}/${name}`, 'create');
  await file.truncate(0);
  await file.write([octets], 0);
  await file.close();
};

test('an older state put back signs nothing: it cannot know what was signed since', async () => {
  const io = await newFs();
  let sealer = await begun(io);
  const writer = await writeLedger(io, leavesOf(10));
  headOf(await sealer.advance(ask(leavesOf(10))));
  const old = await io.readFile(`${folder}/state`);
  await writer.append(leavesOf(20).slice(10));
  const published = headOf(await sealer.advance(ask(leavesOf(20))));
  await writer.writeCheckpoint(published.note);
  await put(io, 'state', old);
  sealer = await openSealer(io);
  assert.equal(reasonOf(await sealer.head()), 'rolled-back');
  await writeLedger(io, leavesOf(25));
  for (const size of [10, 15, 20, 25])
    assert.equal(reasonOf(await sealer.advance(ask(leavesOf(size)))), 'rolled-back');
  // A new generation names the head that was published, not the one that is remembered.
  const next = { generation: 2, origin: nextOrigin, acceptLoss: true };
  assert.equal(reasonOf(await sealer.handover(next)), 'not-allowed');
  await allowNext(io, folder, 'new-generation');
  const prepared = await sealer.prepare(next);
  assert(prepared.kind === 'prepared');
  assert.deepEqual([prepared.previous?.size, prepared.previous?.root], [20, published.root]);
  assert.equal(headOf(await sealer.handover(next)).generation, 2);
  assert.deepEqual(sealer.previous, prepared.previous);
});

test('a generation ends with the leaf that names the next key, permitted by the sealer’s side', async () => {
  const io = await newFs();
  const sealer = await begun(io);
  const next = { generation: 2, origin: nextOrigin, acceptLoss: false };
  let leaves = leavesOf(20);
  await writeLedger(io, leaves);
  headOf(await sealer.advance(ask(leaves)));
  assert.equal(reasonOf(await sealer.prepare(next)), 'not-allowed');
  const allowed = await allowNext(io, folder, 'rotation');
  const prepared = await sealer.prepare(next);
  assert(prepared.kind === 'prepared');
  assert.equal(prepared.key, allowed.nextKey, 'whoever permits it knows the key before it is used');
  assert.deepEqual(await sealer.prepare(next), prepared);
  assert.equal(parseVerifierKey(prepared.key).name, nextOrigin);
  assert.equal(reasonOf(await sealer.handover(next)), 'no-handover-leaf');
  leaves = [...leaves, encodeLeaf({ kind: 'handover', seq: 1, timeMs: 0, key: prepared.key })];
  await writeLedger(io, leaves);
  assert.equal(reasonOf(await sealer.handover(next)), 'no-handover-leaf');
  const last = headOf(await sealer.advance(ask(leaves)));
  const first = headOf(await sealer.handover(next));
  assert.deepEqual([first.generation, first.size, first.key], [2, 0, prepared.key]);
  assert.deepEqual(sealer.previous, { origin, size: last.size, root: last.root });
  assert.deepEqual(headOf(await sealer.handover(next)), first);
  assert.deepEqual((await io.readFolder(folder)).sort(), ['g2.key', 'state'], 'the old key is destroyed');
  assert.equal(reasonOf(await sealer.advance(ask(leaves))), 'other-generation');
  assert.equal(
    reasonOf(await sealer.handover({ generation: 1, origin, acceptLoss: true })),
    'generation-used',
  );
  const second = secondOf(last, 3);
  await writeLedger(io, second, 2);
  const again = await openSealer(io);
  assert.deepEqual(again.previous, sealer.previous);
  assert.equal(headOf(await again.advance(ask(second, 2))).size, 3);
  const third = 'mail.fengni.test/fengni/s0/g3';
  const lossyNext = { generation: 3, origin: third, acceptLoss: true };
  assert.equal(reasonOf(await again.handover(lossyNext)), 'not-allowed');
  await allowNext(io, folder, 'new-generation');
  for (const [reason, request] of [
    ['other-origin', { ...lossyNext, origin: nextOrigin }],
    ['other-origin', { ...lossyNext, origin: 'evil.test/fengni/s0/g3' }],
    ['other-origin', { ...lossyNext, origin: 'mail.fengni.test/fengni/s1/g3' }],
    ['other-generation', { ...lossyNext, generation: 900, origin: 'mail.fengni.test/fengni/s0/g900' }],
    ['not-allowed', { ...lossyNext, acceptLoss: false }],
  ] as const) {
    assert.equal(reasonOf(await again.prepare(request)), reason);
    assert.equal(reasonOf(await again.handover(request)), reason);
  }
  const lossy = headOf(await again.handover(lossyNext));
  assert.deepEqual([lossy.origin, lossy.size], [third, 0]);
  const fourth = { generation: 4, origin: 'mail.fengni.test/fengni/s0/g4', acceptLoss: true };
  assert.equal(reasonOf(await again.handover(fourth)), 'not-allowed', 'a permission is for one step');
});

test('a generation that does not begin with the last head of the one before is not signed', async () => {
  const io = await newFs();
  const sealer = await begun(io);
  const leaves = leavesOf(20);
  await writeLedger(io, leaves);
  const last = headOf(await sealer.advance(ask(leaves)));
  await allowNext(io, folder, 'new-generation');
  headOf(await sealer.handover({ generation: 2, origin: nextOrigin, acceptLoss: true }));
  const shorter = { origin, size: 10, root: rootOf(leaves.slice(0, 10)) };
  const late = [...leavesOf(5), ...secondOf(last, 3)];
  const later = { ...last, origin: nextOrigin };
  for (const [what, attempt] of [
    ['no genesis', leavesOf(5)],
    ['a genesis that names nothing', [encodeLeaf({ kind: 'genesis', seq: 1, timeMs: 0, previous: null })]],
    ['fewer leaves', secondOf(shorter, 5)],
    ['another root', secondOf({ ...last, root: shorter.root }, 5)],
    ['another log', secondOf({ ...last, origin: 'evil.test/fengni/s0/g1' }, 5)],
    ['its own generation', secondOf(later, 5)],
    ['a genesis behind other leaves', late],
  ] as const) {
    const other = new SimFs({ seed: 5 });
    await other.makeFolder('/ledger');
    await writeLedger(other, attempt, 2);
    const asked = await Sealer.open({ io, ledgerIo: other, folder, ledgerFolder });
    assert.equal(reasonOf(await asked.advance(ask(attempt, 2))), 'no-genesis-leaf', what);
  }
  const good = [leavesOf(1)[0] as Uint8Array, ...secondOf(last, 3)];
  await writeLedger(io, good, 2);
  assert.equal(headOf(await sealer.advance(ask(good, 2))).size, 4);
});

test('a permission ends after an hour, with its generation, and by any octet that is wrong', async () => {
  const io = await newFs();
  const sealer = await begun(io);
  const next = { generation: 2, origin: nextOrigin, acceptLoss: false };
  const { kind, after, untilMs } = await allowNext(io, folder, 'rotation');
  const good = encodeAllowance({ kind, after, untilMs });
  assert.deepEqual(parseAllowance(good), { kind, after, untilMs });
  for (const octets of [
    encodeAllowance({ kind, after, untilMs: io.clock.nowMs() - 1 }),
    encodeAllowance({ kind, after: 0, untilMs }),
    encodeAllowance({ kind, after: 2, untilMs }),
    encodeAllowance({ kind: 'new-generation', after, untilMs }),
    good.subarray(0, -1),
    utf8(`${new TextDecoder().decode(good)}\n`),
    new Uint8Array(0),
  ]) {
    await put(io, 'allow', octets);
    assert.equal(reasonOf(await sealer.prepare(next)), 'not-allowed');
  }
  await put(io, 'allow', good);
  assert.equal((await sealer.prepare(next)).kind, 'prepared');
});

test('a lost memory refuses by name; with a permission the folder begins another generation, and nothing else', async () => {
  const io = await newFs();
  const sealer = openSealerAgain({ io, folder, ledgerFolder });
  headOf(await sealer.create({ generation: 1, origin }));
  await writeLedger(io, leavesOf(20));
  const last = headOf(await sealer.advance(ask(leavesOf(20))));
  await io.remove(`${folder}/state`);
  const lost = openSealerAgain({ io, folder, ledgerFolder });
  for (const outcome of [
    await lost.head(),
    await lost.create({ generation: 1, origin }),
    await lost.create({ generation: 2, origin: nextOrigin }),
    await lost.advance(ask(leavesOf(20))),
  ])
    assert.equal(reasonOf(outcome), 'sealer-state-lost');
  await assert.rejects(allowNext(io, folder, 'rotation'), { code: 'sealer-not-begun' });
  const allowed = await allowNext(io, folder, 'new-generation');
  assert.deepEqual(await io.readFolder(allowed.kept ?? ''), ['g1.key']);
  assert.equal(reasonOf(await lost.head()), 'no-generation');
  // The generation whose memory was lost is over: nobody gets a second key for it.
  assert.equal(reasonOf(await lost.create({ generation: 1, origin })), 'not-allowed');
  const begunAgain = headOf(await lost.create({ generation: 2, origin: nextOrigin }));
  assert.notEqual(begunAgain.key, last.key);
  assert.equal(reasonOf(await lost.advance(ask(leavesOf(20)))), 'other-generation');
  assert.equal(reasonOf(await lost.create({ generation: 3, origin })), 'generation-used');
});

test('a state or key that was lost, changed or exchanged is refused by name', async () => {
  const io = await newFs();
  const sealer = await begun(io);
  await writeLedger(io, leavesOf(20));
  headOf(await sealer.advance(ask(leavesOf(20))));
  const state = await io.readFile(`${folder}/state`);
  const put = async (name: string, octets: Uint8Array): Promise<void> => {
    const file = await io.open(`${folder}/${name}`, 'create');
    await file.truncate(0);
    await file.write([octets], 0);
    await file.close();
  };
  for (let at = 0; at < state.length; at++) {
    await put('state', state.with(at, (state[at] as number) ^ (1 << (at % 7))));
    await assert.rejects(openSealer(io), { code: 'sealer-state-damaged' }, `octet ${at}`);
  }
  await put('state', state.subarray(0, -1));
  await assert.rejects(openSealer(io), { code: 'sealer-state-damaged' });
  await put('state', state);
  const key = await io.readFile(`${folder}/g1.key`);
  await put('g1.key', key.with(key.length - 5, 65));
  await assert.rejects(openSealer(io), (error: Error & { code: string }) => {
    assert(!error.message.includes('PRIVATE'));
    return error.code === 'sealer-key-lost';
  });
  await put('g1.key', key);
  await io.remove(`${folder}/state`);
  await assert.rejects(openSealer(io), { code: 'sealer-state-lost' });
});

test('after a failed write nothing is signed until the folder is opened again', async () => {
  let failing = false;
  const io = new SimFs({
    seed: 3,
    fault: (call) => (failing && call.operation === 'sync' && call.path.startsWith(folder) ? 'EIO' : null),
  });
  await io.makeFolder(folder);
  const sealer = await begun(io);
  await writeLedger(io, leavesOf(5));
  failing = true;
  await assert.rejects(sealer.advance(ask(leavesOf(5))), { code: 'io-error' });
  failing = false;
  await assert.rejects(sealer.head(), { code: 'sealer-unusable' });
  await assert.rejects(sealer.advance(ask(leavesOf(5))), { code: 'sealer-unusable' });
  assert.equal(headOf(await (await openSealer(io)).advance(ask(leavesOf(5)))).size, 5);
});

test('a power cut at any operation on its folder: never two roots for one size, never fewer leaves than answered, one key', async () => {
  const sizes = [1, 3, 260, 261];
  const leaves = leavesOf(261);
  const handoverSeq = 999;

  /** Everything that left the sealer, over all lives of the machine. */
  interface World {
    roots: Map<string, string>;
    answered: Map<number, number>;
    keys: Map<number, string>;
  }
  const note = (world: World, outcome: SealerOutcome): SealerHead => {
    const head = headOf(outcome);
    const place = `${head.generation} ${head.size}`;
    const root = base64(head.root);
    assert.equal(world.roots.get(place) ?? root, root, `two heads of ${place}`);
    world.roots.set(place, root);
    assert(head.size >= (world.answered.get(head.generation) ?? 0), `a shrink to ${place}`);
    world.answered.set(head.generation, head.size);
    if (head.size > 0) {
      assert.equal(world.keys.get(head.generation) ?? head.key, head.key, 'one key a generation');
      world.keys.set(head.generation, head.key);
    }
    return head;
  };

  const live = async (io: SimFs, world: World): Promise<void> => {
    const sealer = await openSealer(io);
    const known = await sealer.head();
    if (known.kind === 'refused') assert.equal(known.reason, 'no-generation');
    let head =
      known.kind === 'signed'
        ? note(world, known)
        : note(world, await sealer.create({ generation: 1, origin }));
    if (head.generation === 1) {
      let all = leaves;
      for (const size of sizes) {
        const own = leaves.slice(0, size);
        await writeLedger(io, own);
        if (size >= head.size) head = note(world, await sealer.advance(ask(own)));
      }
      await allowNext(io, folder, 'rotation');
      const prepared = await sealer.prepare({ generation: 2, origin: nextOrigin, acceptLoss: false });
      assert(prepared.kind === 'prepared');
      all = [...all, encodeLeaf({ kind: 'handover', seq: handoverSeq, timeMs: 0, key: prepared.key })];
      await writeLedger(io, all);
      head = note(world, await sealer.advance(ask(all)));
      assert.equal(world.keys.get(2) ?? prepared.key, prepared.key);
      world.keys.set(2, prepared.key);
      head = note(world, await sealer.handover({ generation: 2, origin: nextOrigin, acceptLoss: false }));
    }
    const { previous } = parseState(await io.readFile(`${folder}/state`));
    assert(previous !== null);
    const second = secondOf(previous, 2);
    await writeLedger(io, second, 2);
    note(world, await sealer.advance(ask(second, 2)));
  };

  let cuts = 0;
  for (let cutAt = 2; ; cutAt++) {
    const world: World = { roots: new Map(), answered: new Map(), keys: new Map() };
    let calls = 0;
    const isOwn = (path: string): boolean => path === folder || path.startsWith(`${folder}/`);
    let io = new SimFs({
      seed: cutAt,
      fault: (call) => (isOwn(call.path) && calls++ === cutAt ? 'power-cut' : null),
    });
    await io.makeFolder(folder);
    await io.syncFolder('/');
    try {
      await live(io, world);
      break;
    } catch (error) {
      assert(io.isOff || isPowerCut(error), String(error));
    }
    cuts++;
    io = io.cutPower({ seed: cutAt });
    const sealer = await openSealer(io);
    const after = await sealer.head();
    const highest = Math.max(...world.answered.keys(), 0);
    if (after.kind === 'signed') assert(after.head.generation >= highest);
    else assert.equal(highest, 0, 'an answered head is remembered');
    // a log with another history up to a size that was answered is refused
    const answered = world.answered.get(1) ?? 0;
    if (after.kind === 'signed' && after.head.generation === 1 && answered > 0) {
      const other = leavesOf(after.head.size, 'other');
      assert.equal(reasonOf(await sealer.advance(ask(other))), 'fork');
    }
    await live(io, world);
  }
  assert(cuts > 60, `${cuts} cuts`);
});
