import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { equalBytes } from '#base/bytes';
import { allowNext, parseState, Sealer, type SealerOutcome } from '#services/sealer';
import { nodeIo } from '#store/durable';
import { LedgerReader, LedgerWriter } from '#store/ledger';
import { leafHash, parseCheckpoint, treeRoot } from '#trust/seal';
import { newFolder } from './injections.ts';
import { openStore } from './store-machine.ts';

// Whoever has the writer's rights and all its code can ask the sealer for anything and rewrite the ledger's files; none of it gets a second
// history signed. Each row is one attempt: what is done to files, what is asked, why it is refused.

const origin = 'mail.fengni.test/fengni/s0/g1';
const parent = newFolder();
after(() => fs.rmSync(parent, { recursive: true, force: true }));

interface Attack {
  data: string;
  sealer: Sealer;
  leaves: readonly Uint8Array[];
  /** the head signed last */
  size: number;
  root: Uint8Array;
  /** the sealer's state two heads ago */
  olderState: Uint8Array;
}

const ledgerOf = (data: string): string => path.join(data, 'ledger/g1');
const openSealer = (data: string, folder = path.join(data, 'sealer')): Promise<Sealer> =>
  Sealer.open({ io: nodeIo, folder, ledgerFolder: () => ledgerOf(data) });
const rootOf = (leaves: readonly Uint8Array[]): Uint8Array => treeRoot(leaves.map(leafHash));

let folders = 0;
/** A data folder whose writer has just been taken over: three heads were signed. */
const takenOver = async (): Promise<Attack> => {
  folders += 1;
  const data = path.join(parent, `data-${folders}`);
  const opened = await openStore({ io: nodeIo, folder: data });
  assert.ok(opened.kind === 'store');
  let olderState = new Uint8Array(0);
  for (let round = 0; round < 3; round++) {
    await opened.writer.queue.submit({
      accounts: [],
      reads: 'rows',
      bytes: 1_024,
      decide: ({ draft }) => {
        for (let event = 0; event < 3; event++) draft.administrative('config', { round, event });
        return { kind: 'done' };
      },
    });
    await opened.writer.settleHeads();
    if (round === 0) olderState = new Uint8Array(fs.readFileSync(path.join(data, 'sealer/state')));
  }
  await opened.stop();
  const head = parseCheckpoint(fs.readFileSync(path.join(ledgerOf(data), 'checkpoint')));
  const reader = new LedgerReader(nodeIo, ledgerOf(data));
  const leaves = await Array.fromAsync(reader.entries(0, head.size, head.size), (entry) => entry.slice());
  assert.ok(equalBytes(rootOf(leaves), head.root));
  return { data, sealer: await openSealer(data), leaves, size: head.size, root: head.root, olderState };
};

const forged = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, at) => Buffer.from(`forged leaf ${at}`));

/** Puts another history into the ledger's tiles; everything in there is the writer's to write. */
const rewrite = async (data: string, leaves: readonly Uint8Array[]): Promise<void> => {
  fs.rmSync(path.join(ledgerOf(data), 'tile'), { recursive: true });
  const writer = await LedgerWriter.open(nodeIo, ledgerOf(data));
  await writer.append(leaves);
};

const advance = (sealer: Sealer, leaves: readonly Uint8Array[], more: object = {}): Promise<SealerOutcome> =>
  sealer.advance({ generation: 1, origin, size: leaves.length, root: rootOf(leaves), ...more });

