import assert from 'node:assert/strict';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Logger, silentLogger } from '#base/logger';
import {
  createCounters,
  createSessionGate,
  networksOf,
  sessionGateDefaults,
  withLimitLog,
} from '#net/connection';
import { type InboundTransaction, smtpCounters } from '#protocols/smtp';
import {
  eventually,
  LineClient,
  listenOnLoopback,
  loopbackTls,
  stillClock,
} from '../../../test/support/line-client.ts';
import {
  createSmtpServer,
  type SmtpServerSettings,
  smtpServerCounters,
  smtpServerDefaults,
} from './index.ts';

// Who a session is with, before it has begun: proxies, strangers that wait or do not, relays, Unix sockets.

const certificate = loopbackTls();

const start = async (
  t: TestContext,
  options: {
    settings?: Partial<SmtpServerSettings>;
    trusted?: readonly string[];
    security?: 'none' | 'implicit';
    proxyFrom?: readonly string[];
  } = {},
) => {
  const transactions: InboundTransaction[] = [];
  const lines: [event: string, fields: unknown][] = [];
  const log: Logger = { ...silentLogger, warn: (event, fields) => void lines.push([event, fields]) };
  const clock = stillClock();
  const counters = withLimitLog(createCounters(), log, clock);
  const gate = createSessionGate(
    { ...sessionGateDefaults, trusted: options.trusted ?? [], sessionsPerAddressMax: 3 },
    clock,
  );
  const server = createSmtpServer({
    settings: { ...smtpServerDefaults, hostname: 'mx.fengni.test', starttls: true, ...options.settings },
    service: {
      sender: (transaction) => {
        transactions.push(transaction);
        return { kind: 'accepted' };
      },
      recipient: async (_, address) => ({ kind: 'accepted', key: address }),
      begin: () => ({
        write: () => {},
        finish: async () => ({ kind: 'accepted', id: 'i', sha256Hex: 'h' }),
        abort: () => {},
      }),
    },
    tls: certificate,
    gate,
    counters,
    clock,
    log,
    sweepEveryMs: 1_000_000,
  });
  const from = { proxies: networksOf(options.proxyFrom ?? []) };
  const listener = await listenOnLoopback((socket) =>
    server.accept(socket, options.security ?? 'none', from),
  );
  const clients: LineClient[] = [];
  t.after(async () => {
    listener.close();
    for (const client of clients) client.destroy();
    await server.drain(0);
    const known = { ...smtpCounters, ...smtpServerCounters };
    for (const name of Object.keys(counters.snapshot())) assert.ok(name in known, name);
  });
  const connect = async (): Promise<LineClient> => {
    const client = await LineClient.connect(listener.port);
    clients.push(client);
    return client;
  };
  return { server, gate, counters, clock, lines, transactions, connect, port: listener.port };
};
const greeting = /^220 .*\r\n/;
const line4 = 'PROXY TCP4 203.0.113.9 192.0.2.2 40000 25\r\n';

test('a stranger waits for the greeting once; one that speaks before the greeting gets 554 and is closed (RFC 5321 §4.3.1)', async (t) => {
  const { server, counters, clock, lines, connect } = await start(t, { settings: { greetPauseMs: 2_000 } });
  const eager = await connect();
  eager.send('EHLO x\r\nMAIL FROM:<>\r\n');
  assert.equal(await eager.toEnd(), '554 5.5.1 mx.fengni.test Wait for the greeting before you speak\r\n');
  assert.equal(counters.value('smtp-early-talker'), 1);
  assert.deepEqual(lines, [['limit met', { limit: 'smtp-early-talker', count: 1 }]]);

  const polite = await connect();
  await eventually(() => server.sessions >= 1, 'it is there');
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(polite.received, '');
  clock.advance(2_000);
  server.sweep();
  await polite.until(greeting);
  const again = await connect();
  await again.until(greeting);
  clock.advance(25 * 3_600_000);
  const nextDay = await connect();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(nextDay.received, '', 'a day later it is a stranger again');
});

test('trusted networks never wait, nor do those that began with TLS', async (t) => {
  const settings = { greetPauseMs: 60_000 };
  const trusted = await start(t, { settings, trusted: ['127.0.0.0/8'] });
  await (await trusted.connect()).until(greeting);
  const secure = await start(t, { settings, security: 'implicit' });
  const client = await LineClient.connect(secure.port, { ca: certificate.ca });
  await client.until(greeting);
  client.destroy();
});

