import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { openTraceFiles, projectionsIn, type TraceFiles } from '#app/control';
import { utf8 } from '#base/bytes';
import { systemClock } from '#base/clock';
import { silentLogger } from '#base/logger';
import { createMessageParser } from '#services/mailstore';
import { Sealer } from '#services/sealer';
import { openWriter, type Writer } from '#services/writer';
import { nodeIo } from '#store/durable';
import { decodeMessage } from '#store/index';
import { type Frame, openHead, openKeyReader, openSegmentReader, scanFrames } from '#store/log';
import { frameTypes } from '#store/segments';
import { type CliOptions, cli as runCli } from './support/cli.ts';
import { startServer, type TestServer } from './support/server.ts';
import { fetchMaildrop } from './support/smtp-client.ts';

// What was erased is nowhere: in no file of the data folder, and behind no key that is left; all else still proves itself.

const dayMs = 86_400_000;
/** 16:00 UTC, so that adding days never meets midnight */
const beginMs = Date.UTC(2026, 10, 24, 16);
const marks = {
  text: 'the-secret-plan-4711',
  subject: 'Geheimnis-subject-9912',
  messageId: 'unique-id-5533@secret.example',
  reference: 'parent-id-7788@secret.example',
  sender: 'hidden.sender@secret.example',
  address: 'bob+tagged-8844@fengni.test',
};
const secretMail = (more = ''): string =>
  `Subject: ${marks.subject}\r\nMessage-ID: <${marks.messageId}>\r\nReferences: <${marks.reference}>\r\n` +
  `From: <${marks.sender}>\r\n\r\n${marks.text}\r\n${more}`;
const sharedMail = 'Subject: shared\r\nMessage-ID: <shared@example.org>\r\n\r\nfor both\r\n';
const ownMail =
  'Subject: answer\r\nMessage-ID: <own@example.org>\r\nReferences: <shared@example.org>\r\n\r\nmine\r\n';

let server: TestServer;

const cli = (argv: readonly string[], options: CliOptions = {}) =>
  runCli([...argv, '--data', server.data, '--config', server.toml], options);
const good = async (argv: readonly string[], options: CliOptions = {}): Promise<string> => {
  const { status, stdout, stderr } = await cli(argv, options);
  assert.equal(status, 0, `${argv.join(' ')}: ${stderr}${stdout}`);
  return stdout;
};
const deliver = async (to: string, mail: string, ...more: string[]): Promise<string> =>
  (JSON.parse(await good(['deliver', to, '--json', ...more], { stdin: mail })) as { id: string }).id;

/** A writer on the folder at a time of its own. */
const at = async <Result>(
  nowMs: number,
  work: (writer: Writer, pass: (ms: number) => void) => Promise<Result>,
): Promise<Result> => {
  let offset = 0;
  const clock = { nowMs: () => nowMs + offset, monotonicMs: () => systemClock.monotonicMs() + offset };
  const folder = server.data;
  const sealer = await Sealer.open({
    io: nodeIo,
    folder: path.join(folder, 'sealer'),
    ledgerFolder: (generation) => path.join(folder, 'ledger', `g${generation}`),
  });
  let trace: TraceFiles | null = null;
  const writer = await openWriter({
    io: { ...nodeIo, clock },
    folder,
    shard: 0,
    hostname: 'localhost',
    projections: (fresh) => projectionsIn(folder, fresh),
    parse: async (octets) => {
      const parser = createMessageParser();
      for await (const piece of octets) parser.write(piece);
      return parser.end();
    },
    sealer: {
      advance: async (request) => {
        const outcome = await sealer.advance(request);
        return outcome.kind === 'signed'
          ? { kind: 'signed', note: outcome.head.note }
          : { kind: 'refused', reason: outcome.reason };
      },
    },
    knownHeads: [],
    logger: silentLogger,
    applied: (events, appliedSeq) => trace?.applied(events, appliedSeq),
    schedule: (scheduled, ms) => {
      const timer = setTimeout(scheduled, ms);
      return () => clearTimeout(timer);
    },
    failed: (error) => assert.fail(error.subject),
  });
  if (writer.kind === 'refused') throw writer.error;
  trace = openTraceFiles({ dataFolder: folder, index: writer.index, clock, logger: silentLogger });
  try {
    return await work(writer, (ms) => {
      offset += ms;
    });
  } finally {
    await trace.stopReading();
    await writer.stop();
    trace.stop();
  }
};

