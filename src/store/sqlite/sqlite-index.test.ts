import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { mailIndexSuite } from '#store/conformance';
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
