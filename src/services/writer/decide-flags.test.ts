import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { removeProjections } from '#app/control';
import { nodeIo } from '#store/durable';
import type { FlagMode } from '#store/index';
import { openSpool } from '#store/large';
import { deliver, letter } from '../../../bench/support/letters.ts';
import { openStore, type StoreMachine } from '../../../test/faults/store-machine.ts';
import { addAccount, addDomain } from './index.ts';

const address = 'ann@fengni.test';
const messages = 6;

const opened = async (folder: string): Promise<StoreMachine> => {
  const store = await openStore({ io: nodeIo, folder });
  assert(store.kind === 'store');
  return store;
};

const flagsOf = ({ writer }: StoreMachine, mailbox: string) =>
  writer.index
    .placements(mailbox, 0, 100)
    .map(({ uid, flags, keywords, modSeq }) => [uid, flags, keywords, modSeq]);

interface Change {
  uids: string;
  mode: FlagMode;
  flags: string[];
}
const uid = fc.integer({ min: 1, max: messages + 1 });
const change: fc.Arbitrary<Change> = fc.record({
  uids: fc.oneof(
    uid.map(String),
    fc.tuple(uid, uid).map(([a, b]) => `${Math.min(a, b)}:${Math.max(a, b)}`),
  ),
  mode: fc.constantFrom<FlagMode>('add', 'remove', 'replace'),
  flags: fc.uniqueArray(fc.constantFrom('\\Seen', '\\Flagged', '$Old', 'Work', '\\Deleted'), {
    maxLength: 3,
  }),
});

test('changes of flags that arrive together share a group, and give what one after the other gives', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-flags-'));
  let store = await opened(folder);
  try {
    await store.writer.queue.submit(addDomain('fengni.test'));
    await store.writer.queue.submit(addAccount(address));
    const [account = ''] = store.writer.index.accounts();
    const spool = openSpool({ io: nodeIo, folder, owner: 'mx' });
    const boxes: string[] = [];
    for (const name of ['together', 'alone']) {
      const made = await store.writer.createMailbox({ account, name, role: null, origin: '' });
      assert(made.kind === 'done');
      const mailbox = store.writer.index.mailboxByName(account, name)?.id ?? '';
      boxes.push(mailbox);
      const inbox = store.writer.index.mailboxByName(account, 'INBOX')?.id ?? '';
      for (let count = 0; count < messages; count++)
        await deliver(store.writer, spool, { account, address }, letter(address, 600));
      const moved = await store.writer.copy({
        account,
        mailbox: inbox,
        uids: '1:4294967295',
        target: mailbox,
        move: true,
        origin: '',
      });
      assert(moved.kind === 'done');
    }
    const [together = '', alone = ''] = boxes;
    const submit = (mailbox: string, each: Change) =>
      store.writer.changeFlags({ account, mailbox, origin: '', ...each });
    // Keywords that a mailbox has not seen keep a change from sharing: both know these already, in the same order.
    for (const mailbox of boxes) await submit(mailbox, { uids: '1', mode: 'add', flags: ['$Old', 'Work'] });

    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 12 }), async (changes) => {
        const before = (await store.writer.status()).nextSeq;
        const at = store.writer.index.appliedSeq();
        const shared = await Promise.all(changes.map((each) => submit(together, each)));
        const framesOfOne = (await store.writer.status()).nextSeq - before;
        assert.ok(at < before);
        const one = [];
        for (const each of changes) one.push(await submit(alone, each));
        const said = (outcomes: typeof shared) =>
          outcomes.map((outcome) => (outcome.kind === 'done' ? outcome.uids : outcome.kind));
        assert.deepEqual(said(shared), said(one));
        const modSeqs = shared.flatMap((outcome) =>
          outcome.kind === 'done' && outcome.uids !== '' ? [outcome.modSeq] : [],
        );
        // One STATE each, and one COMMIT for all of them.
        assert.equal(framesOfOne, modSeqs.length === 0 ? 0 : modSeqs.length + 1);
        assert.equal(new Set(modSeqs).size, modSeqs.length);
        const strip = (rows: ReturnType<typeof flagsOf>) =>
          rows.map(([number, bits, keywords]) => [number, bits, keywords]);
        assert.deepEqual(strip(flagsOf(store, together)), strip(flagsOf(store, alone)));
      }),
      { numRuns: 40, endOnFailure: true },
    );

    const dump = [...store.writer.index.dump()];
    await store.stop();
    removeProjections(folder);
    store = await opened(folder);
    assert.deepEqual([...store.writer.index.dump()], dump);

    // Whatever reads rows sees flags that were changed just before.
    const [, gone] = await Promise.all([
      submit(together, { uids: '2', mode: 'add', flags: ['\\Deleted'] }),
      store.writer.expunge({ account, mailbox: together, uids: '2', deletedOnly: true, origin: '' }),
    ]);
    assert(gone.kind === 'done');
    assert.equal(gone.uids, '2');
    // UNCHANGEDSINCE: what came with the very same group counts as changed (RFC 7162 §3.1.3).
    const modSeq = store.writer.index.mailbox(together)?.highestModSeq ?? 0;
    await submit(together, { uids: '4:5', mode: 'replace', flags: [] });
    const unchangedSince = store.writer.index.mailbox(together)?.highestModSeq ?? modSeq;
    const [, late] = await Promise.all([
      submit(together, { uids: '4', mode: 'add', flags: ['\\Draft'] }),
      store.writer.changeFlags({
        account,
        mailbox: together,
        uids: '4:5',
        mode: 'add',
        flags: ['\\Answered'],
        unchangedSince,
        origin: '',
      }),
    ]);
    assert(late.kind === 'done');
    assert.deepEqual([late.uids, late.modified], ['5', '4']);
    const [seen, after] = await Promise.all([
      store.writer.expunge({ account, mailbox: together, uids: '3', deletedOnly: false, origin: '' }),
      submit(together, { uids: '3', mode: 'replace', flags: ['\\Flagged'] }),
    ]);
    assert(seen.kind === 'done' && after.kind === 'done');
    assert.deepEqual([seen.uids, after.uids], ['3', '']);
  } finally {
    await store.stop();
    fs.rmSync(folder, { recursive: true });
  }
});
