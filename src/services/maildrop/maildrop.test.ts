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

/** Messages of 1,000 octets in the INBOX; `asked` says what was asked for, in order. */
const openSeveral = async (count: number, damagedRow: number | null = null, lengthBytes = 1_000) => {
  const asked: string[] = [];
  const rowOf = (emailSeq: number) => ({ emailSeq, at: { lengthBytes }, message: { at: { lengthBytes } } });
  const index = {
    mailboxByName: () => ({ id: 'm' }),
    placements: () =>
      Array.from({ length: count }, (_, at) => ({ uid: at + 1, emailSeq: at, sizeBytes: 6, uidl: `u${at}` })),
    placementsByUid: () => [{}],
    emails: (seqs: number[]) => {
      if (damagedRow !== null && seqs.includes(damagedRow))
        throw new FengniError('index-row-damaged', { subject: 'a row', remedy: 'rebuild' });
      asked.push(`rows ${seqs.join(' ')}`);
      return seqs.map(rowOf);
    },
  } as unknown as MailIndex;
  const gate = {
    openAsOwner: async (_: string, email: { emailSeq: number }, ahead?: string) => {
      asked.push(`open ${email.emailSeq}${ahead === undefined ? '' : ` in ${ahead}`}`);
      return {
        kind: 'found',
        sizeBytes: 6,
        prefixBytes: 0,
        read: async function* () {
          yield utf8('abcdef');
        },
      };
    },
    readAhead: async (rows: { emailSeq: number }[]) => rows.map(({ emailSeq }) => emailSeq).join(' '),
  } as unknown as AccessGate;
  const login = createPop3Login({
    login: { verify: async () => ({ kind: 'granted', account: 'a' }) } as never,
    index,
    gate,
    writer: { expunge: async () => assert.fail('nothing is removed here') },
    logger: silent,
  });
  const outcome = await login.verify({
    user: 'a',
    password: 'b',
    peer: { address: '::1', port: 1 },
  } as never);
  assert.ok(outcome.kind === 'granted');
  return { maildrop: outcome.maildrop, asked };
};

test('who takes message after message has the next ones read together, and each message opened by itself', async () => {
  const { maildrop, asked } = await openSeveral(4);
  for (const at of [0, 1, 2, 3]) assert.equal((await maildrop.open(at)).kind, 'found');
  assert.deepEqual(asked, [
    'rows 0',
    'open 0',
    'rows 1 2 3',
    'open 1 in 1 2 3',
    'open 2 in 1 2 3',
    'open 3 in 1 2 3',
  ]);
});

test('who takes messages in any order has nothing read in vain', async () => {
  const { maildrop, asked } = await openSeveral(9);
  for (const at of [8, 3, 5]) assert.equal((await maildrop.open(at)).kind, 'found');
  assert.deepEqual(asked, ['rows 8', 'open 8', 'rows 3', 'open 3', 'rows 5', 'open 5']);
});

test('no more than 64 KiB is read before it is asked for', async () => {
  const { maildrop, asked } = await openSeveral(40, null, 10_000);
  for (const at of [0, 1, 2, 3, 4]) await maildrop.open(at);
  assert.deepEqual(
    asked.filter((each) => each.startsWith('open')),
    ['open 0', 'open 1 in 1 2 3', 'open 2 in 1 2 3', 'open 3 in 1 2 3', 'open 4 in 4 5 6'],
  );
});

test('a damaged row takes no other message with it', async () => {
  const { maildrop } = await openSeveral(4, 2);
  const kinds: string[] = [];
  for (const at of [0, 1, 2, 3]) kinds.push((await maildrop.open(at)).kind);
  assert.deepEqual(kinds, ['found', 'found', 'damaged', 'found']);
});

test('a session has all of 100,000 messages, as they were at its log-in', async () => {
  const count = 100_000;
  let gone = 0;
  let pages = 0;
  const index = {
    mailboxByName: () => ({ id: 'm' }),
    placements: (_: string, after: number, most: number) => {
      pages += 1;
      return Array.from({ length: Math.min(most, count - after) }, (__, at) => ({
        ...{ uid: after + at + 1, emailSeq: after + at + 1, sizeBytes: 6 },
        uidl: (after + at + 1).toString(16).padStart(20, '0'),
      }));
    },
    placementsByUid: (_: string, [uid = 0]: number[]) => (uid <= gone ? [] : [{}]),
    emails: ([emailSeq = 0]: number[]) => [
      { emailSeq, at: { lengthBytes: 1 }, message: { at: { lengthBytes: 1 } } },
    ],
  } as unknown as MailIndex;
  let removed = '';
  const login = createPop3Login({
    login: { verify: async () => ({ kind: 'granted', account: 'a' }) } as never,
    index,
    gate: { openAsOwner: async () => ({ kind: 'damaged' }) } as unknown as AccessGate,
    writer: {
      expunge: async ({ uids }) => {
        removed = uids;
        return { kind: 'done', modSeq: 1, uids };
      },
    },
    logger: silent,
  });
  const outcome = await login.verify({
    user: 'a',
    password: 'b',
    peer: { address: '::1', port: 1 },
    end: () => {},
  });
  assert.ok(outcome.kind === 'granted');
  const { maildrop } = outcome;
  assert.equal(maildrop.messages.length, count);
  assert.equal(new Set(maildrop.messages.map(({ uidl }) => uidl)).size, count);
  assert.equal(maildrop.messages[count - 1]?.uidl, count.toString(16).padStart(20, '0'));
  assert.ok(pages > 99, 'by pages, so that no query takes long');
  // what others remove stays in the list and is said to be gone
  gone = 1;
  assert.deepEqual(await maildrop.open(0), { kind: 'gone' });
  assert.deepEqual(await maildrop.open(count - 1), { kind: 'damaged' });
  assert.equal(maildrop.messages.length, count);
  assert.deepEqual(await maildrop.quit(Array.from({ length: count }, (_, at) => at)), { kind: 'done' });
  assert.equal(removed, `1:${count}`);
});

test('a session that its account no longer allows is ended, and held no longer than it lasts', async () => {
  const held: (() => void)[] = [];
  let released = 0;
  const login = createPop3Login({
    login: {
      verify: async () => ({
        ...{ kind: 'granted', account: 'a', key: 'a' },
        hold: (end: () => void) => {
          held.push(end);
          return () => void released++;
        },
      }),
    } as never,
    index: { mailboxByName: () => null } as unknown as MailIndex,
    gate: {} as AccessGate,
    writer: { expunge: async () => assert.fail('nothing is removed here') },
    logger: silent,
  });
  let ended = 0;
  const outcome = await login.verify({
    user: 'a',
    password: 'b',
    peer: { address: '::1', port: 1 },
    end: () => void ended++,
  });
  assert.ok(outcome.kind === 'granted');
  held[0]?.();
  assert.equal(ended, 1);
  assert.equal(released, 0);
  outcome.maildrop.close();
  assert.equal(released, 1);
});
