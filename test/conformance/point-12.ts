import assert from 'node:assert/strict';
import { equalBytes } from '#base/bytes';
import { FengniError } from '#base/errors';
import { keyLines, makeReceipt, type ReceiptOutcome } from '#services/integrity';
import {
  commitContent,
  encodeRecipient,
  leafHash,
  parseKeyFile,
  parseReceipt,
  verifyReceipt,
} from '#trust/seal';
import { days } from './point-01.ts';
import type { Point } from './suite.ts';
import { data, mail, type Sent, type World } from './world.ts';

// Made to fail once, by a mistake in the code: every message counts as one of generation 1; 8 of 32 runs failed.

const receiptOf = (
  world: World,
  id: string,
  more: { recipient?: string; withSender?: boolean; full?: boolean } = {},
): Promise<ReceiptOutcome> =>
  makeReceipt(
    {
      io: world.machine,
      folder: data,
      shard: 0,
      index: world.index,
      directory: world.directory,
      clock: world.io.clock,
      waitMs: 0,
    },
    { id, full: more.full ?? false, withSender: more.withSender ?? false, recipient: more.recipient ?? null },
  );

const made = async (...call: Parameters<typeof receiptOf>): Promise<Uint8Array> => {
  const outcome = await receiptOf(...call);
  assert.equal(outcome.kind, 'made');
  return outcome.kind === 'made' ? outcome.octets : new Uint8Array(0);
};

const asRead = ({ prefixes, octets }: Sent, copy = 0): Uint8Array =>
  new Uint8Array(Buffer.concat([prefixes[copy] ?? new Uint8Array(0), octets]));

const verified = (world: World, receipt: Uint8Array, file: Uint8Array) => {
  const verdict = verifyReceipt({ receipt, mail: file, keys: parseKeyFile(keyLines(world.directory)) });
  assert.ok(verdict.good, `${verdict.failure?.name} ${String(verdict.failure?.reason)}`);
  assert.ok(receipt.length <= 4_000);
  return verdict;
};

const many = ['ann', 'bo', 'cy', 'di', 'eve'];

/** All texts of a receipt, its base-64 part opened too. */
const textOf = (receipt: Uint8Array): string => {
  const text = Buffer.from(receipt).toString('utf8');
  const extra = /^extra (.*)$/m.exec(text)?.[1] ?? '';
  return `${text}\n${Buffer.from(extra, 'base64').toString('utf8')}`;
};

export const point12: Point = {
  number: 12,
  title: 'Receipts: pending, one recipient of many opened, an old generation, after erasure',
  cases: [
    {
      title: 'pending before a signed head, and then it verifies; what was sealed verifies all the time',
      run: async (world) => {
        const first = await world.deliver(mail('sealed'), ['ann', 'bo']);
        assert.equal((await receiptOf(world, first.id)).kind, 'not-sealed');
        await world.seal();
        const second = await world.deliver(mail('not yet'), ['ann']);
        return async () => {
          for (const [copy] of ['ann', 'bo'].entries())
            verified(world, await made(world, first.id), asRead(first, copy));
          // A writer that stops has its last leaves sealed; one that crashes has not.
          const pending = await receiptOf(world, second.id);
          if (pending.kind === 'made') verified(world, pending.octets, asRead(second));
          else assert.equal(pending.kind, 'not-sealed');
          await world.seal();
          if (world.writer.sealStatus().sealer === 'signing')
            verified(world, await made(world, second.id), asRead(second));
          else assert.equal((await receiptOf(world, second.id)).kind, pending.kind);
          assert.equal((await receiptOf(world, 'a'.repeat(26))).kind, 'unknown-message');
        };
      },
    },
    {
      title: 'one recipient of many opened: that one is proved, and no other address can be derived',
      options: { people: many },
      run: async (world) => {
        const sent = await world.deliver(mail('to many'), many);
        await world.seal();
        return async () => {
          for (const name of ['bo', 'eve']) {
            const address = `${name}@fengni.test`;
            const receipt = await made(world, sent.id, { recipient: address, withSender: true, full: true });
            const { facts } = verified(world, receipt, asRead(sent));
            assert.ok(facts?.openings.rcp);
            assert.equal(facts.openings.rcp.address, address);
            const text = textOf(receipt);
            const others = many.filter((other) => other !== name);
            for (const other of others) assert.ok(!text.includes(`${other}@fengni.test`), other);
            // Whoever guesses an address cannot test the guess: each has a salt of its own, which nobody was given.
            const { salt, path } = parseReceipt(receipt).openings.rcp ?? assert.fail();
            for (const other of others) {
              const guess = leafHash(commitContent('rcp', salt, encodeRecipient(`${other}@fengni.test`)));
              assert.ok(!path.some((hash) => equalBytes(hash, guess)));
            }
          }
          const closed = textOf(await made(world, sent.id));
          for (const name of many) assert.ok(!closed.includes(`${name}@fengni.test`));
          assert.ok(!closed.includes('peer@example.org'), 'nor the sender');
          assert.equal(
            (await receiptOf(world, sent.id, { recipient: 'xi@fengni.test' })).kind,
            'unknown-recipient',
          );
        };
      },
    },
    {
      title: 'of an old generation: its receipts verify still, made before and made anew',
      run: async (world) => {
        const sent = await world.deliver(mail('in generation 1'), ['ann']);
        await world.seal();
        const before = await made(world, sent.id);
        const backup = world.backup();
        await world.deliver(mail('lost'), ['ann']);
        await world.seal();
        const head = world.signed.at(-1);
        assert.ok(head);
        await world.stop();
        await world.moveTo(backup);
        await world.acceptLoss([head]);
        await world.start();
        const { generation } = await world.writer.status();
        assert.equal(generation, 2);
        return async () => {
          verified(world, before, asRead(sent));
          verified(world, await made(world, sent.id), asRead(sent));
          const later = await world.deliver(mail('in generation 2'), ['ann']);
          // Nothing of the old generation's head covers it.
          await world.seal();
          const outcome = await receiptOf(world, later.id);
          if (outcome.kind === 'made') assert.equal(outcome.head.generation, 2);
          else assert.equal(outcome.kind, 'not-sealed');
        };
      },
    },
    {
      title: 'after erasure: what was made before verifies, none is made anew, and every other one is',
      options: { recoverableDays: 1 },
      run: async (world) => {
        const gone = await world.deliver(mail('to be erased'), ['ann']);
        const stays = await world.deliver(mail('stays'), ['ann']);
        await world.seal();
        const kept = await made(world, gone.id);
        await world.done(world.writer.expunge({ ...world.at('ann'), uids: '1', deletedOnly: false }));
        await days(world, 3);
        return async () => {
          verified(world, kept, asRead(gone));
          const again = await receiptOf(world, gone.id).catch((error: unknown) => error);
          if (again instanceof FengniError) assert.equal(again.code, 'message-erased');
          else assert.equal((again as ReceiptOutcome).kind, 'unknown-message');
          verified(world, await made(world, stays.id), asRead(stays));
        };
      },
    },
  ],
};
