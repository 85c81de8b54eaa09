import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { utf8 } from '#base/bytes';
import type { Writer, WriterOptions } from '#services/writer';
import { nodeIo, SimFs } from '#store/durable';
import { decodeSnapshot, type SnapshotContent, type SnapshotFrame } from '#store/index';
import { openHead, openKeyReader, openSegmentReader } from '#store/log';
import { runSnapshotHistory } from './snapshot-histories.ts';
import { openStore, verifyStore } from './store-machine.ts';
import { addPeople, dataFolder, seal, startMachine } from './writer-machine.ts';

const histories = Number(process.env['FENGNI_SNAPSHOT_HISTORIES'] ?? 20);
const firstSeed = Number(process.env['FENGNI_SEED'] ?? 1);

// Checked by breaking it: a root without what changed beside its pages, pages not written again, copies without a placement left out, a restore that keeps old mailboxes.
test(`${histories} machines that write snapshots, each cut three times at any operation: made from snapshots, from STATE frames and while running, all is the same (FORMATS §6 (5), (6))`, async (t) => {
  let [calls, rebuilt, restored] = [0, 0, 0];
  for (let seed = firstSeed; seed < firstSeed + histories; seed++) {
    const seen = await runSnapshotHistory(seed * 1_000);
    calls += seen.calls;
    rebuilt += seen.rebuilt;
    restored += seen.restored;
  }
  t.diagnostic(
    `seeds ${firstSeed} to ${firstSeed + histories - 1} (× 1000), ${calls} I/O operations, ${rebuilt} compared, ${restored} accounts from snapshots`,
  );
  assert.ok(restored >= histories, 'snapshots were used');
});

const annOf = (writer: Writer): string =>
  writer.directory.row('account', 'ann@fengni.test')?.['id'] as string;

const inboxOf = (writer: Writer): string => writer.index.mailboxByName(annOf(writer), 'INBOX')?.id ?? '';

/** Some mail, flags, expunges. */
const work = async (io: Parameters<typeof seal>[0], writer: Writer, folder: string): Promise<void> => {
  const account = annOf(writer);
  const inbox = inboxOf(writer);
  for (let number = 0; number < 6; number++) {
    const { message, copies } = await seal(
      io,
      utf8(`Subject: ${number}\r\n\r\nx\r\n`),
      [{ account, address: 'ann@fengni.test' }],
      folder,
    );
    await writer.deliver(message, copies);
  }
  const flag = { account, mailbox: inbox, mode: 'add' as const, origin: '' };
  await writer.changeFlags({ ...flag, uids: '1:3', flags: ['\\Seen', 'work'] });
  await writer.expunge({ account, mailbox: inbox, uids: '2', deletedOnly: false, origin: '' });
  await writer.changeFlags({ ...flag, uids: '4', flags: ['\\Flagged'] });
};

const pageOf = (writer: Writer): SnapshotFrame => {
  const frame = writer.index
    .snapshotFrames(annOf(writer))
    .find(({ mailbox, page }) => mailbox === inboxOf(writer) && page === 0);
  assert.ok(frame, 'the mailbox has a page');
  return frame;
};

const dumpOf = (writer: Writer): string => [...writer.index.dump()].join('\n');

