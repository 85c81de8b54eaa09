import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { cli } from './support/cli.ts';
import { type DnsServer, startDnsServer } from './support/dns-server.ts';
import { ImapTestClient } from './support/imap-client.ts';
import { LineClient } from './support/line-client.ts';
import { startServer, type TestServer } from './support/server.ts';
import { type Accepted, sendMail } from './support/smtp-client.ts';

// A running server, real refusals, restarts, a purge: what "fengni trace" tells an administrator of each, and what it tells a user.

const zone = {
  'r.example': { TXT: ['v=spf1 -all'] },
  '_dmarc.r.example': { TXT: ['v=DMARC1; p=reject'] },
};
const zh = 'zh_CN.UTF-8';

let dns: DnsServer;
let server: TestServer;
let both: Accepted;

before(async () => {
  dns = await startDnsServer({ zone });
  server = await startServer({
    toml: `[dns]\nresolvers = ["${dns.endpoint}"]\n\n[smtp]\nsize_max = "64KiB"\nrecipients_max = 100\n`,
  });
  for (const name of ['ann', 'bob', 'gone'])
    assert.equal(
      (
        await run(['account', 'add', `${name}@fengni.test`, '--password-stdin'], {
          stdin: `${name}-password\n`,
        })
      ).status,
      0,
    );
});
after(() => dns.stop());

const run = (argv: readonly string[], options: Parameters<typeof cli>[1] = {}) =>
  cli([...argv, '--data', server.data, '--config', server.toml], options);

interface Found {
  kind: string;
  id: string | null;
  sha256Hex: string | null;
  sizeBytes: number | null;
  mailFrom: string | null;
  author: string | null;
  messageId: string | null;
  helo: string | null;
  peer: string;
  recipients: { address: string; fates: { kind: string; mailbox?: string }[] }[];
  recipientCount?: number;
  stage?: string;
  reply?: { code: number; enhanced: string; text: string };
  reason?: string;
}

const trace = async (...words: string[]): Promise<{ found: Found[]; counted: { count: number }[] }> => {
  const { status, stdout, stderr } = await run(['trace', '--json', ...words]);
  const told = JSON.parse(stdout) as { found: Found[]; counted: { count: number }[] };
  assert.equal(status, told.found.length + told.counted.length > 0 ? 0 : 1, stderr);
  return told;
};
const reasons = async (...words: string[]): Promise<string[]> =>
  (await trace(...words)).found.map(({ reason, kind }) => reason ?? kind);

/** What a peer says, line by line; the replies. */
const dialogue = async (...lines: string[]): Promise<string> => {
  const client = await LineClient.connect(server.ports.smtp);
  const reply = /^\d{3} [^\r\n]*\r\n/m;
  let said = '';
  try {
    said += await client.ask('', reply);
    for (const line of lines) said += await client.ask(`${line}\r\n`, reply);
    return said;
  } finally {
    client.destroy();
  }
};

/** longer than refusals wait to be noted */
const noted = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1_000));

test('a message is found by all that is known of it, and where each copy lies', async () => {
  both = await sendMail(
    { port: server.ports.smtp },
    {
      from: 'eve@sub.sender.example',
      to: ['ann@fengni.test', 'bob@fengni.test'],
      octets:
        'From: Boss <boss@corp.example>\r\nMessage-ID: <m-1@corp.example>\r\nSubject: s\r\n\r\ntext\r\n',
    },
  );
  // At once: what trace.db does not have yet is looked through all the same.
  const ways = [
    ['eve@sub.sender.example'],
    ['sender.example'],
    ['from:@sub.sender.example'],
    ['mail-from:eve@sub.sender.example', 'to:bob@fengni.test', 'today'],
    ['author:boss@corp.example'],
    ['<m-1@corp.example>'],
    ['message-id:m-1@corp.example'],
    [both.id],
    [`id:${both.id.slice(0, 10)}`],
    [both.sha256],
    [`hash:${both.sha256.slice(0, 8)}`],
    ['peer:127.0.0.1', 'is:taken'],
    ['127.0.0.0/8', 'is:taken', 'since:1h'],
  ];
  for (const words of ways) {
    const { found } = await trace(...words);
    assert.deepEqual(
      found.map(({ id, sha256Hex }) => [id, sha256Hex]),
      [[both.id, both.sha256]],
      words.join(' '),
    );
  }
  const [message] = (await trace(both.id)).found;
  assert.deepEqual(
    message?.recipients.map(({ address, fates }) => [address, fates[0]?.kind, fates[0]?.mailbox]),
    [
      ['ann@fengni.test', 'placed', 'INBOX'],
      ['bob@fengni.test', 'placed', 'INBOX'],
    ],
  );
  assert.deepEqual([message?.helo, message?.peer], ['client.example', '127.0.0.1']);
  for (const words of [
    ['nobody@sender.example'],
    ['yesterday', both.id],
    ['10.0.0.0/8'],
    ['until:2020-01-01'],
  ])
    assert.deepEqual((await trace(...words)).found, [], words.join(' '));
});