/** something that is logged, so that a day has its leaf */
const something = async (writer: Writer): Promise<void> => {
  const account = writer.directory.row('account', 'ann@fengni.test')?.['id'] as string;
  const name = `N ${writer.index.marks().dayCount}`;
  const subscribed = !writer.index.subscriptions(account).includes(name);
  const outcome = await writer.subscribe({ account, name, subscribed, origin: '' });
  assert.equal(outcome.kind, 'done');
};

const idOfAccount = (writer: Writer, address: string): string =>
  writer.directory.row('account', address)?.['id'] as string;

const expungeAll = async (writer: Writer, address: string): Promise<void> => {
  const account = idOfAccount(writer, address);
  const inbox = writer.index.mailboxByName(account, 'INBOX');
  assert.ok(inbox);
  const outcome = await writer.expunge({
    account,
    mailbox: inbox.id,
    uids: `1:${inbox.uidNext}`,
    deletedOnly: false,
    origin: '',
  });
  assert.equal(outcome.kind, 'done');
};

/** days that pass while a writer runs, one after the other, each with something that is logged */
const passDays = (from: number, to: number, last = async (): Promise<void> => {}): Promise<void> =>
  at(beginMs + from * dayMs + 60_000, async (writer, pass) => {
    for (let day = from; day <= to; day++) {
      await something(writer);
      await writer.eraseDue();
      if (day < to) pass(dayMs);
    }
    await last();
  });

const threadKeysOf = (mail: string): readonly string[] => {
  const parser = createMessageParser();
  parser.write(utf8(mail));
  return parser.end().threadKeys;
};

const filesOf = (folder: string): string[] =>
  fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .flatMap((entry) => (entry.isFile() ? [path.join(entry.parentPath, entry.name)] : []));

/** Where any of these texts stands: in a file as it lies there, or in anything that a key which is left opens. */
const placesOf = async (texts: readonly string[]): Promise<string[]> => {
  const found = new Set<string>();
  const needles = texts.flatMap((text) => [text, Buffer.from(text).toString('base64').replace(/=+$/, '')]);
  const look = (where: string, octets: Uint8Array): void => {
    const content = Buffer.from(octets.buffer, octets.byteOffset, octets.length);
    for (const [n, needle] of needles.entries())
      if (content.includes(needle)) found.add(`${where}: ${texts[Math.floor(n / 2)]}`);
  };
  for (const file of filesOf(server.data)) look(path.relative(server.data, file), fs.readFileSync(file));
  const keys = openKeyReader({ io: nodeIo, folder: server.data, shard: 0 });
  const segments = openSegmentReader({ io: nodeIo, folder: server.data });
  try {
    const left: Uint8Array[] = [];
    const frames: { frame: Frame; own: Uint8Array | null }[] = [];
    for await (const frame of scanFrames(nodeIo, server.data, 0, 1, Number.MAX_SAFE_INTEGER)) {
      const { key } = frame.head.record;
      const slot = key === null ? null : await keys.fileKey(key);
      const own = slot?.kind === 'clear' ? slot.fileKey : null;
      if (own !== null) left.push(own);
      frames.push({ frame: { ...frame, leaf: frame.leaf.slice() }, own });
    }
    for (const { frame, own } of frames) {
      const { type, seq, key } = frame.head.record;
      look(`leaf of frame ${seq}`, frame.leaf);
      if (frame.clearBody !== null) look(`frame ${seq}`, frame.clearBody);
      if (key === null) continue;
      // Where its own key is gone, every key that is left is tried.
      for (const fileKey of own === null ? left : [own]) {
        let head: Uint8Array;
        try {
          head = openHead(frame, fileKey);
        } catch {
          continue;
        }
        look(`frame ${seq} of type ${type}`, head);
        if (type !== frameTypes.MSG) continue;
        const table = Buffer.concat(decodeMessage(head).chunks.map((chunk) => Buffer.from(chunk, 'base64')));
        const reader = await segments.openOctets(frame, fileKey, table);
        for await (const piece of reader.range(0, reader.lengthBytes)) look(`original ${seq}`, piece);
      }
    }
  } finally {
    await keys.close();
    await segments.close();
  }
  return [...found].sort();
};

const assertProofs = async (receipts: readonly string[]): Promise<void> => {
  const verified = await cli(['verify']);
  assert.equal(verified.status, 0, verified.stdout + verified.stderr);
  const key = path.join(server.folder, 'seal.key');
  fs.writeFileSync(key, await good(['log', 'key']));
  for (const receipt of receipts) {
    const mail = receipt.replace(/proof$/, 'eml');
    const outcome = await runCli(['verify-receipt', receipt, mail, '--key', key]);
    assert.equal(outcome.status, 0, outcome.stdout + outcome.stderr);
  }
};