test('a page whose body is damaged is passed over, and everything comes from the STATE frames', async () => {
  const sim = new SimFs({ seed: 5 });
  const first = await startMachine(sim);
  assert.equal(first.writer.kind, 'writer');
  if (first.writer.kind !== 'writer') return;
  const { writer } = first;
  await addPeople(writer, ['ann']);
  await work(sim, writer, dataFolder);
  assert.equal(await writer.snapshot(annOf(writer)), true);
  const page = pageOf(writer);
  // The segment closes with its age; in the newest one recovery takes nothing that is damaged.
  sim.advance(25 * 3_600_000);
  await work(sim, writer, dataFolder);
  await work(sim, writer, dataFolder);
  const before = dumpOf(writer);
  await writer.stop();
  const files = [...sim.contents(`${dataFolder}/segments`).keys()];
  assert.ok(files.length > 1, 'the page is not in the newest segment');
  const restored = await startMachine(sim.wouldSurvive({ seed: 6 }));
  assert.equal(restored.writer.kind, 'writer');
  if (restored.writer.kind === 'writer') assert.equal(dumpOf(restored.writer), before);
  const name = files.find((each) => Number(path.basename(each).split('.')[0]) === page.at.segment) as string;
  sim.tamper(name, (octets) => {
    const at = page.at.offset + page.at.lengthBytes - 40;
    octets[at] = (octets[at] as number) ^ 1;
    return octets;
  });
  const again = await startMachine(sim.wouldSurvive({ seed: 7 }));
  assert.equal(again.writer.kind, 'writer');
  if (again.writer.kind !== 'writer') return;
  assert.equal(dumpOf(again.writer), before);
  const frames = again.writer.index.snapshotFrames(annOf(again.writer));
  assert.ok(!frames.some(({ seq }) => seq === page.seq), 'nobody takes it for there');
  // Its place is taken by the next one.
  assert.equal(await again.writer.snapshot(annOf(again.writer)), true);
  assert.ok(pageOf(again.writer).seq > page.seq);
});

const inFolder = async (task: (folder: string) => Promise<void>): Promise<void> => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-snapshots-'));
  try {
    await task(folder);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
};

const store = async (folder: string, writer: Partial<WriterOptions> = {}) => {
  const opened = await openStore({ io: nodeIo, folder, writer });
  if (opened.kind === 'refused') throw opened.error;
  return opened;
};

test('verify finds nothing in snapshots that say what is so, and names the one whose octets changed', () =>
  inFolder(async (folder) => {
    const { writer, stop } = await store(folder);
    await addPeople(writer, ['ann']);
    await work(nodeIo, writer, folder);
    assert.equal(await writer.snapshot(annOf(writer)), true);
    await work(nodeIo, writer, folder);
    assert.equal(await writer.snapshot(annOf(writer)), true);
    const page = pageOf(writer);
    await stop();
    const codes = (await verifyStore(folder, null)).findings.map(({ code, file }) => `${code} ${file}`);
    // The store alone has no passwords.
    assert.deepEqual(codes, ['file-missing secrets.db']);
    const [name] = fs.readdirSync(path.join(folder, 'segments'));
    const file = fs.openSync(path.join(folder, 'segments', name as string), 'r+');
    const at = page.at.offset + page.at.lengthBytes - 40;
    const octet = Buffer.alloc(1);
    fs.readSync(file, octet, 0, 1, at);
    fs.writeSync(file, Buffer.from([(octet[0] as number) ^ 1]), 0, 1, at);
    fs.closeSync(file);
    const { findings } = await verifyStore(folder, null);
    assert.ok(
      findings.some(
        ({ code, seq, offset }) => code === 'log-damaged' && seq === page.seq && offset === page.at.offset,
      ),
      JSON.stringify(findings),
    );
  }));

