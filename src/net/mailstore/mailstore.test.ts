import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { listenOnPath, serveIpc } from '#net/ipc';
import type { MailstoreChange, MailstoreWriter, RecipientVerdict } from '#services/mailstore';
import { createMailstoreClient } from './client.ts';
import { mailstoreMethods } from './server.ts';

/** A writer that knows one address, and tells how often it was asked. */
const served = async (t: TestContext) => {
  const folder = mkdtempSync(join(tmpdir(), 'fengni-mailstore-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const asked: string[] = [];
  let change = (_: MailstoreChange): void => {};
  let addressesChange = (): void => {};
  let account = 'a1';
  const writer = {
    status: async () => ({}),
    resolve: async (address: string): Promise<RecipientVerdict> => {
      asked.push(address);
      return address.startsWith('ann')
        ? { kind: 'accepted', recipients: [{ account, detail: null }] }
        : { kind: 'unknown' };
    },
    onChange: (listener: (change: MailstoreChange) => void) => {
      change = listener;
      return () => {};
    },
    onAddresses: (listener: () => void) => {
      addressesChange = listener;
      return () => {};
    },
    onErased: () => () => {},
  };
  const mailstore = mailstoreMethods(writer as unknown as MailstoreWriter);
  const path = join(folder, 's');
  const listen = async () => {
    const server = createServer();
    await listenOnPath(server, path);
    return serveIpc(server, { methods: mailstore.methods, onClose: mailstore.forget });
  };
  let ipc = await listen();
  t.after(() => ipc.close(0));
  const client = createMailstoreClient({ path, waitMs: 2_000, watches: true });
  t.after(() => client.close());
  return {
    client,
    asked,
    change: (each: MailstoreChange) => change(each),
    move: (to: string) => {
      account = to;
      addressesChange();
    },
    restart: async () => {
      await ipc.close(0);
      ipc = await listen();
    },
  };
};

const accountOf = (verdict: RecipientVerdict): string =>
  verdict.kind === 'accepted' ? (verdict.recipients[0]?.account ?? '') : verdict.kind;
const eventually = async (holds: () => Promise<boolean>): Promise<void> => {
  for (let tries = 0; tries < 500; tries++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail('it never came to be');
};

test('an address that is accepted is asked for once, until the writer says that addresses changed', async (t) => {
  const { client, asked, move } = await served(t);
  for (let times = 0; times < 3; times++)
    assert.equal(accountOf(await client.resolve('ann@fengni.test')), 'a1');
  assert.equal(asked.length, 1);
  let isTold = false;
  client.onAddresses(() => {
    isTold = true;
  });
  move('a2');
  await eventually(async () => isTold);
  assert.equal(accountOf(await client.resolve('ann@fengni.test')), 'a2');
});

test('an address that is not accepted is asked for each time', async (t) => {
  const { client, asked } = await served(t);
  for (let times = 0; times < 3; times++)
    assert.equal((await client.resolve('bob@fengni.test')).kind, 'unknown');
  assert.equal(asked.length, 3);
});

test('a writer that starts again is asked again', async (t) => {
  const { client, asked, restart } = await served(t);
  await client.resolve('ann@fengni.test');
  await restart();
  await eventually(async () => {
    await client.resolve('ann@fengni.test').catch(() => {});
    return asked.length === 2;
  });
});

test('what one group brings to one mailbox is told as one change', async (t) => {
  const { client, change } = await served(t);
  const told: MailstoreChange[] = [];
  client.onChange((each) => told.push(each));
  await client.status();
  const of = (mailbox: string, modSeq: number, origin = '') => ({ account: 'a1', mailbox, modSeq, origin });
  for (const each of [of('m1', 1), of('m1', 2), of('m2', 3), of('m1', 4, 'p.1'), of('m1', 5)]) change(each);
  await eventually(async () => told.length >= 4);
  assert.deepEqual(told, [of('m1', 2), of('m2', 3), of('m1', 4, 'p.1'), of('m1', 5)]);
});