const receiptOf = async (id: string, mail: string): Promise<string> => {
  const file = path.join(server.folder, `${id}.proof`);
  await good(['receipt', id, '-o', file]);
  fs.writeFileSync(file.replace(/proof$/, 'eml'), mail);
  return file;
};

const rebuiltDump = async (): Promise<void> => {
  const before = await good(['index', 'dump']);
  await good(['index', 'rebuild']);
  assert.equal(await good(['index', 'dump']), before, 'rebuilt from a log with erased frames');
};

before(async () => {
  server = await startServer();
  await server.stop();
  for (const name of ['ann', 'bob', 'eve'])
    await good(['account', 'add', `${name}@fengni.test`, '--password-stdin'], { stdin: 'a password\n' });
  await good(['alias', 'add', 'both@fengni.test', 'ann@fengni.test', 'bob@fengni.test']);
  await good(['alias', 'add', 'robert@fengni.test', 'bob@fengni.test']);
  await good(['alias', 'add', 'old-bob@fengni.test', 'robert@fengni.test']);
  await good(['alias', 'remove', 'old-bob@fengni.test']);
});

const ids: { secret: string; large: string; shared: string; own: string } = {
  secret: '',
  large: '',
  shared: '',
  own: '',
};
const receipts: string[] = [];

test('deleted mail is there for 14 days and nowhere after them; all else proves itself (FORMATS §5 “Erase”)', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: beginMs });
  ids.secret = await deliver(marks.address, secretMail(), '--from', marks.sender);
  ids.large = await deliver(marks.address, secretMail(`${marks.text} again\r\n`.repeat(20_000)));
  assert.equal(fs.readdirSync(path.join(server.data, 'large')).length, 1);
  ids.shared = await deliver('both@fengni.test', sharedMail);
  ids.own = await deliver('ann@fengni.test', ownMail);
  const secretReceipt = await receiptOf(ids.secret, secretMail());
  receipts.push(await receiptOf(ids.shared, sharedMail), await receiptOf(ids.own, ownMail));
  const hashes = threadKeysOf(secretMail());
  assert.equal(hashes.length, 2);
  const texts = [...Object.values(marks), ...hashes];
  const beforeErasure = await placesOf(texts);
  // The search finds what is there: by keys, and what the index has in clear.
  for (const text of texts)
    assert.ok(
      beforeErasure.some((place) => place.endsWith(text)),
      text,
    );

  await at(beginMs + 1, (writer) => expungeAll(writer, 'bob@fengni.test'));
  await passDays(1, 13);
  assert.match(await good(['show', ids.secret]), new RegExp(ids.secret));
  assert.notDeepEqual(await placesOf(texts), []);
  // Also while the writer has its databases open: nothing is left in their write-ahead logs.
  await passDays(14, 14, async () => {
    assert.ok(fs.existsSync(path.join(server.data, 'index.db-wal')));
    assert.deepEqual(await placesOf(texts), []);
  });
  t.mock.timers.setTime(beginMs + 14 * dayMs + 3_600_000);
  assert.deepEqual(await placesOf(texts), []);
  assert.deepEqual(fs.readdirSync(path.join(server.data, 'large')), []);
  for (const id of [ids.secret, ids.large]) {
    const shown = await cli(['show', id]);
    assert.equal(shown.status, 1);
    assert.match(shown.stderr, /was erased: .*, taken 2026-11-24 .*leaf \d+ of generation 1/);
  }
  // A receipt that somebody has stays good for ever.
  await assertProofs([...receipts, secretReceipt]);
  // Bob deleted his copy of the shared mail too: Ann has hers.
  assert.match(await good(['show', ids.shared]), /copies\s+1/);
  await rebuiltDump();
  assert.deepEqual(await placesOf(texts), []);
});

