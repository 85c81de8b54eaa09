import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { type Ran, run } from './support/clients.ts';
import { needPrograms } from './support/debian.ts';
import { fetchAll } from './support/mail-load.ts';
import { eventually, rolesOf } from './support/processes.ts';
import { startServer, type TestServer } from './support/server.ts';

// `fengni sendmail` as cron, scripts and mail programs call it: beside a running server, without one, as another user, and killed.

const root = path.resolve(import.meta.dirname, '..');
const nobody = 65_534;

const server = await startServer({ toml: '[server]\ndata = "data"\n' });
fs.chmodSync(server.folder, 0o755);
const bin = path.join(server.folder, 'bin');
fs.mkdirSync(bin);
for (const name of ['sendmail', 'mailq']) fs.symlinkSync(path.join(root, 'fengni'), path.join(bin, name));

const sendmail = (
  args: readonly string[],
  input = '',
  options: { uid?: number; env?: NodeJS.ProcessEnv } = {},
): Promise<Ran> => run(path.join(bin, 'sendmail'), ['-C', server.toml, ...args], { input, ...options });

const inbox = (of: TestServer = server): Promise<string[]> =>
  fetchAll({ port: of.ports.pop3s, ca: of.ca, user: of.address, password: of.password });

/** As another user, who knows the configuration and cannot look into the data folder. */
const asNobody = (args: readonly string[], input = ''): Promise<Ran> => {
  const toml = path.join(server.folder, 'of-others.toml');
  // A free port was taken: what it is stands in a file of the owner's.
  fs.writeFileSync(toml, `[server]\ndata = "data"\n[listen.smtp]\nport = ${server.ports.smtp}\n`);
  return run(path.join(bin, 'sendmail'), ['-C', toml, ...args], { input, uid: nobody });
};

/** The one message with this subject; @throws when there are more or none */
const withSubject = async (subject: string): Promise<string> => {
  const found = (await inbox()).filter((mail) => mail.includes(`\r\nSubject: ${subject}\r\n`));
  assert.equal(found.length, 1, subject);
  return found[0] ?? '';
};

const waiting = async (): Promise<Record<string, unknown>[]> => {
  const { stdout, status, stderr } = await sendmail(['-bp', '--json']);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Record<string, unknown>[];
};

test('the report of cron reaches the mailbox through a symbolic link named sendmail, and nothing is said', async () => {
  const report =
    'From: root (Cron Daemon)\nTo: admin\nSubject: Cron <root@host> backup\nContent-Type: text/plain; charset=UTF-8\n\n10%\r20%\rdone\n';
  const sent = await sendmail(['-i', '-FCronDaemon', '-B8BITMIME', '-oem', 'admin'], report);
  assert.deepEqual([sent.status, sent.stdout, sent.stderr], [0, '', '']);
  const mail = await withSubject('Cron <root@host> backup');
  assert.match(mail, /^Return-Path: <root@fengni\.test>\r\nDelivered-To: admin@fengni\.test\r\n/);
  assert.match(mail, /\r\nReceived: by mail\.fengni\.test \(from userid 0\) with LOCAL id /);
  assert.match(mail, /\r\nFrom: root@fengni\.test \(Cron Daemon\)\r\nTo: admin@fengni\.test\r\n/);
  assert.match(
    mail,
    /\r\nDate: .* \+0000\r\nMessage-ID: <[^>]+@mail\.fengni\.test>\r\n\r\n10% 20% done\r\n$/,
  );
});

test('-t: recipients from the header, Bcc in no copy; show tells the user of this machine, in both languages', async () => {
  const mail = 'To: admin@fengni.test\nBcc: postmaster\nSubject: bcc\n\nx\n.\nnot read\n';
  const sent = await sendmail(['-t', '-v', '-f', 'bo@fengni.test'], mail);
  assert.equal(sent.status, 0, sent.stderr);
  const id = /id=([a-z2-7]{26})/.exec(sent.stdout)?.[1] ?? '';
  const stored = await withSubject('bcc');
  assert.doesNotMatch(stored, /bcc:|postmaster|not read| for </i);
  assert.match(stored, /^Return-Path: <bo@fengni\.test>/);
  const shown = await server.fengni(['show', id]);
  assert.match(shown.stdout, /a command on this machine, of its user 0/);
  assert.match(
    (await server.fengni(['show', id], { lang: 'zh_CN.UTF-8' })).stdout,
    /本机上的命令，由其用户 0 运行/,
  );
});

