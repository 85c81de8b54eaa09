import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '#base/logger';
import {
  createCounters,
  createSessionGate,
  type SessionGateSettings,
  sessionGateDefaults,
} from '#net/connection';
import {
  type Maildrop,
  type OpenedMessage,
  type Pop3Credentials,
  type Pop3Login,
  pop3Counters,
  type QuitOutcome,
} from '#protocols/pop3';
import {
  eventually,
  LineClient,
  listenOnLoopback,
  loopbackTls,
  stillClock,
} from '../../../test/support/line-client.ts';
import {
  createPop3Server,
  type Pop3ServerSettings,
  pop3ServerCounters,
  pop3ServerDefaults,
} from './index.ts';

const certificate = loopbackTls();
const known = { ...pop3Counters, ...pop3ServerCounters };

/** A maildrop of texts; every step can be made to fail or to wait. */
class FakeMaildrop implements Maildrop {
  readonly texts: string[];
  readonly messages: { sizeBytes: number; uidl: string }[];
  quits: (readonly number[])[] = [];
  closes = 0;
  onOpen: (index: number) => Promise<OpenedMessage> = async (index) => ({
    kind: 'found',
    sizeBytes: this.texts[index]?.length ?? 0,
    octets: pieces(this.texts[index] ?? '', 1_000),
  });
  onQuit: () => Promise<QuitOutcome> = async () => ({ kind: 'done' });

  constructor(texts: string[]) {
    this.texts = texts;
    this.messages = texts.map((text, index) => ({ sizeBytes: text.length, uidl: `u${index}` }));
  }

  open(index: number): Promise<OpenedMessage> {
    assert.equal(this.closes, 0, 'opened after close');
    return this.onOpen(index);
  }

  quit(deleted: readonly number[]): Promise<QuitOutcome> {
    assert.equal(this.closes, 0, 'quit after close');
    this.quits.push(deleted);
    return this.onQuit();
  }

  close(): void {
    this.closes += 1;
  }
}

async function* pieces(text: string, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < text.length; at += size) yield Buffer.from(text.slice(at, at + size), 'latin1');
}

class FakeLogin implements Pop3Login {
  readonly maildrop: FakeMaildrop;
  readonly asked: Pop3Credentials[] = [];
  hold: Promise<void> | null = null;
  broken = false;

  constructor(maildrop: FakeMaildrop) {
    this.maildrop = maildrop;
  }

  async verify(credentials: Pop3Credentials): ReturnType<Pop3Login['verify']> {
    this.asked.push(credentials);
    if (this.broken) throw new Error('broken');
    await this.hold;
    if (credentials.password !== 'secret')
      return { kind: 'refused', code: 'AUTH', text: 'Wrong user or password' };
    return { kind: 'granted', maildrop: this.maildrop };
  }
}

interface StartOptions {
  texts?: string[];
  settings?: Partial<Pop3ServerSettings>;
  gate?: Partial<SessionGateSettings>;
  security?: 'none' | 'implicit';
}

const start = async (t: TestContext, options: StartOptions = {}) => {
  const maildrop = new FakeMaildrop(options.texts ?? ['A: b\r\n\r\n.one\r\n', 'no end', 'x\n.\ny\n']);
  const login = new FakeLogin(maildrop);
  const counters = createCounters();
  const clock = stillClock();
  const security = options.security ?? 'implicit';
  const server = createPop3Server({
    settings: { hostname: 'pop.fengni.test', stls: true, ...pop3ServerDefaults, ...options.settings },
    login,
    tls: certificate,
    gate: createSessionGate({ ...sessionGateDefaults, ...options.gate }, clock),
    counters,
    clock,
    random: (bytes) => new Uint8Array(bytes),
    log: silentLogger,
    sweepEveryMs: 1_000_000,
  });
  const sockets: Socket[] = [];
  const listener = await listenOnLoopback((socket) => {
    sockets.push(socket);
    server.accept(socket, security);
  });
  const clients: LineClient[] = [];
  t.after(async () => {
    listener.close();
    for (const client of clients) client.destroy();
    await server.drain(0);
    // What was counted has a meaning that people can read.
    for (const name of Object.keys(counters.snapshot())) assert.ok(name in known, name);
  });
  const connect = async (): Promise<LineClient> => {
    const client = await LineClient.connect(
      listener.port,
      security === 'implicit' ? { ca: certificate.ca } : {},
    );
    clients.push(client);
    return client;
  };
  const loggedIn = async (): Promise<LineClient> => {
    const client = await connect();
    await client.until(/^\+OK .*\r\n/);
    await client.ask('USER a\r\nPASS secret\r\n', /\+OK \d+ messages\r\n/);
    return client;
  };
  return { server, login, maildrop, counters, clock, sockets, connect, loggedIn };
};

const oneReply = /^(?:\+OK|-ERR).*\r\n/;