test('whatever is refused is found, with its reason and all that was known of the message', async () => {
  const hello = ['EHLO bad.client.example', 'MAIL FROM:<spam@bad.example>'];
  await dialogue(
    ...hello,
    'RCPT TO:<nobody@fengni.test>',
    'RCPT TO:<nobody2@fengni.test>',
    'RCPT TO:<x@else.example>',
  );
  await dialogue('EHLO bad.client.example', 'MAIL FROM:<big@bad.example> SIZE=99999999');
  await dialogue(...hello, ...Array(101).fill('RCPT TO:<ann@fengni.test>'));
  const header = 'From: Loud <loud@bad.example>\r\nMessage-ID: <large@bad.example>\r\n\r\n';
  const to = ['RCPT TO:<ann@fengni.test>', 'DATA'];
  assert.match(await dialogue(...hello, ...to, `${header}${'x'.repeat(70_000)}\r\n.`), /552 5\.3\.4/);
  assert.match(await dialogue(...hello, ...to, `${header}bare\nline\r\n.`), /554 5\.6\.0/);
  assert.match(
    await dialogue(...hello, ...to, `${'Received: x\r\n'.repeat(60)}${header}\r\n.`),
    /554 5\.4\.6/,
  );
  assert.match(
    await dialogue(
      'EHLO r.example',
      'MAIL FROM:<x@r.example>',
      ...to,
      'From: x@r.example\r\nMessage-ID: <forged@r.example>\r\n\r\ntext\r\n.',
    ),
    /550 5\.7\.\d+/,
  );
  await dialogue('EHLO h', ...Array(20).fill('NONSENSE'));
  await noted();

  const [unknown] = (await trace('to:nobody2@fengni.test')).found;
  assert.deepEqual(
    [
      unknown?.kind,
      unknown?.reason,
      unknown?.stage,
      unknown?.mailFrom,
      unknown?.helo,
      unknown?.recipientCount,
    ],
    ['refused', 'recipient-unknown', 'rcpt', 'spam@bad.example', 'bad.client.example', 2],
  );
  assert.deepEqual(unknown?.reply, { code: 550, enhanced: '5.1.1', text: 'No such mailbox here' });
  assert.deepEqual(await reasons('else.example'), ['relay-refused']);
  assert.deepEqual(await reasons('from:big@bad.example'), ['size-declared']);
  assert.deepEqual(await reasons('code:4.5.3'), ['too-many-recipients']);
  // Its header had come before it was too large; a loop is told by the first lines of it.
  const [large] = (await trace('<large@bad.example>')).found;
  assert.deepEqual([large?.reason, large?.author], ['size', 'loud@bad.example']);
  assert.ok(Number(large?.sizeBytes) > 60_000);
  assert.deepEqual(large?.recipients, [{ address: 'ann@fengni.test', fates: [] }]);
  assert.deepEqual(await reasons('spam@bad.example', 'to:ann@fengni.test', 'reason:loop'), ['loop']);
  assert.deepEqual(await reasons('to:ann@fengni.test', 'code:554', 'reason:bare-cr-or-lf-data'), [
    'bare-cr-or-lf-data',
  ]);
  const [forged] = (await trace('<forged@r.example>')).found;
  assert.deepEqual(
    [forged?.reason, forged?.author, forged?.stage],
    ['authentication', 'x@r.example', 'data'],
  );
  // It was complete: its hash and the id that it would have had are known.
  assert.match(String(forged?.sha256Hex), /^[0-9a-f]{64}$/);
  assert.deepEqual(await reasons(`hash:${forged?.sha256Hex?.slice(0, 12)}`), ['authentication']);
  const nonsense = await reasons('reason:too-many-errors');
  assert.deepEqual(nonsense, ['too-many-errors']);

  const story = await run(['trace', '-v', '<forged@r.example>']);
  assert.match(story.stdout, /because +who sent it could not be believed/);
  const chinese = await run(['trace', '-v', '<forged@r.example>'], { lang: zh });
  assert.match(chinese.stdout, /原因 +发件人的身份不可信/);
  const line = await run(['trace', 'to:nobody2@fengni.test']);
  assert.match(line.stdout, /<spam@bad\.example> → <nobody@fengni\.test> and 1 more {2}refused 550 5\.1\.1/);
});

