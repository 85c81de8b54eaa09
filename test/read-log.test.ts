import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { ImapTestClient } from './support/imap-client.ts';
import { LineClient } from './support/line-client.ts';
import { type Acknowledged, MailLoad } from './support/mail-load.ts';
import { startServer, type TestServer } from './support/server.ts';

// docs/read_log.py is the second specification of the log: it shares nothing with src/ and must read what a real server wrote.

const run = promisify(execFile);
const script = path.resolve(import.meta.dirname, '../docs/read_log.py');
const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-read-log-'));
after(() => fs.rmSync(temporary, { recursive: true, force: true }));

interface Row {
  seq: number;
  id: string;
  time: string;
  size: number;
  sha256: string;
  mailboxes: Record<string, string[]>;
}

const readLog = async (...args: string[]): Promise<{ status: number; rows: Row[]; stderr: string }> => {
  const done = await run('python3', ['-B', script, ...args], { maxBuffer: 2 ** 26 }).then(
    ({ stdout, stderr }) => ({ status: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({ ...error, status: error.code }),
  );
  const rows = done.stdout
    .split('\n')
    .filter((line) => line.includes('\t'))
    .map((line) => {
      const [seq = '', id = '', time = '', size = '', sha256 = '', mailboxes = ''] = line.split('\t');
      return { seq: Number(seq), id, time, size: Number(size), sha256, mailboxes: JSON.parse(mailboxes) };
    });
  return { status: done.status, rows, stderr: done.stderr };
};

const hash = (octets: string | Uint8Array): string => createHash('sha256').update(octets).digest('hex');

let server: TestServer;
/** what senders were promised, and what IMAP APPEND brought in */
const sent: Acknowledged[] = [];
const appended = 'Subject: =?utf-8?q?appended?=\r\n\r\nFengni-Seal: not one\r\n\r\n\x01\xff';

before(async () => {
  server = await startServer();
  await sendSome(12, 'first');
  // bodies in files of their own: just over the limit, and some chunks
  await sendLarge(262_145);
  await sendLarge(1_500_000);
  await tidy();
  assert.equal(await server.stop(), 0);
  // an unclean end: half a group behind the last one
  const [file = ''] = segmentsOf(server.data);
  const octets = fs.readFileSync(file);
  fs.appendFileSync(file, octets.subarray(512, 1300));
  await server.start();
  await sendSome(3, 'second');
  // a head is signed within a second of the last message
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  assert.equal(await server.stop(), 0);
});

const segmentsOf = (data: string): string[] =>
  fs
    .readdirSync(path.join(data, 'segments'))
    .filter((name) => name.endsWith('.fseg'))
    .sort()
    .map((name) => path.join(data, 'segments', name));

/** Where each group ends: behind its COMMIT, at the next 512. */
const groupEnds = (segment: string): number[] =>
  [...segment.matchAll(/"group":\d+[^}]*\}/g)].map(
    ({ 0: { length }, index }) => Math.ceil((index + length) / 512) * 512,
  );

const sendSome = async (count: number, tag: string): Promise<void> => {
  sent.push(...(await sendTo(server.address, count, tag)));
};