test('who gets nothing is named, nobody else gets anything, and the status is one of sysexits.h', async () => {
  const mail = 'Subject: refused\n\nx\n';
  const before = (await inbox()).length;
  const cases: [args: string[], input: string, status: number, said: RegExp][] = [
    [['-i', 'admin', 'nobody'], mail, 67, /There is no mailbox nobody@fengni\.test here; nothing was sent\./],
    [
      ['-i', 'ann@example.com', 'admin'],
      mail,
      69,
      /ann@example\.com is not at a domain of this server; nothing was sent\. This version delivers to its own mailboxes/,
    ],
    [['-i'], mail, 64, /Nobody is named/],
    [['-t'], mail, 64, /Nobody is named/],
    [['-t'], 'To: foo bar\n\n', 65, /"foo bar" is no address/],
    [['-i', 'a b@c d'], mail, 65, /is no address/],
    [['-bd'], '', 64, /The option -b does not take "d"\./],
    [['-z'], '', 64, /There is no option -z\./],
    [['-bv', 'admin', 'nobody'], '', 67, /no mailbox nobody@/],
    [['-C', '/no/such/file', 'admin'], mail, 78, /cannot be read|\/no\/such\/file/],
  ];
  for (const [args, input, status, said] of cases) {
    const outcome = await sendmail(args, input);
    assert.equal(outcome.status, status, `${args.join(' ')}: ${outcome.stderr}`);
    assert.match(outcome.stderr, said);
    assert.match(outcome.stderr, /^sendmail: .*\nsendmail: What to do: /);
  }
  assert.equal((await inbox()).length, before);
  const chinese = await sendmail(['-i', 'ann@example.com'], mail, { env: { LANG: 'zh_CN.UTF-8' } });
  assert.match(
    Buffer.from(chinese.stderr, 'latin1').toString('utf8'),
    /^sendmail: ann@example\.com 不属于本服务器的域/,
  );
  assert.equal((await sendmail(['-bv', 'admin'])).status, 0);
  for (const args of [['-bi'], ['-I']]) assert.equal((await sendmail(args)).status, 0);
});

test('-bs speaks SMTP on its input and output', async () => {
  const said = await sendmail(
    ['-bs'],
    'EHLO me\r\nMAIL FROM:<bo@fengni.test>\r\nRCPT TO:<nobody@fengni.test>\r\nRCPT TO:<x@example.com>\r\nRCPT TO:<admin@fengni.test>\r\nDATA\r\nSubject: bs\r\n\r\n..dot\r\n.\r\nQUIT\r\n',
  );
  assert.equal(said.status, 0, said.stderr);
  const codes = [...said.stdout.matchAll(/^(\d{3}) /gm)].map(([, code]) => code);
  assert.deepEqual(codes, ['220', '250', '250', '550', '550', '250', '354', '250', '221']);
  assert.match(said.stdout, /250 2\.0\.0 Ok id=[a-z2-7]{26} sha256=[0-9a-f]{64}/);
  assert.match(await withSubject('bs'), /\r\n\r\n\.dot\r\n$/);
});

test('another user reaches own mailboxes by SMTP, -bs too, and nobody else’s queue', async (t) => {
  if (process.getuid?.() !== 0) {
    t.skip('not run: needs root, to be another user');
    return;
  }
  const sent = await asNobody(['-i', 'admin'], 'Subject: other\n\n.\nx\n');
  assert.deepEqual([sent.status, sent.stderr], [0, '']);
  const mail = await withSubject('other');
  assert.match(
    mail,
    /\r\nReceived: from mail\.fengni\.test \(\[127\.0\.0\.1\]\) by mail\.fengni\.test with ESMTP id /,
  );
  assert.match(mail, /\r\n\r\n\.\r\nx\r\n$/);
  const elsewhere = await asNobody(['-i', 'ann@example.com'], 'x\n');
  assert.deepEqual([elsewhere.status, /not at a domain of this server/.test(elsewhere.stderr)], [69, true]);
  assert.equal((await asNobody(['-i', 'nobody'], 'x\n')).status, 67);
  assert.match((await asNobody(['-bs'], 'QUIT\r\n')).stdout, /^220 .*\r\n221 /);
  for (const mode of ['-bp', '-q']) assert.equal((await asNobody([mode], '')).status, 77);
});

test('mutt with "set sendmail"', async () => {
  needPrograms('mutt');
  const rc = path.join(server.folder, 'muttrc');
  fs.writeFileSync(
    rc,
    `set sendmail="${bin}/sendmail -C ${server.toml} -oem -oi"\nset from="admin@fengni.test"\nset copy=no\nset use_envelope_from=yes\n`,
  );
  const sent = await run(
    'mutt',
    ['-n', '-F', rc, '-s', 'from mutt', '-b', 'postmaster@fengni.test', '--', 'admin@fengni.test'],
    {
      input: 'Grüße\n',
      env: { HOME: server.folder, TERM: 'dumb' },
    },
  );
  assert.equal(sent.status, 0, sent.stderr);
  const mail = await withSubject('from mutt');
  assert.match(mail, /^Return-Path: <admin@fengni\.test>/);
  assert.doesNotMatch(mail, /bcc/i);
});

