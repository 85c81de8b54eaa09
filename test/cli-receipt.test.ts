import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { encodeSignerKey, encodeVerifierKey, parseSignerKey, receiptBytesMax, signerKey } from '#trust/seal';
import { cli } from './support/cli.ts';
import { LineClient } from './support/line-client.ts';
import { startServer, type TestServer } from './support/server.ts';
import { type Accepted, fetchMaildrop, sendMail } from './support/smtp-client.ts';

// A real mail over STARTTLS, its receipt, and two verifiers that share no code: they must agree on every octet that is changed.

const python = path.resolve(import.meta.dirname, '../docs/verify_receipt.py');
const original = [
  'From: Alice <alice@client.example>',
  'To: admin@fengni.test, bob@fengni.test',
  'Subject: =?utf-8?B?5bCB5rOl?= contract',
  'Message-ID: <contract@client.example>',
  '',
  'We pay 1000 on the first of May.',
  '.a line with a dot',
  '',
].join('\r\n');

let server: TestServer;
let folder: string;
let accepted: Accepted;
/** as POP3S gives it: prefix and original */
let stored: string;
let receiptFile: string;
let key: string;

const write = (name: string, octets: string | Uint8Array): string => {
  const file = path.join(folder, name);
  fs.writeFileSync(file, octets as string, 'latin1');
  return file;
};
const data = (): string[] => ['--data', server.data, '--config', server.toml];

before(async () => {
  server = await startServer();
  folder = fs.mkdtempSync(path.join(server.folder, 'receipt-'));
  const added = await cli(['account', 'add', 'bob@fengni.test', '--password-stdin', ...data()], {
    stdin: 'correct horse battery\n',
  });
  assert.equal(added.status, 0, added.stderr);
  accepted = await sendMail(
    { port: server.ports.smtp, ca: server.ca },
    { from: 'alice@client.example', to: ['admin@fengni.test', 'bob@fengni.test'], octets: original },
  );
  receiptFile = path.join(folder, 'receipt');
  const made = await cli(['receipt', accepted.id, '-o', receiptFile, ...data()]);
  assert.equal(made.status, 0, made.stderr);
  key = write('key', (await cli(['log', 'key', ...data()])).stdout);
  [stored = ''] = await fetchMaildrop(
    { port: server.ports.pop3s, ca: server.ca },
    { user: server.address, password: server.password },
  );
});

interface Verdict {
  good: boolean;
  failure: { check: string; reason: string } | null;
  checks: { name: string; result: string }[];
}

/** What both verifiers say of it, in one form; they must say the same. */
const verify = async (
  receipt: string,
  mail: string,
  keys: string,
): Promise<{ status: number; verdict: Verdict }> => {
  const ours = await cli(['verify-receipt', receipt, mail, '--key', keys, '--json']);
  const verdict = JSON.parse(ours.stdout) as Verdict;
  const theirs = spawnSync('python3', [python, receipt, mail, keys], { encoding: 'utf8' });
  const last = theirs.stdout.trimEnd().split('\n').at(-1);
  const expected =
    verdict.failure === null
      ? 'GOOD: this mail is what the receipt says'
      : `BAD: ${verdict.failure.check} ${verdict.failure.reason}`;
  assert.deepEqual([theirs.status, last], [ours.status, expected]);
  return { status: ours.status, verdict };
};

test('a receipt proves the mail as it is stored, as it was sent, and with LF line ends, to both verifiers', async () => {
  assert(stored.endsWith(original));
  assert(fs.statSync(receiptFile).size <= receiptBytesMax);
  const whole = await verify(receiptFile, write('whole.eml', stored), key);
  assert.deepEqual([whole.status, whole.verdict.failure], [0, null]);
  assert.equal(whole.verdict.checks.find(({ name }) => name === 'prefix')?.result, 'good');
  const alone = await verify(receiptFile, write('alone.eml', original), key);
  assert.equal(alone.status, 0);
  assert.equal(alone.verdict.checks.find(({ name }) => name === 'prefix')?.result, 'not-given');
  assert.equal((await verify(receiptFile, write('lf.eml', stored.replaceAll('\r\n', '\n')), key)).status, 0);
});