test('POP3S: log in, fetch, delete, quit; the maildrop is closed once', async (t) => {
  const { loggedIn, maildrop, login, server, counters } = await start(t);
  const client = await loggedIn();
  assert.deepEqual(
    login.asked.map(({ user, password, peer }) => [user, password, peer.address]),
    [['a', 'secret', '127.0.0.1']],
  );
  assert.equal(await client.ask('STAT\r\n', oneReply), '+OK 3 26\r\n');
  assert.equal(await client.ask('RETR 1\r\n', /\r\n\.\r\n/), '+OK 14 octets\r\nA: b\r\n\r\n..one\r\n.\r\n');
  assert.equal(await client.ask('RETR 2\r\n', /\r\n\.\r\n/), '+OK 6 octets\r\nno end\r\n.\r\n');
  assert.equal(await client.ask('RETR 3\r\n', /\r\n\.\r\n/), '+OK 6 octets\r\nx\n..\ny\n\r\n.\r\n');
  assert.equal(
    await client.ask('TOP 1 0\r\n', /\r\n\.\r\n/),
    '+OK Top of message follows\r\nA: b\r\n\r\n.\r\n',
  );
  assert.equal(await client.ask('UIDL\r\n', /\r\n\.\r\n/), '+OK\r\n1 u0\r\n2 u1\r\n3 u2\r\n.\r\n');
  client.send('DELE 2\r\nQUIT\r\n');
  assert.equal(await client.toEnd(), '+OK Message 2 goes at QUIT\r\n+OK Bye\r\n');
  await eventually(() => server.sessions === 0, 'the session is over');
  assert.deepEqual([maildrop.quits, maildrop.closes], [[[1]], 1]);
  assert.equal(counters.value('pop3-message-sent'), 4);
});

test('STLS comes before a password; commands in clear behind it are not answered over TLS (RFC 2595 §4)', async (t) => {
  const { connect, counters, login } = await start(t, { security: 'none' });
  const client = await connect();
  await client.until(oneReply);
  assert.match(await client.ask('USER a\r\n', oneReply), /^-ERR \[AUTH\] /);
  assert.match(await client.ask('AUTH PLAIN AGEAc2VjcmV0\r\n', oneReply), /^-ERR \[AUTH\] /);
  assert.equal(login.asked.length, 0);
  await client.ask('STLS\r\nCAPA\r\nQUIT\r\n', /^\+OK Begin TLS\r\n/);
  await client.startTls(certificate.ca);
  assert.equal(await client.ask('AUTH PLAIN AGEAc2VjcmV0\r\n', oneReply), '+OK 3 messages\r\n');
  assert.equal(client.received, '');
  assert.equal(counters.value('pop3-stls-injection'), 1);
});

test('many messages asked for at once come in order, as they are', async (t) => {
  const texts = Array.from(
    { length: 300 },
    (_, index) => `N: ${index}\r\n\r\n${`.${'x'.repeat(60)}\r\n`.repeat(60)}`,
  );
  const { loggedIn } = await start(t, { texts });
  const client = await loggedIn();
  client.send(texts.map((_, index) => `RETR ${index + 1}\r\n`).join(''));
  client.send('QUIT\r\n');
  const expected = texts.map((text) => `+OK ${text.length} octets\r\n${text.replaceAll('\n.', '\n..')}.\r\n`);
  assert.ok((await client.toEnd()) === `${expected.join('')}+OK Bye\r\n`, 'the octets sent');
});

test('a client that does not take a large message holds up its reading, and nothing else', async (t) => {
  const { loggedIn, maildrop, sockets } = await start(t, { texts: ['x'] });
  let read = 0;
  const chunk = Buffer.from(`${'y'.repeat(998)}\r\n`.repeat(65));
  maildrop.onOpen = async () => ({
    kind: 'found',
    sizeBytes: chunk.length * 1_000,
    octets: (async function* () {
      for (let count = 0; count < 1_000; count++) {
        read += 1;
        yield chunk;
      }
    })(),
  });
  const client = await loggedIn();
  client.socket.pause();
  client.send('RETR 1\r\n');
  await eventually(() => read > 1, 'reading has begun');
  let before = -1;
  while (before !== read) {
    before = read;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(read < 400, `${read} of 1,000 chunks were read ahead`);
  assert.equal(sockets.length, 1);
  client.socket.resume();
  let octets = 0;
  while (!client.received.endsWith('\r\n.\r\n')) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    octets += client.received.length - 5;
    client.received = client.received.slice(-5);
  }
  assert.equal(read, 1_000);
  assert.ok(octets > 65_000_000);
});