test('while the server is down mail waits on disk, is shown, and is taken once when it is back', async () => {
  await server.stop();
  const sent = await sendmail(['-i', 'admin'], 'Subject: waits\n\nx\n');
  assert.deepEqual([sent.status, sent.stdout, sent.stderr], [0, '', '']);
  assert.equal((await sendmail(['-i', 'nobody'], 'x\n')).status, 67);
  assert.equal((await sendmail(['-i', 'a@example.com'], 'x\n')).status, 69);
  const [entry] = await waiting();
  assert.deepEqual(
    [entry?.['sender'], entry?.['recipients'], entry?.['uid']],
    ['root@fengni.test', ['admin@fengni.test'], 0],
  );
  const queue = await run(path.join(bin, 'mailq'), ['-C', server.toml]);
  assert.match(
    queue.stdout,
    /^-Queue ID-.*\n\S+ +\d+ \w{3} \w{3} \d\d [\d:]{8} +root@fengni\.test\n +admin@fengni\.test\n\n-- 1 Kbytes in 1 Request\.\n$/,
  );
  const bySmtp = await sendmail(
    ['-bs'],
    'EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<admin@fengni.test>\r\nDATA\r\nSubject: bs waits\r\n\r\nx\r\n.\r\nQUIT\r\n',
  );
  assert.match(bySmtp.stdout, /\n250 2\.0\.0 Ok id=/);
  if (process.getuid?.() === 0) {
    const other = await asNobody(['-i', 'admin'], 'x\n');
    assert.equal(other.status, 75);
    assert.match(other.stderr, /No Fengni answers on this machine/);
  }
  await server.start();
  await eventually('nothing waits any more', async () => (await waiting()).length === 0);
  await withSubject('waits');
  await withSubject('bs waits');
});

test('-q hands in what waits without a server, and the same mail handed in again comes once', async () => {
  await server.stop();
  assert.equal(
    (await sendmail(['-i', 'admin'], `Subject: flushed\n\n${'line\n'.repeat(100_000)}`)).status,
    0,
  );
  const folder = path.join(server.data, 'pickup');
  const [name = ''] = fs.readdirSync(folder);
  fs.copyFileSync(path.join(folder, name), path.join(server.folder, name));
  const flushed = await sendmail(['-q', '--json']);
  assert.deepEqual(
    [flushed.status, JSON.parse(flushed.stdout)],
    [0, { delivered: 1, known: 0, held: 0, waiting: 0 }],
    flushed.stderr,
  );
  // As if it had been killed before it removed the file.
  fs.copyFileSync(path.join(server.folder, name), path.join(folder, name));
  assert.deepEqual(JSON.parse((await sendmail(['-q', '--json'])).stdout), {
    delivered: 0,
    known: 1,
    held: 0,
    waiting: 0,
  });
  fs.copyFileSync(path.join(server.folder, name), path.join(folder, name));
  await server.start();
  await eventually('nothing waits any more', async () => (await waiting()).length === 0);
  await withSubject('flushed');
});

test('what is refused when it is taken stays, with the reason, until its address exists; a damaged file stays too', async () => {
  assert.equal(
    (
      await server.fengni(['account', 'add', 'late@fengni.test', '--password-stdin'], {
        stdin: 'secret-of-late\n',
      })
    ).status,
    0,
  );
  await server.stop();
  assert.equal((await sendmail(['-i', 'late'], 'Subject: late\n\nx\n')).status, 0);
  const folder = path.join(server.data, 'pickup');
  await server.fengni(['account', 'purge', 'late@fengni.test', '--yes']);
  fs.writeFileSync(path.join(folder, '001700000000000-0123456789abcdef.mail'), 'fengni/pickup1 nothing\n');
  await server.start();
  await eventually('both are held', async () => (await waiting()).every(({ held }) => held !== null));
  const all = await waiting();
  assert.deepEqual(all.map(({ held }) => (held as { enhanced: string }).enhanced).sort(), ['5.1.1', '5.3.0']);
  assert.match((await sendmail(['-bp'])).stdout, /\(550 5\.1\.1 No such mailbox here\)/);
  assert.equal((await sendmail(['-q'])).status, 69);
  fs.rmSync(path.join(folder, '001700000000000-0123456789abcdef.mail'));
  assert.equal((await server.fengni(['alias', 'add', 'late@fengni.test', 'admin@fengni.test'])).status, 0);
  const flushed = await sendmail(['-q']);
  assert.deepEqual([flushed.status, flushed.stderr.includes('error')], [0, false], flushed.stderr);
  await withSubject('late');
  assert.deepEqual(await waiting(), []);
});