const lies: [string, RegExp, (content: SnapshotContent) => SnapshotContent][] = [
  [
    'a flag in a page',
    /page 0 of mailbox .*UID 3/,
    (content) =>
      content.kind !== 'page'
        ? content
        : {
            ...content,
            placements: content.placements.map((row) =>
              row.uid === 3 ? { ...row, flags: row.flags ^ 1 } : row,
            ),
          },
  ],
  [
    'a tombstone in a page',
    /tombstone of UID 2/,
    (content) => (content.kind !== 'page' ? content : { ...content, tombstones: [] }),
  ],
  [
    'a row that is not there',
    /UID 7/,
    (content) =>
      content.kind !== 'page'
        ? content
        : {
            ...content,
            placements: content.placements.flatMap((row) =>
              row.uid === 6 ? [row, { ...row, uid: 7 }] : [row],
            ),
          },
  ],
  [
    'the UIDNEXT of a mailbox',
    /uidnext 5 instead of 7/,
    (content) => (content.kind === 'mailbox' && content.uidNext === 7 ? { ...content, uidNext: 5 } : content),
  ],
  [
    'a page that a mailbox leaves out',
    /page 0 is left out/,
    (content) => (content.kind === 'mailbox' ? { ...content, pages: [] } : content),
  ],
  [
    'the subscriptions of an account',
    /subscriptions/,
    (content) => (content.kind === 'account' ? { ...content, subscriptions: ['INBOX'] } : content),
  ],
  [
    'a copy without a placement',
    /without a placement/,
    (content) =>
      content.kind === 'unplaced'
        ? { ...content, unplaced: content.unplaced.map((row) => ({ ...row, dayCount: row.dayCount + 1 })) }
        : content,
  ],
  [
    'an account without a mailbox',
    /is not the newest one/,
    (content) =>
      content.kind === 'account' ? { ...content, mailboxes: content.mailboxes.slice(1) } : content,
  ],
];

test('verify names a snapshot that lies, whatever it lies about', () =>
  inFolder(async (folder) => {
    const first = await store(folder);
    await addPeople(first.writer, ['ann']);
    await work(nodeIo, first.writer, folder);
    await first.writer.snapshot(annOf(first.writer));
    const frames = first.writer.index.snapshotFrames(annOf(first.writer));
    const ref = first.writer.index.accountKey(annOf(first.writer));
    assert.ok(ref);
    await first.stop();
    const keys = openKeyReader({ io: nodeIo, folder, shard: 0 });
    const segments = openSegmentReader({ io: nodeIo, folder });
    const key = await keys.fileKey(ref);
    assert.equal(key.kind, 'clear');
    if (key.kind !== 'clear') return;
    const { fileKey } = key;
    const contents: SnapshotContent[] = [];
    for (const { at, seq } of frames)
      contents.push(decodeSnapshot(openHead(await segments.readFrame(at, seq), fileKey)));
    await segments.close();
    await keys.close();
    for (const [what, expected, lie] of lies) {
      const copy = `${folder}-lie`;
      fs.cpSync(folder, copy, { recursive: true });
      try {
        const { writer, stop } = await store(copy);
        const lying = contents.filter((content) => lie(content) !== content);
        assert.ok(lying.length > 0, what);
        await writer.queue.submit({
          accounts: [],
          reads: 'counters',
          bytes: 4_096,
          decide: ({ draft }) => {
            for (const content of lying) draft.snapshot({ ref, fileKey }, lie(content));
            return { kind: 'done' };
          },
        });
        await stop();
        const { findings } = await verifyStore(copy, null);
        const found = findings.filter(({ code }) => code === 'snapshot-wrong').map((each) => each.what);
        assert.ok(
          found.some((each) => expected.test(each)),
          `${what}: ${JSON.stringify(findings)}`,
        );
      } finally {
        fs.rmSync(copy, { recursive: true });
      }
    }
  }));

test('verify finds nothing when copies that a snapshot knew were erased after it', () =>
  inFolder(async (folder) => {
    const { writer, stop } = await store(folder, { recoverableDays: 0 });
    await addPeople(writer, ['ann']);
    await work(nodeIo, writer, folder);
    // The newest copy is there in the snapshot and gone afterwards: nothing else says its numbers.
    assert.equal(await writer.snapshot(annOf(writer)), true);
    const gone = {
      account: annOf(writer),
      mailbox: inboxOf(writer),
      uids: '5:6',
      deletedOnly: false,
      origin: '',
    };
    await writer.expunge(gone);
    assert.ok((await writer.eraseDue()) >= 2);
    await stop();
    const codes = (await verifyStore(folder, null)).findings.map(({ code, what }) => `${code} ${what}`);
    assert.deepEqual(codes, ['file-missing the file is missing']);
  }));