const sendTo = async (to: string, count: number, tag: string): Promise<readonly Acknowledged[]> => {
  const load = new MailLoad({ port: server.ports.smtp, to, senders: 2, tag });
  while (load.acknowledged.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
  await load.stop();
  return load.acknowledged;
};

const sendLarge = async (sizeBytes: number): Promise<void> => {
  const head = `Subject: ${sizeBytes} octets\r\n\r\n`;
  const line = `${'0123456789'.repeat(7)}\r\n`;
  const rest = sizeBytes - head.length;
  const whole = Math.floor(rest / line.length) - 1;
  const octets = `${head}${line.repeat(whole)}${'x'.repeat(rest - whole * line.length - 2)}\r\n`;
  assert.equal(octets.length, sizeBytes);
  const client = await LineClient.connect(server.ports.smtp);
  await client.until(/^220 .*\r\n/m);
  await client.ask('EHLO large.example\r\n', /^250 .*\r\n/m);
  await client.ask(`MAIL FROM:<large@example.org> SIZE=${sizeBytes}\r\n`, /^250 .*\r\n/m);
  await client.ask(`RCPT TO:<${server.address}>\r\n`, /^250 .*\r\n/m);
  await client.ask('DATA\r\n', /^354 .*\r\n/m);
  const reply = await client.ask(`${octets}.\r\n`, /^\d{3} .*\r\n/m);
  const [, id = '', sha256Hex = ''] = /id=(\S+) sha256=(\S+)/.exec(reply) ?? assert.fail(reply);
  sent.push({ id, sha256Hex, octets });
  await client.ask('QUIT\r\n', /^221 .*\r\n/m);
  client.destroy();
};

/** Over IMAP: a mailbox made and renamed, one deleted, messages copied and expunged, one added. */
const tidy = async (): Promise<void> => {
  const client = await ImapTestClient.connect({ port: server.ports.imaps, secure: true, ca: server.ca });
  await client.reply();
  let number = 0;
  const ask = async (text: string): Promise<void> => {
    const tag = `a${number++}`;
    const last = (await client.command(tag, text)).at(-1) ?? '';
    assert(last.startsWith(`${tag} OK`), `${text}: ${last}`);
  };
  await ask(`LOGIN ${server.address} ${server.password}`);
  await ask('CREATE Old');
  await ask('RENAME Old "&XfJfUmhj-"');
  await ask('CREATE Gone');
  await ask('SELECT INBOX');
  await ask('COPY 1:3 "&XfJfUmhj-"');
  await ask('COPY 1:4 Gone');
  await ask('DELETE Gone');
  await ask('STORE 2,4 +FLAGS (\\Deleted)');
  await ask('EXPUNGE');
  client.send(`b APPEND Archive {${appended.length}}\r\n`);
  await client.reply();
  client.send(`${appended}\r\n`);
  assert.match((await client.until('b')).at(-1) ?? '', /^b OK/);
  client.close();
};

test('the test vectors of RFC 8439 and RFC 5869 come out', async () => {
  const { stdout } = await run('python3', ['-B', script, '--self-test']);
  assert.equal(stdout.match(/^good /gm)?.length, 6);
  assert.doesNotMatch(stdout, /BAD/);
});

test('every message of a data folder is listed and extracted, octet for octet, from segments and keys alone', async () => {
  const copy = path.join(temporary, 'alone');
  for (const name of ['segments', 'keys', 'large'])
    fs.cpSync(path.join(server.data, name), path.join(copy, name), { recursive: true });
  const out = path.join(temporary, 'out');
  const { status, rows, stderr } = await readLog(copy, '--extract', out);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /^GOOD: \d+ messages, \d+ frames$/m);
  assert.equal(segmentsOf(copy).length, 2);
  assert.equal(rows.length, sent.length + 1);
  for (const { id, sha256Hex, octets } of sent) {
    const row = rows.find((each) => each.id === id) ?? assert.fail(id);
    assert.deepEqual({ size: row.size, sha256: row.sha256 }, { size: octets.length, sha256: sha256Hex });
    assert.equal(fs.readFileSync(path.join(out, `${id}.eml`), 'latin1'), octets);
  }
  const added = rows.find(({ sha256 }) => sha256 === hash(Buffer.from(appended, 'latin1'))) ?? assert.fail();
  assert.equal(fs.readFileSync(path.join(out, `${added.id}.eml`), 'latin1'), appended);
  assert.deepEqual(added.mailboxes, { [server.address]: ['Archive'] });
  const bySeq = rows.filter(({ id }) => id !== added.id).sort((a, b) => a.seq - b.seq);
  assert.deepEqual(
    bySeq.slice(0, 5).map(({ mailboxes }) => mailboxes[server.address]),
    [['INBOX', '已归档'], ['已归档'], ['INBOX', '已归档'], [], ['INBOX']],
  );
  assert(bySeq.every(({ time }, at) => time >= (bySeq[at - 1]?.time ?? '')));
});