test('a question that is none is refused with the word that is wrong, in both languages', async () => {
  const english = await run(['trace', 'subject:x']);
  assert.equal(english.status, 2);
  assert.match(english.stderr, /subject:x: there is no such field/);
  assert.match((await run(['trace'], { lang: zh })).stderr, /没有写要查什么/);
  const nothing = await run(['trace', 'absent@nowhere.example']);
  assert.equal(nothing.status, 1);
  assert.match(nothing.stdout, /^Nothing was found\.\n/);
});

test('a user sees its own, and neither another recipient nor that there is one', async () => {
  const own = async (name: string, ...words: string[]) => trace('--as', `${name}@fengni.test`, ...words);
  const [mine] = (await own('ann', both.id)).found;
  assert.deepEqual(
    mine?.recipients.map(({ address }) => address),
    ['ann@fengni.test'],
  );
  assert.equal(mine?.recipientCount, undefined);
  assert.deepEqual((await own('ann', both.id, 'to:bob@fengni.test')).found, [], 'a Bcc is not to be guessed');
  assert.equal((await own('bob', both.id, 'to:bob@fengni.test')).found.length, 1);
  assert.deepEqual((await own('gone', both.id)).found, []);
  assert.equal((await own('ann', '<large@bad.example>')).found.length, 1);
  assert.deepEqual((await own('bob', '<large@bad.example>')).found, []);
  assert.deepEqual((await own('ann', 'to:nobody@fengni.test')).found, []);
  assert.deepEqual((await own('ann', 'today')).counted, []);
  assert.equal((await run(['trace', 'today', '--as', 'who@fengni.test'])).status, 2);
  const text = await run(['trace', both.id, '--as', 'ann@fengni.test', '-v']);
  // an id is letters, and may have these three among them
  assert.doesNotMatch(text.stdout.replaceAll(both.id, ''), /bob/);
});

test('what becomes of a copy afterwards is told: moved, deleted', async () => {
  const client = await ImapTestClient.connect({ port: server.ports.imaps, secure: true, ca: server.ca });
  await client.reply();
  await client.command('a', 'LOGIN ann@fengni.test ann-password');
  await client.command('b', 'CREATE Projects');
  await client.command('c', 'SELECT INBOX');
  await client.command('d', 'UID MOVE 1 Projects');
  client.close();
  const other = await ImapTestClient.connect({ port: server.ports.imaps, secure: true, ca: server.ca });
  await other.reply();
  await other.command('a', 'LOGIN bob@fengni.test bob-password');
  await other.command('b', 'SELECT INBOX');
  await other.command('c', 'UID STORE 1 +FLAGS (\\Deleted)');
  await other.command('d', 'EXPUNGE');
  other.close();
  const { stdout } = await run(['trace', both.id, '-v']);
  assert.match(stdout, /<ann@fengni\.test>, lies in Projects \(UID 1\)/);
  assert.match(stdout, /<bob@fengni\.test>, deleted on 20\d\d-/);
  assert.match((await run(['trace', both.id, '-v'], { lang: zh })).stdout, /在 Projects 中（UID 1）/);
});

