import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { segmentFiles } from './support/damage/log-files.ts';
import { buildMailFolder, logIn, type MailFolder } from './support/damage/mail-folder.ts';
import { damages } from './support/damage/plant.ts';
import { runVerify, withCopy } from './support/damage/run-verify.ts';

// `fengni verify --repair [--from DIR]`: from what is there, from a copy, and never over good data.

let built: MailFolder;
before(async () => {
  built = await buildMailFolder();
});

const damage = (name: string): ReturnType<typeof damages>[number] => {
  const found = damages(built.data).find((each) => each.name === name);
  assert.ok(found, `the planter knows ${name}`);
  return found;
};

/** The files of the log, but the one that the repair's own record is appended to. */
const closedFiles = (folder: string): Map<string, string> =>
  new Map(
    segmentFiles(folder)
      .slice(0, -1)
      .map((file) => [file, fs.readFileSync(path.join(folder, file)).toString('base64')]),
  );

for (const name of [
  'a bit of firstSeq in the header of a segment',
  'a bit of storedHash in a storage header',
  'a bit of prev in a record',
  'a bit of a leaf',
  'a bit of stored octets',
  'a bit of the body of SEAL',
  'a bit of the padding of a group',
  'a frame removed from the middle, the rest moved up',
  'a frame there twice',
  'a sector of zeros over a header',
  'the last groups cut off, the ledger knows them',
  'a bit of the last group',
  'octets behind the end of a closed segment changed',
  'a segment cut short',
  'a segment removed',
  'two segments swapped',
  'a bit of the file of a large body',
  'the file of a large body removed',
  'a key slot emptied',
  'another key in a slot, with a good checksum',
  'a key file removed',
  'the bodies and the keys of two messages swapped, all checksums made to fit',
  'a message said to be erased, without an ERASED frame',
  'two messages exchanged as whole frames',
]) {
  test(`repaired from a plain copy: ${name}`, () =>
    withCopy(built.data, async (copy) => {
      damage(name).plant(copy);
      assert.equal((await runVerify(copy)).status, 1, 'damaged before');
      const repaired = await runVerify(copy, '--repair', '--from', built.data);
      assert.equal(repaired.status, 0, repaired.text + repaired.errors);
      assert.match(repaired.text, /Repaired: /);
      assert.match(repaired.text, /The repair stands in the log as frame \d+/);
      assert.deepEqual(closedFiles(copy), closedFiles(built.data));
      assert.equal((await runVerify(copy)).status, 0, 'good afterwards');
    }));
}

for (const name of [
  'a bit of shard in the header of a segment',
  'a bit of checksum in a key slot',
  'a bit of padding in a key slot',
  'a bit of epoch in the header of a key file',
  'a bit of a hash in a tile',
  'a bit of an entry in a bundle',
  'a bit of the signature in the checkpoint',
  'the checkpoint removed',
  'another key published',
  'an index that hides a message',
  'a page of index.db made zeros',
  'an account that no event explains',
  'FORMAT removed',
]) {
  test(`repaired from what is there: ${name}`, () =>
    withCopy(built.data, async (copy) => {
      damage(name).plant(copy);
      const repaired = await runVerify(copy, '--repair');
      assert.equal(repaired.status, 0, repaired.text + repaired.errors);
      assert.deepEqual(closedFiles(copy), closedFiles(built.data));
    }));
}

test('without a copy nothing is made up: damage in the log stays, and is named', () =>
  withCopy(built.data, async (copy) => {
    damage('a bit of stored octets').plant(copy);
    const before = segmentFiles(copy).map((file) => fs.readFileSync(path.join(copy, file)));
    const outcome = await runVerify(copy, '--repair');
    assert.equal(outcome.status, 1, outcome.text);
    assert.match(outcome.text, /Not repaired: frames \d+ to \d+: not without a copy/);
    const after = segmentFiles(copy).map((file) => fs.readFileSync(path.join(copy, file)));
    // What is good and what is not: not an octet of a closed file was touched.
    assert.deepEqual(after.slice(0, -1), before.slice(0, -1));
  }));

test('an older copy repairs what it has', () =>
  withCopy(built.data, async (copy) => {
    damage('a segment cut short').plant(copy);
    const repaired = await runVerify(copy, '--repair', '--from', built.older);
    assert.equal(repaired.status, 0, repaired.text + repaired.errors);
    assert.deepEqual(closedFiles(copy), closedFiles(built.data));
  }));

test('a folder that was rolled back whole is brought forward by a newer copy', () =>
  withCopy(built.older, async (copy) => {
    const found = await runVerify(copy, '--checkpoint', built.checkpoint);
    assert.equal(found.status, 1, found.text);
    const repaired = await runVerify(
      copy,
      '--checkpoint',
      built.checkpoint,
      '--repair',
      '--from',
      built.data,
    );
    assert.equal(repaired.status, 0, repaired.text + repaired.errors);
    assert.deepEqual(closedFiles(copy), closedFiles(built.data));
  }));

test('a copy with another history is refused, octet for octet', () =>
  withCopy(built.data, (copy) =>
    withCopy(built.older, async (fork) => {
      // The older folder went its own way: another record at the same numbers.
      assert.equal((await runVerify(fork, '--repair')).status, 0);
      damage('a bit of the leaf of a LEAF frame').plant(fork);
      assert.equal(
        (await runVerify(fork, '--repair', '--from', built.older)).status,
        0,
        'the fork is good in itself',
      );
      const last = segmentFiles(copy).at(-1) ?? '';
      fs.rmSync(path.join(copy, last));
      const outcome = await runVerify(copy, '--repair', '--from', fork);
      assert.equal(outcome.status, 1, outcome.text);
      assert.match(outcome.text, /rolled back|another history|missing/);
    }),
  ));

test('beside a running server nothing is repaired (exit status 3), and an untouched folder is good', async () => {
  await built.server.start();
  const good = await built.server.fengni(['verify']);
  assert.equal(good.status, 0, good.stdout + good.stderr);
  const outcome = await built.server.fengni(['verify', '--repair']);
  assert.equal(outcome.status, 3);
  assert.match(outcome.stderr, /stop the server first/);
  await built.server.stop();
});

test('after a repair in place the server serves every octet that was sent (POP3S)', async () => {
  const whole = `${built.data}-kept`;
  fs.cpSync(built.data, whole, { recursive: true });
  damage('a sector of zeros in a body').plant(built.data);
  const repaired = await runVerify(built.data, '--repair', '--from', whole);
  assert.equal(repaired.status, 0, repaired.text + repaired.errors);
  await built.server.start();
  const address = 'ada@fengni.test';
  const pop = await logIn(built.server, address);
  const listed = await pop.ask('STAT\r\n', /^\+OK (\d+) \d+\r\n/m);
  const count = Number(/^\+OK (\d+)/m.exec(listed)?.[1]);
  const expected = built.sent.get(address) ?? new Map<string, string>();
  assert.equal(count, expected.size);
  for (let number = 1; number <= count; number++) {
    const reply = await pop.ask(`RETR ${number}\r\n`, /\r\n\.\r\n/);
    const subject = /^Subject: (\S+)\r$/m.exec(reply)?.[1] ?? '';
    assert.ok(reply.endsWith(`${expected.get(subject)}.\r\n`), subject);
  }
  pop.destroy();
  await built.server.stop();
});