const attempts: readonly [
  what: string,
  refusal: string,
  attempt: (attack: Attack) => Promise<SealerOutcome>,
][] = [
  [
    'a second head of the same size over other leaves',
    'fork',
    async ({ data, sealer, size }) => {
      await rewrite(data, forged(size));
      return advance(sealer, forged(size));
    },
  ],
  [
    'a second head of the same size whose last leaf differs',
    'fork',
    async ({ data, sealer, leaves }) => {
      const other = [...leaves.slice(0, -1), ...forged(1)];
      await rewrite(data, other);
      return advance(sealer, other);
    },
  ],
  ['fewer leaves', 'shrink', async ({ sealer, leaves }) => advance(sealer, leaves.slice(0, -1))],
  ['no leaves', 'shrink', async ({ sealer }) => advance(sealer, [])],
  [
    'more leaves over a rewritten beginning',
    'root-mismatch',
    async ({ data, sealer, leaves }) => {
      const other = [...forged(1), ...leaves.slice(1), ...forged(5)];
      await rewrite(data, other);
      return advance(sealer, other);
    },
  ],
  [
    'more leaves of which one that was sealed is left out',
    'root-mismatch',
    async ({ data, sealer, leaves }) => {
      const other = [...leaves.slice(0, 4), ...leaves.slice(5), ...forged(9)];
      await rewrite(data, other);
      return advance(sealer, other);
    },
  ],
  [
    'a root that the entries do not give',
    'root-mismatch',
    async ({ data, sealer, leaves }) => {
      await rewrite(data, [...leaves, ...forged(3)]);
      return advance(sealer, [...leaves, ...forged(3)], { root: rootOf(forged(4)) });
    },
  ],
  [
    'leaves that are in no tile',
    'entries-unreadable',
    async ({ sealer, leaves }) => advance(sealer, [...leaves, ...forged(600)]),
  ],
  [
    'another generation',
    'other-generation',
    async ({ sealer, leaves }) => advance(sealer, leaves, { generation: 2 }),
  ],
  [
    'another origin',
    'other-origin',
    async ({ sealer, leaves }) => advance(sealer, leaves, { origin: 'evil.test/fengni/s0/g1' }),
  ],
  [
    'the generation begun anew under another origin',
    'generation-used',
    async ({ sealer }) => sealer.create({ generation: 1, origin: 'evil.test/fengni/s0/g1' }),
  ],
  [
    'the next generation without the leaf that hands over',
    'no-handover-leaf',
    async ({ data, sealer }) => {
      await allowNext(nodeIo, path.join(data, 'sealer'), 'rotation');
      return sealer.handover({ generation: 2, origin: 'mail.fengni.test/fengni/s0/g2', acceptLoss: false });
    },
  ],
  [
    'the next generation without a permission of the sealer’s side',
    'not-allowed',
    async ({ sealer }) =>
      sealer.handover({ generation: 2, origin: 'mail.fengni.test/fengni/s0/g2', acceptLoss: true }),
  ],
  [
    'a state put back, then the leaves since then replaced',
    'rolled-back',
    async ({ data, leaves, size, olderState }) => {
      fs.writeFileSync(path.join(data, 'sealer/state'), olderState);
      const sealer = await openSealer(data);
      const before = parseState(olderState).range.size;
      assert.ok(before < size);
      const other = [...leaves.slice(0, before), ...forged(size)];
      await rewrite(data, other);
      return advance(sealer, other);
    },
  ],
  [
    'a state put back, then fewer leaves than were published',
    'rolled-back',
    async ({ data, leaves, olderState }) => {
      fs.writeFileSync(path.join(data, 'sealer/state'), olderState);
      return advance(await openSealer(data), leaves.slice(0, -1));
    },
  ],
  [
    'a copy of the folder, with the next leaves',
    'copied',
    async ({ data, leaves }) => {
      const copy = path.join(data, '..', `copy-${path.basename(data)}`);
      fs.cpSync(path.join(data, 'sealer'), copy, { recursive: true });
      await rewrite(data, [...leaves, ...forged(2)]);
      return advance(await openSealer(data, copy), [...leaves, ...forged(2)]);
    },
  ],
  [
    'a copy put where the folder was',
    'copied',
    async ({ data, leaves }) => {
      const own = path.join(data, 'sealer');
      fs.cpSync(own, `${own}-copy`, { recursive: true });
      fs.renameSync(own, `${own}-away`);
      fs.renameSync(`${own}-copy`, own);
      return advance(await openSealer(data), leaves);
    },
  ],
];

for (const [what, refusal, attempt] of attempts) {
  test(`${what}: refused (${refusal}), and afterwards the sealer says the same as before`, async () => {
    const attack = await takenOver();
    const outcome = await attempt(attack);
    assert.equal(outcome.kind === 'refused' ? outcome.reason : 'signed', refusal);
    // The sealer that was there all along, in its own folder.
    const head = await attack.sealer.head();
    assert.ok(
      head.kind === 'signed' && head.head.size === attack.size && equalBytes(head.head.root, attack.root),
    );
  });
}

for (const size of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 2 ** 60]) {
  test(`a head of ${size} leaves is not signed`, async () => {
    const { sealer, root } = await takenOver();
    const outcome = await sealer.advance({ generation: 1, origin, size, root }).catch(() => null);
    assert.notEqual(outcome?.kind, 'signed');
  });
}

test('killed after it persisted and before it answered: the same head again, and no other', async () => {
  const { data, sealer, leaves } = await takenOver();
  const more = [...leaves, ...forged(4)];
  await rewrite(data, more);
  const lost = await advance(sealer, more);
  const again = await openSealer(data);
  const repeated = await advance(again, more);
  assert.ok(lost.kind === 'signed' && repeated.kind === 'signed');
  assert.ok(equalBytes(lost.head.note, repeated.head.note));
  const other = [...leaves, ...forged(5).slice(1)];
  await rewrite(data, other);
  const second = await advance(again, other);
  assert.equal(second.kind === 'refused' ? second.reason : 'signed', 'fork');
});