test('killed at any moment (kill -9), it has either said yes and the mail comes once, or it comes at most once', async () => {
  await server.stop();
  const said = new Set<string>();
  const begun: string[] = [];
  const attempts = 10;
  let wholeMs = 0;
  for (let at = 0; at <= attempts; at++) {
    const subject = `killed ${at}`;
    begun.push(subject);
    const began = performance.now();
    const child = spawn(path.join(bin, 'sendmail'), ['-C', server.toml, '-i', 'admin'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    child.stdin.on('error', () => {});
    child.stdin.end(`Subject: ${subject}\n\n`.padEnd(300_000, 'line of text\n'));
    // The first one lives, and says how long it takes.
    const killing =
      at === 0 ? undefined : setTimeout(() => child.kill('SIGKILL'), (wholeMs * (at + 1)) / (attempts + 2));
    const status = await new Promise<number | null>((resolve) => child.once('exit', resolve));
    clearTimeout(killing);
    if (at === 0) wholeMs = performance.now() - began;
    if (status === 0) said.add(subject);
  }
  assert.ok(said.size < begun.length, 'none was killed');
  await server.start();
  await eventually('nothing waits any more', async () => (await waiting()).length === 0);
  const all = await inbox();
  for (const subject of begun) {
    const count = all.filter((mail) => mail.includes(`\r\nSubject: ${subject}\r\n`)).length;
    assert.ok(said.has(subject) ? count === 1 : count <= 1, `${subject}: ${count}`);
  }
});

test('a server that is killed again and again while it takes what waits loses nothing and takes nothing twice', async () => {
  await server.stop();
  const subjects = Array.from({ length: 60 }, (_, at) => `drained ${at}`);
  // In one process each: what waits is what many programs left.
  for (const subject of subjects.slice(0, 3))
    assert.equal((await sendmail(['-i', 'admin'], `Subject: ${subject}\n\nx\n`)).status, 0);
  const { createPickup } = await import('#store/pickup');
  const { nodeIo } = await import('#store/durable');
  const { commit, messageId } = await import('#trust/seal');
  const { createHash } = await import('node:crypto');
  const pickup = createPickup({ io: nodeIo, folder: server.data });
  for (const [at, subject] of subjects.slice(3).entries()) {
    const octets = Buffer.from(`Subject: ${subject}\r\n\r\n${'y'.repeat(at % 2 === 0 ? 10 : 400_000)}\r\n`);
    const msgSalt = nodeIo.random(32);
    await pickup.add(
      {
        id: messageId(commit('msg', msgSalt, createHash('sha256').update(octets).digest())),
        msgSalt,
        mailFrom: '',
        parameters: [],
        recipients: [{ address: server.address, notify: null }],
        uid: 0,
        timeMs: Date.now(),
      },
      [octets],
    );
  }
  const left = (): number => fs.readdirSync(path.join(server.data, 'pickup')).length;
  for (let round = 0; round < 3 && left() > 0; round++) {
    const before = left();
    await server.start();
    await eventually('some of it is taken', () => left() < before, 60_000);
    const writer = rolesOf(server.pid).get('writer');
    if (round === 0 && writer !== undefined) process.kill(writer, 'SIGKILL');
    else await server.kill();
    if (round === 0) {
      const then = left();
      if (then > 0) await eventually('it goes on', () => left() < then, 60_000);
      await server.kill();
    }
  }
  await server.start();
  await eventually('nothing waits any more', async () => (await waiting()).length === 0, 60_000);
  const all = await inbox();
  for (const subject of subjects)
    assert.equal(all.filter((mail) => mail.includes(`Subject: ${subject}\r\n`)).length, 1, subject);
  assert.deepEqual(fs.readdirSync(path.join(server.data, 'pickup')), []);
  const verified = await server.fengni(['verify', '--all']);
  assert.equal(verified.status, 0, verified.stdout + verified.stderr);
});

test('a message that is handed in by SMTP with a dot at every place is what was written (RFC 5321 §4.5.2)', async (t) => {
  if (process.getuid?.() !== 0) {
    t.skip('not run: needs root, to be another user');
    return;
  }
  const body = '.a\r\n..\r\n.\r\n\r\n.'.repeat(20_000);
  const sent = await asNobody(['-i', 'admin'], `Subject: dots\r\n\r\n${body}`);
  assert.equal(sent.status, 0, sent.stderr);
  assert.ok((await withSubject('dots')).endsWith(`\r\n\r\n${body}\r\n`));
});
