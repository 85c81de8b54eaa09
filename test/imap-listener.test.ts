import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { fromLatin1 } from '#base/bytes';
import { type Clock, systemClock } from '#base/clock';
import type { ImapServerSettings } from '#net/imap';
import { ImapTestClient } from './support/imap-client.ts';
import { type ImapLoopback, startImapLoopback } from './support/imap-loopback.ts';
import { MemoryAccount, MemoryLogin } from './support/imap-memory-store.ts';
import { openImapRealStore } from './support/imap-real-store.ts';

const run = promisify(execFile);

const withLoopback = async (
  body: (loopback: ImapLoopback, account: MemoryAccount) => Promise<void>,
  settings: Partial<ImapServerSettings> = {},
  clock: Clock = systemClock,
): Promise<void> => {
  const login = new MemoryLogin();
  const account = new MemoryAccount();
  login.accounts.set('fred', { password: 'secret', account });
  const loopback = await startImapLoopback(login, settings, clock);
  try {
    await body(loopback, account);
  } finally {
    await loopback.close();
  }
};

/** A clock that stands until it is moved. */
const standingClock = (): Clock & { move(ms: number): void } => {
  let nowMs = 0;
  return {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    move: (ms) => {
      nowMs += ms;
    },
  };
};

const secured = async ({ securePort: port, ca }: ImapLoopback): Promise<ImapTestClient> => {
  const client = await ImapTestClient.connect({ port, secure: true, ca });
  await client.reply();
  return client;
};

test('STARTTLS, then everything (RFC 9051 §6.2.1)', () =>
  withLoopback(async ({ plainPort: port, ca }) => {
    const client = await ImapTestClient.connect({ port, secure: false });
    assert.match((await client.reply()) ?? '', /STARTTLS LOGINDISABLED/);
    assert.match((await client.command('a', 'LOGIN fred secret'))[0] ?? '', /^a NO \[PRIVACYREQUIRED\]/);
    assert.match((await client.command('b', 'STARTTLS'))[0] ?? '', /^b OK/);
    await client.secure(ca);
    assert.match((await client.command('c', 'LOGIN fred secret'))[0] ?? '', /^c OK/);
    assert.match((await client.command('d', 'LOGOUT')).join('\n'), /^\* BYE .*\nd OK/);
    assert.equal(await client.reply(), null);
  }));

test('no log-in within a minute ends the session, whatever comes meanwhile', async () => {
  const clock = standingClock();
  await withLoopback(
    async (loopback) => {
      const client = await secured(loopback);
      for (let count = 0; count < 5; count++) {
        clock.move(11_000);
        assert.match((await client.command('a', 'NOOP'))[0] ?? '', /^a OK/);
      }
      clock.move(6_000);
      loopback.listener.sweep();
      assert.match((await client.reply()) ?? '', /^\* BYE /);
      assert.equal(await client.reply(), null);
      assert.equal(loopback.counters.value('imap-login-timed-out'), 1);
    },
    {},
    clock,
  );
});

test('after the log-in the minute is no limit any more', async () => {
  const clock = standingClock();
  await withLoopback(
    async (loopback) => {
      const client = await secured(loopback);
      clock.move(59_000);
      await client.command('a', 'LOGIN fred secret');
      clock.move(600_000);
      loopback.listener.sweep();
      assert.match((await client.command('b', 'NOOP'))[0] ?? '', /^b OK/);
      client.close();
    },
    {},
    clock,
  );
});

test('half an hour of silence ends a session, IDLE too; less does not (RFC 9051 §5.4)', async () => {
  const clock = standingClock();
  await withLoopback(
    async (loopback) => {
      const client = await secured(loopback);
      await client.command('a', 'LOGIN fred secret');
      client.send('b IDLE\r\n');
      assert.match((await client.reply()) ?? '', /^\+/);
      clock.move(29 * 60_000);
      loopback.listener.sweep();
      client.send('DONE\r\nc IDLE\r\n');
      assert.match((await client.reply()) ?? '', /^b OK/);
      assert.match((await client.reply()) ?? '', /^\+/);
      clock.move(30 * 60_000 + 1);
      loopback.listener.sweep();
      assert.match((await client.reply()) ?? '', /^\* BYE /);
    },
    {},
    clock,
  );
});

test('a literal that never comes is waited for five minutes', async () => {
  const clock = standingClock();
  await withLoopback(
    async (loopback, account) => {
      const client = await secured(loopback);
      await client.command('a', 'LOGIN fred secret');
      client.send('b APPEND INBOX {100}\r\n');
      assert.match((await client.reply()) ?? '', /^\+/);
      client.send('half');
      await new Promise((resolve) => setTimeout(resolve, 20));
      clock.move(300_001);
      loopback.listener.sweep();
      assert.match((await client.reply()) ?? '', /^\* BYE /);
      assert.equal(await client.reply(), null);
      assert.equal(account.mailboxes.get('INBOX')?.state.count, 0);
    },
    {},
    clock,
  );
});

test('a TLS hello on the plain port is not answered', () =>
  withLoopback(async (loopback) => {
    const client = await ImapTestClient.connect({ port: loopback.plainPort, secure: false });
    await client.reply();
    client.send('\x16\x03\x01\x02\x00\x01\x00');
    assert.equal(await client.reply(), null);
    assert.equal(loopback.counters.value('imap-tls-hello-refused'), 1);
  }));

