import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { utf8 } from '#base/bytes';
import { silentLogger } from '#base/logger';
import { idOf, type LogEvent, type MailIndex } from '#store/index';
import { createMemoryIndex } from '#store/memory';
import { openSqliteTrace } from '#store/sqlite';
import type { TraceStore } from '#store/trace';
// The check of a whole folder lives above this module.
import { Findings } from '../integrity/verify-finding.ts';
import { verifyTrace } from '../integrity/verify-trace.ts';
import { createTraceFeed } from './index.ts';

const key = (slot: number) => ({ epoch: 1, slot });
const at = { segment: 1, offset: 0, lengthBytes: 1 };
const account = idOf('a', 1);
const mailbox = idOf('m', 2);

const begin: LogEvent[] = [
  {
    type: 'state',
    seq: 2,
    account,
    key: key(1),
    mailbox,
    modSeq: 2,
    actor: '',
    timeMs: 1,
    change: { op: 'create', name: 'INBOX', role: null, uidValidity: 1, subscribed: true },
  },
];

/** A message and its copy, at `seq` and the next. */
const mail = (seq: number): LogEvent[] => [
  {
    type: 'message',
    seq,
    at,
    key: key(seq),
    id: `m${String(seq).padStart(5, '2')}`.padEnd(26, 'a'),
    kind: 'received',
    timeMs: seq,
    leafIndex: seq,
    sha256Hex: 'ab'.repeat(32),
    sizeBytes: 9,
    parsed: {
      envelope: utf8(`(NIL NIL ((NIL NIL "from${seq}" "x.example")) NIL NIL NIL NIL NIL NIL "<${seq}@x>")`),
      bodyStructure: new Uint8Array(0),
      body: new Uint8Array(0),
      structure: new Uint8Array(0),
      threadKeys: [],
      preview: '',
    },
  },
  {
    type: 'deliver',
    seq: seq + 1,
    at,
    key: key(seq + 1),
    account,
    messageSeq: seq,
    emailId: idOf('e', seq + 1),
    threadId: idOf('t', seq + 1),
    address: 'ann@fengni.test',
    prefix: utf8(`Return-Path: <path${seq}@x.example>\r\n`),
    mailbox,
    uid: seq,
    modSeq: seq + 1,
    dateMs: seq,
    flags: [],
    uidl: '0',
  },
];

const all = (store: TraceStore): (number | string)[][] =>
  store
    .search({ terms: [], sinceMs: null, untilMs: null, code: null, reason: null }, 10_000)
    .map(({ seq, mailFrom, author, recipients }) => [seq, mailFrom ?? '', author ?? '', recipients.length]);

const rowsOf = (...seqs: number[]): (number | string)[][] =>
  seqs.map((seq) => [seq, `path${seq}@x.example`, `from${seq}@x.example`, 1]);

const faultsOf = (store: TraceStore, index: MailIndex): string[] => {
  const findings = new Findings();
  verifyTrace((name) => (name === 'trace.db' ? { ...store, close: () => {} } : null), index, false, findings);
  return findings.finish(() => null).map(({ code, what }) => `${code} ${what}`);
};

const world = () => {
  const index = createMemoryIndex();
  index.apply(begin, 2);
  const store = openSqliteTrace(':memory:', { readOnly: false });
  const open = () => createTraceFeed({ store, index, logger: silentLogger, everyMs: 1 });
  let seq = 10;
  /** as the writer does it */
  const apply = (feed: ReturnType<typeof open> | null, events: LogEvent[]): void => {
    const last = events.at(-1)?.seq ?? 0;
    index.apply(events, last);
    feed?.applied(events, last);
  };
  const add = (feed: ReturnType<typeof open> | null): number => {
    seq += 10;
    apply(feed, mail(seq));
    return seq;
  };
  return { index, store, open, apply, add };
};

test('what came before, between and after is the same as what the index has, each once', async () => {
  const { index, store, open, add } = world();
  for (let n = 0; n < 450; n++) add(null);
  const feed = open();
  const between = add(feed);
  await feed.settle();
  const afterwards = add(feed);
  await feed.settle();
  const rows = all(store);
  assert.equal(rows.length, 452);
  assert.deepEqual(rows.slice(0, 2), rowsOf(afterwards, between));
  assert.equal(store.appliedSeq(), index.appliedSeq());
  assert.deepEqual(faultsOf(store, index), []);
  feed.stop();
  store.close();
});

test('what is erased goes at once, also what had not been written yet', async () => {
  const { index, store, open, add, apply } = world();
  const feed = open();
  await feed.settle();
  const kept = add(feed);
  const gone = add(feed);
  apply(feed, [{ type: 'erased', seq: gone + 5, keys: [key(gone), key(gone + 1)] }]);
  assert.deepEqual(all(store), rowsOf(kept));
  assert.equal(store.appliedSeq(), gone + 5);
  assert.deepEqual(faultsOf(store, index), []);
  feed.stop();
  store.close();
});

test('what was erased while the feed was away is gone after the next start', async () => {
  const { index, store, open, add, apply } = world();
  let feed = open();
  await feed.settle();
  const kept = add(feed);
  const gone = add(feed);
  await feed.stopReading();
  feed.stop();
  assert.deepEqual(all(store), rowsOf(gone, kept));
  apply(null, [{ type: 'erased', seq: gone + 5, keys: [key(gone), key(gone + 1)] }]);
  feed = open();
  await feed.settle();
  assert.deepEqual(all(store), rowsOf(kept));
  assert.deepEqual(faultsOf(store, index), []);
  feed.stop();
  store.close();
});

test('a store that knows more than the index is made again', async () => {
  const { store, open, add } = world();
  const only = add(null);
  store.put([], [], 1_000_000);
  const feed = open();
  await feed.settle();
  assert.deepEqual(all(store), rowsOf(only));
  feed.stop();
  store.close();
});

test('verify names a row that was changed, taken away or added', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-trace-'));
  try {
    const file = path.join(folder, 'trace.db');
    const { index, add } = world();
    const [first, second] = [add(null), add(null)];
    const damaged = async (sql: string): Promise<string[]> => {
      for (const suffix of ['', '-wal', '-shm']) fs.rmSync(file + suffix, { force: true });
      let store = openSqliteTrace(file, { readOnly: false });
      const feed = createTraceFeed({ store, index, logger: silentLogger });
      await feed.settle();
      feed.stop();
      store.close();
      const db = new DatabaseSync(file);
      db.exec(sql);
      db.close();
      store = openSqliteTrace(file, { readOnly: true });
      try {
        return faultsOf(store, index);
      } finally {
        store.close();
      }
    };
    assert.deepEqual(await damaged(''), []);
    assert.deepEqual(
      await damaged(`UPDATE event SET detail = replace(detail, 'path${first}', 'evil') WHERE seq = ${first}`),
      [`row-changed event ${first} ${first}`],
    );
    assert.deepEqual(await damaged(`DELETE FROM recipient WHERE event = ${second}`), [
      `row-hidden copy ${second + 1}`,
    ]);
    assert.match(
      (await damaged(`UPDATE recipient SET address = 'x@y' WHERE event = ${second}`)).join(),
      /^row-changed recipient/,
    );
    const copy =
      'id, sha256, from_key, author_key, message_id, peer, session, code, enhanced, reason, slot, day, detail, sum';
    assert.match(
      (await damaged(`INSERT INTO event SELECT 999, time, ${copy} FROM event WHERE seq = ${first}`)).join(),
      /row-changed event 999 .*row-extra event 999/,
    );
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