test('behind a PROXY header the peer is who it names, whatever the chunks; what came with it is not lost', async (t) => {
  const { transactions, connect, gate } = await start(t, {
    proxyFrom: ['127.0.0.1'],
    trusted: ['203.0.113.0/24'],
  });
  const rest = 'EHLO x\r\nMAIL FROM:<a@b.example>\r\nQUIT\r\n';
  const whole = await connect();
  whole.send(line4 + rest);
  assert.match(await whole.toEnd(), /^220 [\s\S]*\r\n221 /);
  const slow = await connect();
  for (const octet of line4 + rest) {
    slow.send(octet);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.match(await slow.toEnd(), /\r\n221 /);
  for (const { peer } of transactions) {
    assert.deepEqual(peer, {
      address: '203.0.113.9',
      port: 40_000,
      name: null,
      via: [{ by: 'PROXY', address: '127.0.0.1' }],
    });
  }
  assert.equal(transactions.length, 2);
  const binary = await connect();
  binary.send(
    Buffer.from(
      '0d0a0d0a000d0a515549540a2121002420010db8000000000000000000000009000000000000000000000000000000019c400019',
      'hex',
    ),
  );
  await binary.until(greeting);
  assert.equal(gate.addresses >= 2, true);
  const own = await connect();
  own.send('PROXY UNKNOWN\r\n');
  await own.until(greeting);
  own.send(rest);
  await own.toEnd();
  assert.deepEqual(transactions[2]?.peer.via, []);
  assert.equal(transactions[2]?.peer.address, '127.0.0.1');
});

test('the limits are those of the peer behind the proxy, not of the proxy', async (t) => {
  const { connect, counters, lines } = await start(t, { proxyFrom: ['127.0.0.1'] });
  const open = async (last: number): Promise<LineClient> => {
    const client = await connect();
    client.send(line4.replace('113.9', `113.${last}`));
    return client;
  };
  for (const last of [1, 1, 1, 2, 2, 2]) await (await open(last)).until(greeting);
  assert.match(
    await (await open(1)).toEnd(),
    /^421 4\.7\.0 mx\.fengni\.test Too many sessions from your address/,
  );
  assert.equal(counters.value('smtp-session-refused-too-many-sessions'), 1);
  assert.deepEqual(lines.at(-1), [
    'limit met',
    { limit: 'smtp-session-refused-too-many-sessions', count: 1 },
  ]);
});

test('a proxy that sends none, another text or too little in 5 s is closed without a word', async (t) => {
  const { connect, counters, clock, server } = await start(t, { proxyFrom: ['127.0.0.1'] });
  for (const octets of ['EHLO x\r\n', 'PROXY TCP4 x y 1 2\r\n', `PROXY UNKNOWN ${'x'.repeat(200)}`]) {
    const client = await connect();
    client.send(octets);
    assert.equal(await client.toEnd(), '');
  }
  const slow = await connect();
  slow.send('PROXY TCP4 ');
  await new Promise((resolve) => setTimeout(resolve, 30));
  clock.advance(5_000);
  server.sweep();
  assert.equal(await slow.toEnd(), '');
  const gone = await connect();
  gone.destroy();
  await eventually(() => counters.value('smtp-proxy-refused') === 5, 'all are counted');
  assert.equal(counters.value('smtp-session'), 0);
});

test('from elsewhere a PROXY header is an unknown command', async (t) => {
  const { connect } = await start(t, { proxyFrom: ['192.0.2.0/24'] });
  const client = await connect();
  await client.until(greeting);
  assert.match(await client.ask(line4, /^\d.*\r\n/), /^500 5\.5\.1 /);
});

test('PROXY comes before TLS from the start and before STARTTLS', async (t) => {
  const implicit = await start(t, { proxyFrom: ['127.0.0.1'], security: 'implicit' });
  const plain = net.connect(implicit.port, '127.0.0.1');
  plain.write(line4);
  const { default: tls } = await import('node:tls');
  const secure = tls.connect({ socket: plain, ca: certificate.ca, servername: 'localhost' });
  const said = await new Promise<string>((resolve) => secure.once('data', (chunk) => resolve(String(chunk))));
  assert.match(said, greeting);
  secure.destroy();
  const starting = await start(t, { proxyFrom: ['127.0.0.1'] });
  const client = await starting.connect();
  client.send(line4);
  await client.until(greeting);
  await client.ask('STARTTLS\r\n', /^220 .*\r\n/);
  await client.startTls(certificate.ca);
  client.send('EHLO x\r\nMAIL FROM:<> REQUIRETLS\r\nQUIT\r\n');
  await client.toEnd();
  assert.equal(starting.transactions[0]?.peer.address, '203.0.113.9');
  assert.equal(starting.transactions[0]?.requireTls, true);
});

test('XCLIENT is for the networks of the setting, by the address behind a proxy', async (t) => {
  const settings = { xclientFrom: ['203.0.113.9/32'] };
  const { connect, transactions } = await start(t, { settings, proxyFrom: ['127.0.0.1'] });
  const relay = await connect();
  relay.send(`${line4}XCLIENT ADDR=198.51.100.1\r\nEHLO x\r\nMAIL FROM:<>\r\nQUIT\r\n`);
  await relay.toEnd();
  assert.deepEqual(transactions[0]?.peer, {
    address: '198.51.100.1',
    port: 0,
    name: null,
    via: [
      { by: 'PROXY', address: '127.0.0.1' },
      { by: 'XCLIENT', address: '203.0.113.9' },
    ],
  });
  const other = await connect();
  other.send(`${line4.replace('113.9', '113.8')}XCLIENT ADDR=198.51.100.1\r\nQUIT\r\n`);
  assert.match(await other.toEnd(), /\r\n550 5\.7\.0 XCLIENT is for relays/);
});

test('peers of a Unix socket have no address, no pause and no limit of number', async (t) => {
  const { server, transactions } = await start(t, { settings: { greetPauseMs: 60_000, protocol: 'lmtp' } });
  const file = path.join(os.tmpdir(), `fengni-${process.pid}-lmtp`);
  const listener = net.createServer((socket) => server.accept(socket, 'none', { isUnix: true })).listen(file);
  t.after(() => listener.close());
  await new Promise<void>((resolve) => listener.once('listening', () => resolve()));
  const talk = (): Promise<string> =>
    new Promise((resolve) => {
      let said = '';
      const socket = net.connect(file, () => socket.write('LHLO x\r\nMAIL FROM:<>\r\nQUIT\r\n'));
      socket.on('data', (chunk) => {
        said += String(chunk);
      });
      socket.on('close', () => resolve(said));
    });
  for (const said of await Promise.all(Array.from({ length: 5 }, talk)))
    assert.match(said, /^220 .* LMTP [\s\S]*\r\n221 /);
  assert.deepEqual(transactions[0]?.peer, { address: '', port: 0, name: null, via: [] });
});