test('a flipped bit anywhere in segments, keys and large bodies is named, with its file', async () => {
  const copy = path.join(temporary, 'flips');
  for (const name of ['segments', 'keys', 'large'])
    fs.cpSync(path.join(server.data, name), path.join(copy, name), { recursive: true });
  const seed = Number(process.env['FENGNI_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  // one process: flips, reads, restores
  const driver = [
    'import importlib.util, json, os, random, sys',
    'spec = importlib.util.spec_from_file_location("read_log", sys.argv[1])',
    'v = importlib.util.module_from_spec(spec); spec.loader.exec_module(v)',
    'data, seed = sys.argv[2], int(sys.argv[3])',
    'chance = random.Random(seed)',
    // what was decrypted once needs no second time
    'payload_chunks, known = v.payload_chunks, {}',
    'def once(key, payload):',
    '    if (key, payload) not in known: known[key, payload] = list(payload_chunks(key, payload))',
    '    return known[key, payload]',
    'v.payload_chunks = once',
    'files = [f"{f}/{n}" for f in ("segments", "keys", "large") for n in sorted(os.listdir(os.path.join(data, f)))]',
    'def problems():',
    '    log = v.Log(data, None); log.read(); list(log.rows()); return log.problems',
    'assert problems() == []',
    'for name in files:',
    '    path = os.path.join(data, name)',
    '    octets = open(path, "rb").read()',
    '    void = int(sys.argv[4]) if name == sys.argv[5] else len(octets)',
    '    ats = [chance.randrange(void) for _ in range(25)] + [len(octets) - 1]',
    '    if name.startswith("segments"):',
    '        at = octets.index(b"FRM1", 4096)',
    '        ats += list(range(0, 104, 11)) + [480, at] + list(range(at, at + 240, 9))',
    '    if name.startswith("keys"): ats += list(range(512, 640, 11))',
    '    for at in ats:',
    '        flipped = bytearray(octets); flipped[at] ^= 1 << chance.randrange(8)',
    '        open(path, "wb").write(flipped)',
    '        found = problems()',
    '        if found == []: print(f"{name} octet {at}: not found")',
    '        elif name.startswith("large") and not any("large/" in each for each in found): print(name, at, found)',
    '        elif not name.startswith("large") and not any(name in each for each in found): print(name, at, found)',
    '    open(path, "wb").write(octets)',
    '    print(f"{name}: {len(ats)} flips", file=sys.stderr)',
  ].join('\n');
  const [first = ''] = segmentsOf(copy);
  const args = [
    script,
    copy,
    String(seed),
    String(fs.statSync(first).size),
    `segments/${path.basename(first)}`,
  ];
  const { stdout, stderr } = await run('python3', ['-B', '-c', driver, ...args], { maxBuffer: 2 ** 26 });
  assert.equal(stdout, '', `FENGNI_SEED=${seed}`);
  assert(stderr.split('\n').length >= 5, stderr);
});

test('a missing file, a cut file, a removed frame and swapped bodies are named', async () => {
  const damaged = async (change: (data: string) => void): Promise<string> => {
    const copy = fs.mkdtempSync(path.join(temporary, 'damaged-'));
    for (const name of ['segments', 'keys', 'large'])
      fs.cpSync(path.join(server.data, name), path.join(copy, name), { recursive: true });
    change(copy);
    const { status, stderr } = await readLog(copy);
    assert.equal(status, 1, stderr);
    return stderr;
  };
  const large = (data: string): string[] =>
    fs
      .readdirSync(path.join(data, 'large'))
      .sort()
      .map((name) => path.join(data, 'large', name));
  assert.match(await damaged((data) => fs.rmSync(large(data)[0] ?? '')), /its file in large\/ is missing/);
  assert.match(
    await damaged((data) => {
      const [a = '', b = ''] = large(data);
      fs.renameSync(a, `${a}.x`);
      fs.renameSync(b, a);
      fs.renameSync(`${a}.x`, b);
    }),
    /its file in large\/ has another length/,
  );
  assert.match(await damaged((data) => fs.rmSync(segmentsOf(data)[0] ?? '')), /octet 0/);
  assert.match(
    await damaged((data) => {
      const last = segmentsOf(data).at(-1) ?? '';
      fs.truncateSync(last, fs.statSync(last).size - 700);
    }),
    /maybe a write that was cut off/,
  );
  assert.match(
    await damaged((data) => {
      const [file = ''] = segmentsOf(data);
      const octets = fs.readFileSync(file);
      const [from = 0, to = 0] = groupEnds(octets.toString('latin1')).slice(4);
      fs.writeFileSync(file, Buffer.concat([octets.subarray(0, from), octets.subarray(to)]));
    }),
    /should stand here/,
  );
  const keyFile = (data: string): string => path.join(data, 'keys/00000000.fkeys');
  assert.match(await damaged((data) => fs.truncateSync(keyFile(data), 640)), /key is missing/);
  assert.match(
    await damaged((data) => {
      const octets = fs.readFileSync(keyFile(data));
      const at = 512 + 128 * 9;
      octets[at] = 3;
      octets.fill(0, at + 16, at + 96);
      createHash('sha256')
        .update(octets.subarray(at, at + 96))
        .digest()
        .copy(octets, at + 96);
      fs.writeFileSync(keyFile(data), octets);
    }),
    /slot 9: destroyed, but no ERASED frame names it/,
  );
});

test('a log goes on in a new generation after a loss, and is read across it', async () => {
  const last = segmentsOf(server.data).at(-1) ?? '';
  const octets = fs.readFileSync(last).toString('latin1');
  // the last group that holds a message, and what follows it
  const groups = groupEnds(octets);
  const message = octets.lastIndexOf('kind received');
  const cut = groups.filter((at) => at <= message).at(-1) ?? assert.fail();
  fs.truncateSync(last, cut);
  const done = await server.fengni(['log', 'new-generation']);
  assert.equal(done.status, 0, done.stdout + done.stderr);
  await server.start();
  const before = sent.length;
  await sendSome(2, 'third');
  assert.equal(await server.stop(), 0);
  const { status, rows, stderr } = await readLog(server.data);
  assert.equal(status, 0, stderr);
  assert.equal(segmentsOf(server.data).length, 3);
  // the messages of one group were given up with it
  const known = new Set(rows.map(({ id }) => id));
  const lost = octets.slice(cut).match(/kind received/g)?.length;
  assert.equal(sent.filter(({ id }) => !known.has(id)).length, lost);
  assert(sent.slice(before).every(({ id }) => known.has(id)));
  assert(rows.some(({ seq }) => seq > 2 ** 32));
});

test('a purged account leaves records and no words, and everything else reads as before', async () => {
  const { rows: before } = await readLog(server.data);
  await server.start();
  const address = 'eve@fengni.test';
  const added = await server.fengni(['account', 'add', address, '--password-stdin'], {
    stdin: 'correct horse battery staple\n',
  });
  assert.equal(added.status, 0, added.stderr);
  const gone = await sendTo(address, 2, 'purged');
  const purged = await server.fengni(['account', 'purge', address, '--yes']);
  assert.equal(purged.status, 0, purged.stderr);
  assert.equal(await server.stop(), 0);
  const out = path.join(temporary, 'purged');
  const { status, rows, stderr } = await readLog(server.data, '--extract', out);
  assert.equal(status, 0, stderr);
  assert.deepEqual(rows.slice(0, before.length), before);
  const erased = rows.slice(before.length);
  assert.deepEqual(erased.map(({ id }) => id).sort(), gone.map(({ id }) => id).sort());
  for (const row of erased) {
    assert.equal(row.sha256, 'erased');
    assert(!JSON.stringify(row).includes(address));
    assert(!fs.existsSync(path.join(out, `${row.id}.eml`)));
  }
});

test('read_log.py exits 2 for usage and 3 for a folder that it cannot read', async () => {
  assert.equal((await readLog()).status, 2);
  assert.equal((await readLog('--nonsense')).status, 2);
  assert.equal((await readLog(path.join(temporary, 'absent'))).status, 3);
});