test('an account that is purged is nowhere, and what others received stays theirs', async (t) => {
  const now = beginMs + 15 * dayMs;
  t.mock.timers.enable({ apis: ['Date'], now });
  const both = await deliver('both@fengni.test', 'Subject: again\r\n\r\nfor both\r\n');
  const alone = await deliver('bob@fengni.test', secretMail(), '--from', marks.sender);
  const texts = [...Object.values(marks), 'bob@fengni.test', 'robert@fengni.test', 'old-bob@fengni.test'];
  assert.equal((await cli(['account', 'purge', 'bob@fengni.test'])).status, 2);

  await good(['hold', 'add', 'bob@fengni.test', '--reason', 'case of bob@fengni.test']);
  assert.match(await good(['hold', 'list']), /bob@fengni\.test .*case of bob/);
  const refused = await cli(['account', 'purge', 'bob@fengni.test', '--yes']);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /on hold/);
  assert.equal((await cli(['hold', 'add', 'bob@fengni.test'])).status, 2);
  // He deletes as he likes; it is the erasure that waits.
  await at(now + 1, (writer) => expungeAll(writer, 'bob@fengni.test'));
  await passDays(16, 31);
  t.mock.timers.setTime(beginMs + 31 * dayMs + 3_600_000);
  assert.match(await good(['show', alone]), new RegExp(alone));
  await good(['hold', 'release', 'bob@fengni.test']);
  assert.equal((await cli(['hold', 'release', 'bob@fengni.test'])).status, 2);

  const purged = JSON.parse(await good(['account', 'purge', 'bob@fengni.test', '--yes', '--json'])) as {
    aliases: string[];
  };
  assert.deepEqual(purged.aliases, ['robert@fengni.test']);
  assert.deepEqual(await placesOf(texts), []);
  assert.match(await good(['show', both]), /copies\s+1/);
  assert.equal((await cli(['show', alone])).status, 1);
  assert.match(await good(['alias', 'list']), /both@fengni\.test -> ann@fengni\.test\n/);
  receipts.push(await receiptOf(both, 'Subject: again\r\n\r\nfor both\r\n'));
  await assertProofs(receipts);
  await rebuiltDump();
  assert.deepEqual(await placesOf(texts), []);
  // The address is free, and whoever gets it gets nothing of the other's.
  await good(['account', 'add', 'bob@fengni.test', '--password-stdin'], { stdin: 'another one\n' });
  assert.doesNotMatch(await good(['index', 'dump']), /address "bob/);
});

test('a slot that is destroyed without an ERASED frame is damage, and never called erased', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: beginMs + 40 * dayMs });
  const id = await deliver('eve@fengni.test', 'Subject: x\r\n\r\nhers\r\n');
  const copy = path.join(server.folder, 'copy');
  fs.cpSync(server.data, copy, { recursive: true });
  const { index, directory } = projectionsIn(server.data, false);
  const key = index.messageById(id)?.key;
  index.close();
  directory.close();
  assert.ok(key);
  const { encodeDestroyedSlot, keyFileName, keySlotOffset } = await import('#store/segments');
  const { parseKeySlot, keySlotBytes } = await import('#store/segments');
  const file = path.join(copy, 'keys', keyFileName(key.epoch));
  const octets = fs.readFileSync(file);
  const offset = keySlotOffset(key.slot);
  const parsed = parseKeySlot(octets.subarray(offset, offset + keySlotBytes), key.slot);
  assert.equal(parsed.kind, 'slot');
  if (parsed.kind === 'slot') octets.set(encodeDestroyedSlot(key.slot, parsed.slot.seq), offset);
  fs.writeFileSync(file, octets);
  const verified = await runCli(['verify', '--data', copy, '--config', server.toml]);
  assert.equal(verified.status, 1);
  assert.match(verified.stdout, /destroyed without an ERASED frame/);
  const shown = await runCli(['show', id, '--data', copy, '--config', server.toml]);
  assert.equal(shown.status, 1);
  assert.doesNotMatch(shown.stderr, /was erased/);
});

test('beside a running server, which has read the mail and has its keys in memory, a purge leaves nothing either', async () => {
  await server.start();
  const mail = secretMail();
  const id = await deliver('eve@fengni.test', mail, '--from', marks.sender);
  const pop3 = { port: server.ports.pop3s, ca: server.ca };
  const login = { user: 'eve@fengni.test', password: 'a password' };
  const read = await fetchMaildrop(pop3, login);
  assert.ok(read.some((message) => message.endsWith(mail)));
  await good(['account', 'purge', 'eve@fengni.test', '--yes']);
  await assert.rejects(fetchMaildrop(pop3, login), /PASS/);
  assert.deepEqual(await placesOf([...Object.values(marks), 'eve@fengni.test']), []);
  assert.match((await cli(['show', id])).stderr, /was erased/);
  assert.equal(await server.stop(), 0);
  await assertProofs(receipts);
});