test('a damaged message fails alone; one that can’t be read now says so; one that breaks off has no final dot', async (t) => {
  const { loggedIn, maildrop, counters } = await start(t);
  const client = await loggedIn();
  const { onOpen } = maildrop;
  maildrop.onOpen = async () => ({ kind: 'damaged' });
  assert.match(await client.ask('RETR 1\r\n', oneReply), /^-ERR \[SYS\/PERM\] Message 1 is damaged/);
  maildrop.onOpen = async () => {
    throw new Error('broken');
  };
  assert.match(await client.ask('RETR 1\r\n', oneReply), /^-ERR \[SYS\/TEMP\] Message 1 can't be read now/);
  maildrop.onOpen = onOpen;
  assert.match(await client.ask('RETR 1\r\n', /\r\n\.\r\n/), /^\+OK 14 octets/);
  maildrop.onOpen = async () => ({
    kind: 'found',
    sizeBytes: 1_000,
    octets: (async function* () {
      yield Buffer.from('half of it\r\n');
      throw new Error('damaged');
    })(),
  });
  client.send('RETR 2\r\nNOOP\r\n');
  assert.equal(await client.toEnd(), '+OK 1000 octets\r\nhalf of it\r\n');
  await eventually(() => maildrop.closes === 1, 'the maildrop is closed');
  assert.deepEqual(maildrop.quits, []);
  assert.equal(counters.value('pop3-message-broken-off'), 1);
});

test('deletions that fail are told, and the maildrop is closed', async (t) => {
  const { loggedIn, maildrop } = await start(t);
  maildrop.onQuit = async () => ({ kind: 'failed', code: 'IN-USE', text: 'Another session is removing' });
  const client = await loggedIn();
  client.send('DELE 1\r\nQUIT\r\n');
  assert.match(await client.toEnd(), /\r\n-ERR \[IN-USE\] Another session is removing\r\n$/);
  maildrop.onQuit = async () => {
    throw new Error('broken');
  };
  await eventually(() => maildrop.closes === 1, 'the maildrop is closed');
});

test('a session that is lost removes nothing and closes the maildrop', async (t) => {
  const { loggedIn, maildrop, login, connect, server } = await start(t);
  const client = await loggedIn();
  await client.ask('DELE 1\r\n', oneReply);
  client.reset();
  await eventually(() => maildrop.closes === 1, 'the maildrop is closed');
  assert.deepEqual(maildrop.quits, []);
  // Also when the client goes away while its password is looked at.
  let release = (): void => {};
  login.hold = new Promise((resolve) => {
    release = resolve;
  });
  const early = await connect();
  early.send('USER a\r\nPASS secret\r\n');
  await eventually(() => login.asked.length === 2, 'the password is looked at');
  early.reset();
  await eventually(() => server.sessions === 0, 'the session is over');
  release();
  await eventually(() => maildrop.closes === 2, 'the maildrop is closed');
});

test('when nobody can be asked about a password the answer is SYS/TEMP, not AUTH (RFC 3206 §4)', async (t) => {
  const { connect, login } = await start(t);
  login.broken = true;
  const client = await connect();
  await client.until(oneReply);
  await client.ask('USER a\r\n', oneReply);
  assert.equal(
    await client.ask('PASS secret\r\n', oneReply),
    '-ERR [SYS/TEMP] Logging in is not possible now\r\n',
  );
  login.broken = false;
  await client.ask('USER a\r\n', oneReply);
  assert.equal(await client.ask('PASS wrong\r\n', oneReply), '-ERR [AUTH] Wrong user or password\r\n');
});

test('a silent client is closed without a word: after 60 s before the log-in, 10 minutes after it (RFC 1939 §3)', async (t) => {
  const { connect, loggedIn, clock, server, maildrop, counters } = await start(t);
  const stranger = await connect();
  await stranger.until(oneReply);
  const client = await loggedIn();
  await client.ask('DELE 1\r\n', oneReply);
  clock.advance(60_000);
  server.sweep();
  assert.equal(await stranger.toEnd(), '');
  clock.advance(539_000);
  server.sweep();
  assert.equal(await client.ask('NOOP\r\n', oneReply), '+OK\r\n');
  clock.advance(600_000);
  server.sweep();
  assert.equal(await client.toEnd(), '');
  await eventually(() => maildrop.closes === 1, 'the maildrop is closed');
  assert.deepEqual(maildrop.quits, []);
  assert.equal(counters.value('pop3-timeout'), 2);
});

test('in order to end: idle sessions are told, a message under way is finished, new ones are refused', async (t) => {
  const { loggedIn, connect, maildrop, server } = await start(t, { security: 'implicit' });
  const idle = await loggedIn();
  const busy = await loggedIn();
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { onOpen } = maildrop;
  maildrop.onOpen = async (index) => {
    await held;
    return onOpen(index);
  };
  busy.send('RETR 1\r\n');
  await new Promise((resolve) => setTimeout(resolve, 30));
  const ended = server.drain(30_000);
  assert.equal(await idle.toEnd(), '-ERR [SYS/TEMP] Shutting down; nothing was removed\r\n');
  await assert.rejects(connect());
  release();
  assert.match(
    await busy.toEnd(),
    /^\+OK 14 octets[\s\S]*\r\n\.\r\n-ERR \[SYS\/TEMP\] Shutting down; nothing was removed\r\n$/,
  );
  await ended;
});

test('sessions over the limits are refused and counted', async (t) => {
  const { connect, counters } = await start(t, {
    security: 'none',
    gate: { trusted: [], sessionsPerAddressMax: 1 },
  });
  const first = await connect();
  await first.until(oneReply);
  assert.equal(await (await connect()).toEnd(), '-ERR [SYS/TEMP] Too many sessions, try again later\r\n');
  assert.equal(counters.value('pop3-session-refused-too-many-sessions'), 1);
});