test('--key takes the key itself', async () => {
  const text = fs.readFileSync(key, 'utf8').split(' ')[0] ?? '';
  assert.equal((await verify(receiptFile, write('text.eml', stored), text)).status, 0);
});

test('one octet changed anywhere that the receipt covers: 1, with the reason, from both verifiers', async () => {
  const flip = (text: string, at: number): string => {
    assert(at > 0 && at < text.length);
    return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1);
  };
  const cases: [string, string, string][] = [
    ['original', flip(stored, stored.indexOf('1000')), 'original original-changed'],
    ['original, its last octet', flip(stored, stored.length - 1), 'original original-changed'],
    ['Received', flip(stored, stored.indexOf('Received: from') + 12), 'prefix prefix-changed'],
    ['TLS version', flip(stored, stored.indexOf('TLSv1.3') + 6), 'prefix prefix-changed'],
    ['Authentication-Results', flip(stored, stored.indexOf('; spf=') + 3), 'prefix prefix-changed'],
    ['Fengni-Seal, its digest', flip(stored, stored.indexOf('sha256=') + 9), 'prefix prefix-changed'],
    // Without the right id nothing says where the original begins: the file as a whole is taken for it.
    [
      'Fengni-Seal, its id',
      flip(stored, stored.indexOf('id=', stored.indexOf('Fengni-Seal')) + 5),
      'original original-changed',
    ],
    [
      'a line put in',
      stored
        .replace('Received: from', 'X: y\r\nReceived: from')
        .replace('Fengni-Seal:', 'X: y\r\nFengni-Seal:'),
      'prefix prefix-changed',
    ],
    ['cut short', stored.slice(0, -2), 'original original-changed'],
  ];
  for (const [what, mail, failure] of cases) {
    const { status, verdict } = await verify(receiptFile, write('changed.eml', mail), key);
    assert.deepEqual([status, `${verdict.failure?.check} ${verdict.failure?.reason}`], [1, failure], what);
  }
});

test('what stands above the common part may change: it is reported as not covered', async () => {
  const mail = write('above.eml', `X-Filter: seen\r\n${stored}`);
  const { status } = await verify(receiptFile, mail, key);
  assert.equal(status, 0);
  const said = await cli(['verify-receipt', receiptFile, mail, '--key', key]);
  assert.match(said.stdout, /not covered by the receipt/);
});

test('another key, another log, a changed head or receipt: 1, with the reason, from both verifiers', async () => {
  const mail = write('mail.eml', stored);
  const [ownText = ''] = fs.readFileSync(key, 'utf8').split(' ');
  const origin = ownText.slice(0, ownText.indexOf('+'));
  const stranger = (name: string): string => {
    const signer = parseSignerKey(encodeSignerKey(signerKey(name, randomBytes(32))));
    return write(`key-${name.replaceAll('/', '-')}`, `${encodeVerifierKey(signer)}\n`);
  };
  const receipt = fs.readFileSync(receiptFile, 'latin1');
  const lines = receipt.split('\n');
  const headAt = lines.indexOf(origin);
  const withLine = (at: number, line: string): string =>
    write('changed-receipt', lines.map((own, index) => (index === at ? line : own)).join('\n'));
  const otherHash = Buffer.alloc(32, 7).toString('base64');
  const cases: [string, string, string, string][] = [
    ['wrong key', receiptFile, stranger(origin), 'signature not-signed'],
    ['key of another log', receiptFile, stranger('other.example/fengni/s0/g1'), 'origin origin-unknown'],
    ['root of the head', withLine(headAt + 2, otherHash), key, 'inclusion inclusion-wrong'],
    ['index', withLine(2, lines[2] === 'index 1' ? 'index 2' : 'index 1'), key, 'inclusion inclusion-wrong'],
    ['no receipt', write('no-receipt', 'hello\n'), key, 'form receipt-malformed'],
  ];
  for (const [what, file, keys, failure] of cases) {
    const { status, verdict } = await verify(file, mail, keys);
    assert.deepEqual([status, `${verdict.failure?.check} ${verdict.failure?.reason}`], [1, failure], what);
  }
});

