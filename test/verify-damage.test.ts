import assert from 'node:assert/strict';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { before, test } from 'node:test';
import { buildMailFolder, type MailFolder } from './support/damage/mail-folder.ts';
import { type Damage, damages, type Planted } from './support/damage/plant.ts';
import { runVerify, withCopy } from './support/damage/run-verify.ts';

// Planted damage (issue: “each is named by verify with exit 1”). The planter shares no code with src/.

let built: MailFolder;
before(async () => {
  built = await buildMailFolder();
});

const assertNamed = (outcome: { status: number; text: string }, planted: Planted, name: string): void => {
  assert.equal(outcome.status, 1, `${name}: exit status, with\n${outcome.text}`);
  const wrong = outcome.text.split('\n').filter((line) => line.startsWith('WRONG '));
  for (const pattern of planted.named)
    assert.ok(
      wrong.some((line) => pattern.test(line)),
      `${name}: no finding matches ${pattern}:\n${outcome.text}`,
    );
};

test('an undamaged folder is good, and a copy of it', async () => {
  for (const data of [built.data, built.older]) {
    const outcome = await withCopy(data, (copy) => runVerify(copy));
    assert.equal(outcome.status, 0, outcome.text);
    assert.match(outcome.text, /Messages: \d\d checked, 0 with stored/);
  }
});

test('planted damage of every kind is named with exit status 1', async (t) => {
  const all: Damage[] = damages(built.data);
  assert.equal(new Set(all.map(({ name }) => name)).size, all.length, 'each kind once');
  for (const damage of all)
    await t.test(damage.name, () =>
      withCopy(built.data, async (copy) => {
        const planted = damage.plant(copy);
        assertNamed(await runVerify(copy), planted, damage.name);
      }),
    );
});

test('a number of applied frames that is not the one that was written is damage of its row, not a log that was rolled back', async () => {
  const rows = { 'index.db': ['mark', 'applied'], 'state.db': ['applied', 'seq'] } as const;
  for (const [file, [table, column]] of Object.entries(rows))
    await withCopy(built.data, async (copy) => {
      const db = new DatabaseSync(path.join(copy, file));
      db.exec(`UPDATE ${table} SET ${column} = ${column} + 1000; PRAGMA wal_checkpoint(TRUNCATE)`);
      db.close();
      const { status, text } = await runVerify(copy);
      assert.equal(status, 1, text);
      assert.match(text, new RegExp(`^WRONG ${file}: .*row was changed.*row of ${table}\\b`, 'm'));
      assert.doesNotMatch(text, /ahead of the log|shorter/);
    });
});