test('a restart and a kill -9 change no answer', async () => {
  const asked = [['bad.example'], [both.id], ['corp.example'], ['127.0.0.1']];
  const answers = async () => Promise.all(asked.map((words) => trace(...words)));
  const was = await answers();
  await server.stop();
  // Without a server the command answers as well.
  assert.deepEqual(await answers(), was);
  await server.start();
  assert.deepEqual(await answers(), was);
  const last = await sendMail(
    { port: server.ports.smtp },
    { from: 'late@killed.example', to: ['ann@fengni.test'], octets: 'Subject: s\r\n\r\ntext\r\n' },
  );
  await server.kill();
  assert.deepEqual(
    (await trace('killed.example')).found.map(({ id }) => id),
    [last.id],
  );
  await server.start();
  assert.deepEqual(
    (await trace('killed.example')).found.map(({ id }) => id),
    [last.id],
  );
  assert.deepEqual(await trace('bad.example'), was[0]);
});

test('a flood is bounded, and every refusal of it is kept or counted', async () => {
  const before = await trace('127.0.0.1', 'is:refused', '--limit', '10000');
  const sum = ({ found, counted }: Awaited<ReturnType<typeof trace>>): number =>
    found.length + counted.reduce((all, { count }) => all + count, 0);
  for (let sessions = 0; sessions < 30; sessions++)
    await dialogue('EHLO flood', ...Array(18).fill('NONSENSE')).catch(() => '');
  await noted();
  const afterwards = await trace('127.0.0.1', 'is:refused', '--limit', '10000');
  assert.equal(sum(afterwards) - sum(before), 30 * 18);
  assert.ok(afterwards.found.length <= 200, `${afterwards.found.length}`);
  assert.ok(afterwards.counted.length > 0);
  const { stdout } = await run(['trace', '127.0.0.1', 'is:refused']);
  assert.match(stdout, /127\.0\.0\.1 {2}refused \d+ times 500 5\.5\.1 \(protocol\), counted/);
});

test('a purged account is in neither file, what others sent stays', async () => {
  await dialogue('EHLO h', 'MAIL FROM:<gone@fengni.test>', 'RCPT TO:<nobody3@fengni.test>');
  await sendMail(
    { port: server.ports.smtp },
    { from: 'x@kept.example', to: ['gone@fengni.test'], octets: 'Subject: s\r\n\r\ntext\r\n' },
  );
  await noted();
  const purged = await run(['account', 'purge', 'gone@fengni.test', '--yes']);
  assert.equal(purged.status, 0, purged.stderr);
  assert.deepEqual((await trace('gone@fengni.test')).found, []);
  assert.deepEqual((await trace('kept.example')).found, []);
  await server.stop();
  for (const name of fs.readdirSync(server.data).filter((each) => /^(?:trace|attempts)\.db/.test(each)))
    assert.equal(fs.readFileSync(path.join(server.data, name)).includes('gone@'), false, name);
  assert.ok((await trace('bad.example')).found.length > 0);
});

test('a damaged attempts.db is set aside, a damaged trace.db is made again; mail goes on', async () => {
  const damage = (name: string): void =>
    fs.writeFileSync(path.join(server.data, name), 'this is no database, whatever it says');
  damage('attempts.db');
  const { status, stdout } = await run(['trace', 'bad.example', '--json']);
  assert.equal(status, 1);
  assert.equal(JSON.parse(stdout).error.code, 'attempts-damaged');
  damage('trace.db');
  await server.start();
  assert.deepEqual((await trace('bad.example')).found, []);
  assert.equal((await trace('corp.example')).found[0]?.id, both.id);
  assert.ok(fs.readdirSync(server.data).some((name) => name.startsWith('attempts.db.damaged-')));
});