test('sender and recipients stand in a receipt only when they are asked for, one recipient and no other', async () => {
  const extraOf = (file: string): string =>
    Buffer.from(/^extra (.*)$/m.exec(fs.readFileSync(file, 'latin1'))?.[1] ?? '', 'base64').toString(
      'latin1',
    );
  const plain = extraOf(receiptFile);
  for (const address of ['alice@client.example', 'admin@fengni.test', 'bob@fengni.test'])
    assert(!plain.includes(address), address);
  const opened = path.join(folder, 'opened');
  const made = await cli([
    'receipt',
    accepted.id,
    '-o',
    opened,
    '--full',
    '--show',
    'sender',
    '--recipient',
    'Bob@fengni.test',
    ...data(),
  ]);
  assert.equal(made.status, 0, made.stderr);
  const extra = extraOf(opened);
  assert(extra.includes('from <alice@client.example>') && extra.includes('bob@fengni.test'));
  assert(!extra.includes('admin@fengni.test'));
  const { status, verdict } = await verify(opened, write('opened.eml', stored), key);
  assert.equal(status, 0);
  assert(
    verdict.checks
      .filter(({ name }) => ['env', 'rcp'].includes(name))
      .every(({ result }) => result === 'good'),
  );
  const stranger = await cli([
    'receipt',
    accepted.id,
    '-o',
    opened,
    '--recipient',
    'eve@fengni.test',
    ...data(),
  ]);
  assert.deepEqual([stranger.status, stranger.stdout], [2, '']);
  assert.match(stranger.stderr, /eve@fengni\.test was no recipient/);
});

test('verify-receipt says each check in plain words, in both languages, and what is proved', async () => {
  const mail = write('words.eml', stored);
  const english = await cli(['verify-receipt', receiptFile, mail, '--key', key]);
  assert.match(english.stdout, /✓ good: the mail is, octet for octet, what was received/);
  assert.match(english.stdout, /way: ESMTPS, encrypted with TLSv1\.[23], cipher \S+/);
  assert.match(english.stdout, /The receipt proves this mail\.\n$/);
  const chinese = await cli(
    ['verify-receipt', receiptFile, write('bad.eml', stored.replace('1000', '9000')), '--key', key],
    {
      lang: 'zh_CN.UTF-8',
    },
  );
  assert.equal(chinese.status, 1);
  assert.match(chinese.stdout, /✗ 错误：邮件与收到时逐字节相同/);
  assert.match(chinese.stdout, /回执不能证明这封邮件：邮件被改动过/);
  assert.doesNotMatch(chinese.stdout, /收到，邮件/, 'what a bad receipt claims is not told as fact');
});

test('verify-receipt: a missing key is wrong usage, a missing file could not run, a wrong key text is wrong usage', async () => {
  const mail = write('usage.eml', stored);
  const cases: [string[], number, RegExp][] = [
    [[receiptFile, mail], 2, /--key is missing/],
    [[receiptFile], 2, /MAIL\.eml is missing/],
    [[receiptFile, '/no/such.eml', '--key', key], 3, /cannot be read: \/no\/such\.eml/],
    [[receiptFile, mail, '--key', '/no/such.key'], 3, /cannot be read/],
    [[receiptFile, mail, '--key', 'a+b+c'], 2, /key/],
  ];
  for (const [args, status, said] of cases) {
    const outcome = await cli(['verify-receipt', ...args]);
    assert.equal(outcome.status, status, args.join(' '));
    assert.match(outcome.stderr, said);
  }
});