test('the 41st session of an account is refused, and let in when another leaves', () =>
  withLoopback(async (loopback) => {
    const clients: ImapTestClient[] = [];
    for (let count = 0; count < 40; count++) {
      const client = await secured(loopback);
      assert.match((await client.command('a', 'LOGIN fred secret'))[0] ?? '', /^a OK/);
      clients.push(client);
    }
    const last = await secured(loopback);
    assert.match((await last.command('a', 'LOGIN fred secret'))[0] ?? '', /^a NO \[LIMIT\]/);
    clients[0]?.close();
    while (loopback.listener.sessions > 40) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.match((await last.command('b', 'LOGIN fred secret'))[0] ?? '', /^b OK/);
    for (const client of [...clients, last]) client.close();
  }));

test('a server that stops says BYE, also to who idles, and takes nobody new', () =>
  withLoopback(async (loopback) => {
    const idle = await secured(loopback);
    await idle.command('a', 'LOGIN fred secret');
    idle.send('b IDLE\r\n');
    await idle.reply();
    const drained = loopback.listener.drain(2_000);
    assert.equal(await idle.reply(), '* BYE Shutting down');
    assert.equal(await idle.reply(), null);
    await drained;
    const late = await ImapTestClient.connect({ port: loopback.plainPort, secure: false });
    assert.match((await late.reply()) ?? '', /^\* BYE /);
    late.close();
  }));

test('new mail reaches an idle session within 200 ms', () =>
  withLoopback(async (loopback, account) => {
    const client = await secured(loopback);
    await client.command('a', 'LOGIN fred secret');
    await client.command('b', 'SELECT INBOX');
    client.send('c IDLE\r\n');
    await client.reply();
    // a push that waited for a timer or the next command would never come here
    account.add('INBOX', fromLatin1('Subject: x\r\n\r\n'));
    assert.equal(await client.reply(), '* 1 EXISTS');
    client.close();
  }));

test('a client that does not read does not hold the others up, and is hung up on in the end', async () => {
  const clock = standingClock();
  await withLoopback(
    async (loopback, account) => {
      const big = Buffer.alloc(8 * 1024 * 1024, 'x');
      account.add('INBOX', Buffer.concat([Buffer.from('Subject: x\r\n\r\n'), big]));
      const socket = net.connect({ port: loopback.plainPort, host: '127.0.0.1' });
      socket.on('error', () => {});
      socket.pause();
      const slow = await secured(loopback);
      await slow.command('a', 'LOGIN fred secret');
      await slow.command('b', 'SELECT INBOX');
      slow.pause();
      slow.send('c FETCH 1:* BODY.PEEK[]\r\n');
      const other = await secured(loopback);
      await other.command('a', 'LOGIN fred secret');
      await other.command('b', 'SELECT INBOX');
      const all = await other.command('c', 'FETCH 1 BODY.PEEK[]');
      assert.equal(all[0]?.length, big.length + 14 + '* 1 FETCH (BODY[] {8388622}\r\n'.length + 1);
      clock.move(300_001);
      loopback.listener.sweep();
      while (loopback.counters.value('imap-stalled') === 0) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        loopback.listener.sweep();
      }
      slow.close();
      other.close();
      socket.destroy();
    },
    {},
    clock,
  );
});

test('a client that ends its side gets its answers', () =>
  withLoopback(async (loopback) => {
    const client = await ImapTestClient.connect({ port: loopback.plainPort, secure: false });
    client.send('a NOOP\r\nb CAPABILITY\r\n');
    client.endInput();
    const replies: string[] = [];
    for (let reply = await client.reply(); reply !== null; reply = await client.reply()) replies.push(reply);
    assert.match(replies.join('\n'), /\na OK .*\n\* CAPABILITY .*\nb OK /);
  }));

test('python3 imaplib and curl read and change mail on the real store, over TLS and STARTTLS', async () => {
  const store = await openImapRealStore();
  const loopback = await startImapLoopback(store.login);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-imaplib-'));
  try {
    const ca = path.join(folder, 'ca.pem');
    fs.writeFileSync(ca, loopback.ca);
    await store.addAccount('imaplib@fengni.test');
    const script = path.join(import.meta.dirname, 'imap-imaplib.py');
    for (const args of [
      [String(loopback.securePort), ca],
      [String(loopback.plainPort), ca, 'starttls'],
    ]) {
      const { stdout } = await run('python3', [script, ...args]).catch(
        (error: { stdout: string; stderr: string }) => {
          assert.fail(`imaplib: ${error.stdout}${error.stderr}`);
        },
      );
      assert.equal(stdout.trim(), '');
    }
    const curl = async (...args: string[]): Promise<Buffer> => {
      const common = ['-sS', '--cacert', ca, '-u', 'imaplib@fengni.test:secret'];
      const { stdout } = await run('curl', [...common, ...args], { encoding: 'buffer', maxBuffer: 1 << 24 });
      return stdout;
    };
    const original = Buffer.from('From: a@example.org\r\nSubject: curl\r\n\r\nby curl \xe9\r\n', 'latin1');
    const file = path.join(folder, 'mail.eml');
    fs.writeFileSync(file, original);
    const secure = `imaps://localhost:${loopback.securePort}`;
    await curl('-T', file, `${secure}/Drafts`);
    assert.deepEqual(await curl(`${secure}/Drafts;MAILINDEX=1`), original);
    assert.deepEqual(
      await curl('--ssl-reqd', `imap://localhost:${loopback.plainPort}/Drafts;UID=1`),
      original,
    );
    assert.match((await curl(`${secure}/`)).toString(), /\* LIST \(\\HasNoChildren \\Drafts\) "\/" "Drafts"/);
    assert.match((await curl(`${secure}/Drafts?ALL`)).toString(), /^\* SEARCH 1\r\n/);
  } finally {
    await loopback.close();
    await store.close();
    fs.rmSync(folder, { recursive: true, force: true });
  }
});
