import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { mailIndexSuite } from '#store/conformance';
import { idOf } from '#store/index';
import { openSqliteDirectory, openSqliteIndex } from '#store/sqlite';

const openPair = (folder: string) => ({
  index: openSqliteIndex(path.join(folder, 'index.db'), { readOnly: false }),
  directory: openSqliteDirectory(path.join(folder, 'state.db'), { readOnly: false }),
});

mailIndexSuite('SQLite', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-index-'));
  let pair = openPair(folder);
  return {
    ...pair,
    reopen: () => {
      pair.index.close();
      pair.directory.close();
      pair = openPair(folder);
      return pair;
    },
    discard: () => {
      pair.index.close();
      pair.directory.close();
      fs.rmSync(folder, { recursive: true });
    },
  };
});

test('a cell that changed behind our back is refused, whatever the column', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-index-'));
  try {
    const { index, directory } = openPair(folder);
    const mailbox = `m${'a'.repeat(12)}b`;
    index.apply(
      [
        {
          type: 'state',
          seq: 1,
          account: `a${'a'.repeat(13)}`,
          key: { epoch: 1, slot: 0 },
          mailbox,
          modSeq: 1,
          actor: 'owner',
          timeMs: 1,
          change: { op: 'create', name: 'INBOX', role: null, uidValidity: 5, subscribed: true },
        },
      ],
      1,
    );
    assert.equal(index.mailbox(mailbox)?.uidValidity, 5);
    const raw = new DatabaseSync(path.join(folder, 'index.db'));
    for (const [column, value] of Object.entries({
      name: 'INBOY',
      uid_validity: 4,
      role: 'Sent',
      keywords: '["a"]',
    })) {
      const before = (
        raw.prepare(`SELECT ${column} AS v FROM mailbox`).get() as { v: string | number | null }
      ).v;
      raw.prepare(`UPDATE mailbox SET ${column} = ?`).run(value);
      assert.throws(() => index.mailbox(mailbox), { code: 'index-row-damaged' }, column);
      raw.prepare(`UPDATE mailbox SET ${column} = ?`).run(before);
    }
    assert.equal(index.mailbox(mailbox)?.name, 'INBOX');
    raw.close();
    index.close();
    directory.close();
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test('a file that is no database is refused with a remedy', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-index-'));
  try {
    fs.writeFileSync(
      path.join(folder, 'index.db'),
      'this is not a database, but long enough to be looked at'.repeat(30),
    );
    assert.throws(() => openSqliteIndex(path.join(folder, 'index.db'), { readOnly: false }), {
      code: 'projection-unusable',
    });
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test('what a listing shows lies beside what a body needs: each is refused by itself when a cell of it changed', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-index-'));
  try {
    const { index, directory } = openPair(folder);
    const at = { segment: 1, offset: 512, lengthBytes: 64 };
    const account = `a${'a'.repeat(13)}`;
    const octets = (text: string): Uint8Array => new TextEncoder().encode(text);
    index.apply(
      [
        {
          type: 'message',
          seq: 1,
          at,
          key: { epoch: 1, slot: 1 },
          id: 'b'.repeat(26),
          kind: 'received',
          timeMs: 1,
          leafIndex: 0,
          sha256Hex: 'ab'.repeat(32),
          sizeBytes: 9,
          parsed: {
            envelope: octets('(NIL)'),
            bodyStructure: octets('("text" "plain" NIL)'),
            body: octets('("text" "plain")'),
            structure: octets('{}'),
            threadKeys: ['k'],
            preview: 'words',
          },
        },
        {
          type: 'deliver',
          seq: 2,
          at,
          key: { epoch: 1, slot: 2 },
          account,
          messageSeq: 1,
          emailId: idOf('e', 2),
          threadId: idOf('t', 2),
          address: 'ann@fengni.test',
          prefix: octets('Return-Path: <>\r\n'),
          mailbox: idOf('m', 9),
          uid: 1,
          modSeq: 2,
          dateMs: 1,
          flags: [],
          uidl: '0'.repeat(16),
        },
      ],
      2,
    );
    const raw = new DatabaseSync(path.join(folder, 'index.db'));
    const refuses = (
      table: string,
      column: string,
      value: string | number | Uint8Array,
    ): [boolean, boolean] => {
      const before = (raw.prepare(`SELECT ${column} AS v FROM ${table}`).get() as { v: string }).v;
      raw.prepare(`UPDATE ${table} SET ${column} = ?`).run(value);
      const refused = [() => index.texts([2]), () => index.emails([2])].map((read) => {
        try {
          read();
          return false;
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'index-row-damaged', `${table}.${column}`);
          return true;
        }
      });
      raw.prepare(`UPDATE ${table} SET ${column} = ?`).run(before);
      return [refused[0] === true, refused[1] === true];
    };
    for (const column of ['envelope', 'body_structure', 'body'])
      assert.deepEqual(refuses('message_text', column, octets('(other)')), [true, false], column);
    for (const column of ['thread_keys', 'preview'])
      assert.deepEqual(refuses('message_text', column, 'other'), [true, false], column);
    for (const [column, value] of Object.entries({
      id: 'c'.repeat(26),
      sha256: 'cd'.repeat(32),
      size: 10,
      offset: 1_024,
      key_slot: 7,
      structure: octets('{1}'),
    }))
      assert.deepEqual(refuses('message', column, value), [false, true], column);
    for (const [column, value] of Object.entries({ thread: 'x', prefix: octets('X: y\r\n'), key_slot: 7 }))
      assert.deepEqual(refuses('email', column, value), [true, true], column);
    assert.equal(index.texts([2]).get(2)?.preview, 'words');
    assert.equal(index.emails([2])[0]?.message.sizeBytes, 9);
    raw.close();
    index.close();
    directory.close();
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