test('receipt: unknown ids, wrong options and files that cannot be written are refused with the exit status', async () => {
  const cases: [string[], number, RegExp][] = [
    [[accepted.id], 2, /-o is missing/],
    [['nonsense', '-o', 'x'], 2, /no such message: nonsense/],
    [['a'.repeat(26), '-o', 'x'], 2, /no such message/],
    [[accepted.id, '-o', '/no/such/folder/x'], 3, /cannot be written: \/no\/such\/folder\/x: ENOENT/],
    [[accepted.id, '-o', 'x', '--show', 'env'], 2, /only "sender"/],
  ];
  for (const [args, status, said] of cases) {
    const outcome = await cli(['receipt', ...args, ...data()], { cwd: folder });
    assert.equal(outcome.status, status, args.join(' '));
    assert.match(outcome.stderr, said);
  }
});

test('receipt -o - prints the receipt alone; --json says what was made', async () => {
  const printed = await cli(['receipt', accepted.id.toUpperCase(), '-o', '-', ...data()]);
  assert.deepEqual([printed.status, printed.stderr], [0, '']);
  assert.match(printed.stdout, /^c2sp\.org\/tlog-proof@v1\nextra /);
  const json = await cli(['receipt', `id=${accepted.id};`, '-o', 'r.json', '--json', ...data()], {
    cwd: folder,
  });
  const value = JSON.parse(json.stdout) as { id: string; witnessed: boolean };
  assert.deepEqual([value.id, value.witnessed], [accepted.id, false]);
});

test('after a restart the receipt of an old message can be made at once, without a new head', async () => {
  assert.equal(await server.stop(), 0);
  await server.start();
  const again = path.join(folder, 'again');
  const made = await cli(['receipt', accepted.id, '-o', again, ...data()]);
  assert.equal(made.status, 0, made.stderr);
  assert.equal((await verify(again, write('again.eml', stored), key)).status, 0);
});

test('a message that was put into a mailbox by IMAP has a receipt too, without trace fields and recipients', async () => {
  const mail = 'Subject: a draft\r\n\r\nnot sent yet\r\n';
  const client = await LineClient.connect(server.ports.imaps, { ca: server.ca });
  await client.until(/^\* OK.*\r\n/);
  await client.ask(`a LOGIN ${server.address} ${server.password}\r\n`, /^a OK.*\r\n/m);
  await client.ask(`b APPEND Drafts {${mail.length}}\r\n`, /^\+ .*\r\n/m);
  await client.ask(`${mail}\r\n`, /^b OK.*\r\n/m);
  client.destroy();
  const dump = (await cli(['index', 'dump', ...data()])).stdout;
  const id = /^message \d+ (\S+) added /m.exec(dump)?.[1] ?? '';
  assert.match(
    (await cli(['show', id, ...data()])).stdout,
    /from +the account \S+, at 127\.0\.0\.1 port \d+|from +127\.0\.0\.1 port \d+\n/,
  );
  const receipt = path.join(folder, 'added');
  assert.equal((await cli(['receipt', id, '-o', receipt, '--show', 'sender', ...data()])).status, 0);
  assert.equal((await verify(receipt, write('added.eml', mail), key)).status, 0);
  const changed = await verify(receipt, write('added.eml', mail.replace('yet', 'now')), key);
  assert.deepEqual([changed.status, changed.verdict.failure?.reason], [1, 'original-changed']);
  const words = await cli(['verify-receipt', receipt, write('added.eml', mail), '--key', key]);
  assert.match(words.stdout, /good: there are no trace fields/);
  const noRecipient = await cli(['receipt', id, '-o', receipt, '--recipient', server.address, ...data()]);
  assert.equal(noRecipient.status, 2);
});
