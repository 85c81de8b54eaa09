import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import type { AccessGate, StoredMessage } from '#services/access';
import type { MailIndex } from '#store/index';
import { createPop3Login } from './index.ts';

const silent: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  with: () => silent,
};

/** One message in the INBOX, whose octets come as given. */
const openFirst = async (read: StoredMessage['read']) => {
  const index = {
    mailboxByName: () => ({ id: 'm' }),
    placements: () => [{ uid: 1, emailSeq: 5, sizeBytes: 6, uidl: 'u' }],
    placementsByUid: () => [{}],
    emails: () => [{}],
  } as unknown as MailIndex;
  const found = { kind: 'found', sizeBytes: 6, prefixBytes: 0, read } as const;
  const login = createPop3Login({
    login: { verify: async () => ({ kind: 'granted', account: 'a' }) } as never,
    index,
    gate: {
      openAsOwner: async () => found,
      forget: () => {},
      close: async () => {},
    } as unknown as AccessGate,
    writer: { expunge: async () => assert.fail('nothing is removed here') },
    logger: silent,
  });
  const outcome = await login.verify({
    user: 'a',
    password: 'b',
    peer: { address: '::1', port: 1 },
  } as never);
  assert.ok(outcome.kind === 'granted');
  return outcome.maildrop.open(0);
};

test('a message whose first octets turn out damaged is refused before the reply promises it', async () => {
  const opened = await openFirst(async function* () {
    yield* [];
    throw new FengniError('payload-damaged', { subject: 'chunk 0', remedy: 'repair it' });
  });
  assert.deepEqual(opened, { kind: 'damaged' });
});

test('a message whose later octets are damaged gives what was verified, then fails', async () => {
  const opened = await openFirst(async function* () {
    yield utf8('abc');
    throw new FengniError('payload-damaged', { subject: 'chunk 1', remedy: 'repair it' });
  });
  assert.ok(opened.kind === 'found');
  const octets = opened.octets[Symbol.asyncIterator]();
  assert.deepEqual(await octets.next(), { done: false, value: utf8('abc') });
  await assert.rejects(async () => octets.next(), { code: 'payload-damaged' });
});

test('a good message comes whole, an empty one with no octet', async () => {
  const whole = await openFirst(async function* () {
    yield utf8('abc');
    yield utf8('def');
  });
  assert.ok(whole.kind === 'found');
  assert.deepEqual(await Array.fromAsync(whole.octets), [utf8('abc'), utf8('def')]);
  const empty = await openFirst(async function* () {
    yield* [];
  });
  assert.ok(empty.kind === 'found');
  assert.deepEqual(await Array.fromAsync(empty.octets), []);
});
