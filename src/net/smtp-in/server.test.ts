import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
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
  type DeliveryOutcome,
  type InboundDelivery,
  type InboundService,
  type InboundTransaction,
  type RecipientVerdict,
  type SenderVerdict,
  smtpCounters,
} from '#protocols/smtp';
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

const certificate = loopbackTls();
const known = { ...smtpCounters, ...smtpServerCounters };

interface Seen {
  transaction: InboundTransaction;
  recipients: string[];
  body: Buffer;
  aborted: number;
  finished: number;
}

/** A service that takes everything, and whose every step a test can hold up or make fail. */
class FakeService implements InboundService {
  readonly seen: Seen[] = [];
  onRecipient: (address: string) => Promise<RecipientVerdict> = async (address) => ({
    kind: 'accepted',
    key: address,
  });
  onBegin: () => void = () => {};
  onWrite: (octets: Uint8Array) => void | Promise<void> = () => {};
  onFinish: (body: Buffer) => Promise<DeliveryOutcome> = async (body) => ({
    kind: 'accepted',
    id: 'id',
    sha256Hex: createHash('sha256').update(body).digest('hex'),
  });

  onSender: (transaction: InboundTransaction) => SenderVerdict | Promise<SenderVerdict> = () => ({
    kind: 'accepted',
  });

  sender(transaction: InboundTransaction): SenderVerdict | Promise<SenderVerdict> {
    return this.onSender(transaction);
  }

  recipient(_transaction: InboundTransaction, address: string): Promise<RecipientVerdict> {
    return this.onRecipient(address);
  }

  begin(transaction: InboundTransaction, recipients: readonly { address: string }[]): InboundDelivery {
    this.onBegin();
    const pieces: Uint8Array[] = [];
    let writing = false;
    const seen: Seen = {
      transaction,
      recipients: recipients.map(({ address }) => address),
      body: Buffer.alloc(0),
      aborted: 0,
      finished: 0,
    };
    this.seen.push(seen);
    return {
      write: (octets) => {
        assert.equal(writing, false, 'a write during a write');
        assert.equal(seen.aborted + seen.finished, 0, 'a write after the end');
        pieces.push(octets);
        const written = this.onWrite(octets);
        if (written === undefined) return;
        writing = true;
        return written.finally(() => {
          writing = false;
        });
      },
      finish: () => {
        assert.equal(writing, false, 'finish during a write');
        assert.equal(seen.aborted + seen.finished, 0, 'finish after the end');
        seen.finished += 1;
        seen.body = Buffer.concat(pieces);
        return this.onFinish(seen.body);
      },
      abort: () => {
        assert.equal(seen.aborted + seen.finished, 0, 'abort after the end');
        seen.aborted += 1;
      },
    };
  }
}

const start = async (
  t: TestContext,
  options: {
    settings?: Partial<SmtpServerSettings>;
    gate?: Partial<SessionGateSettings>;
    security?: 'none' | 'implicit';
  } = {},
) => {
  const service = new FakeService();
  const counters = createCounters();
  const clock = stillClock();
  const server = createSmtpServer({
    settings: { hostname: 'mx.fengni.test', starttls: true, ...smtpServerDefaults, ...options.settings },
    service,
    tls: certificate,
    gate: createSessionGate({ ...sessionGateDefaults, ...options.gate }, clock),
    counters,
    clock,
    log: silentLogger,
    sweepEveryMs: 1_000_000,
  });
  const sockets: Socket[] = [];
  const listener = await listenOnLoopback((socket) => {
    sockets.push(socket);
    server.accept(socket, options.security);
  });
  const clients: LineClient[] = [];
  t.after(async () => {
    listener.close();
    for (const client of clients) client.destroy();
    await server.drain(0);
    // What was counted has a meaning that people can read.
    for (const name of Object.keys(counters.snapshot())) assert.ok(name in known, name);
  });
  const connect = async (how: Parameters<typeof LineClient.connect>[1] = {}): Promise<LineClient> => {
    const client = await LineClient.connect(listener.port, how);
    clients.push(client);
    return client;
  };
  /** a client that has said EHLO */
  const greeted = async (how: Parameters<typeof LineClient.connect>[1] = {}): Promise<LineClient> => {
    const client = await connect(how);
    await client.until(/^220 .*\r\n/);
    await client.ask('EHLO client.example\r\n', /^250 .*\r\n/m);
    return client;
  };
  return { service, counters, clock, server, sockets, connect, greeted };
};

const envelope = 'MAIL FROM:<a@one.example>\r\nRCPT TO:<b@two.example>\r\n';
const intoData = async (client: LineClient): Promise<void> => {
  await client.ask(`${envelope}DATA\r\n`, /^354 .*\r\n/m);
};
const oneReply = /^\d{3} .*\r\n/;

test('a message comes in over a plain connection and is answered when the service has it', async (t) => {
  const { service, greeted, counters } = await start(t);
  const client = await greeted();
  await intoData(client);
  const reply = await client.ask('Subject: x\r\n\r\n..dot\r\n.\r\n', oneReply);
  const body = 'Subject: x\r\n\r\n.dot\r\n';
  assert.equal(reply, `250 2.0.0 Ok id=id sha256=${createHash('sha256').update(body).digest('hex')}\r\n`);
  const [seen] = service.seen;
  assert.equal(seen?.body.toString(), body);
  assert.deepEqual(seen?.recipients, ['b@two.example']);
  assert.equal(seen?.transaction.peer.address, '127.0.0.1');
  assert.equal(seen?.transaction.tls, null);
  client.send('QUIT\r\n');
  assert.match(await client.toEnd(), /^221 2\.0\.0 /);
  assert.equal(counters.value('smtp-message-accepted'), 1);
});

test('TLS from the start and by STARTTLS: the service is told version, cipher and group (RFC 3207)', async (t) => {
  const implicit = await start(t, { security: 'implicit' });
  const secure = await implicit.greeted({ ca: certificate.ca });
  await intoData(secure);
  await secure.ask('.\r\n', /^250 2\.0\.0 /m);
  const upgraded = await start(t);
  const client = await upgraded.greeted();
  await client.ask('STARTTLS\r\n', /^220 2\.0\.0 .*\r\n/);
  await client.startTls(certificate.ca);
  assert.doesNotMatch(await client.ask('EHLO again.example\r\n', /^250 .*\r\n/m), /STARTTLS/);
  await intoData(client);
  await client.ask('.\r\n', /^250 2\.0\.0 /m);
  for (const { service } of [implicit, upgraded]) {
    const transaction = service.seen[0]?.transaction;
    assert.equal(transaction?.protocol, 'ESMTPS');
    assert.equal(transaction?.tls?.version, 'TLSv1.3');
    assert.match(transaction?.tls?.cipher ?? '', /^TLS_/);
    assert.match(transaction?.tls?.group ?? '', /^(?:x25519|X25519MLKEM768|secp256r1)$/);
  }
});

test('a peer that is silent in the handshake is closed after 30 s, one that is silent behind STARTTLS too', async (t) => {
  for (const security of ['implicit', 'none'] as const) {
    const { connect, clock, server, counters } = await start(t, { security });
    const client = await connect();
    if (security === 'none') await client.ask('EHLO x\r\nSTARTTLS\r\n', /^220 2.*\r\n/m);
    await eventually(() => server.sessions === 1, 'the session has begun');
    clock.advance(29_999);
    server.sweep();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(client.closed, false);
    clock.advance(1);
    server.sweep();
    await client.toEnd();
    await eventually(() => counters.value('smtp-tls-handshake-failed') === 1, 'it is counted');
    assert.equal(server.sessions, 0);
  }
});

test('a peer that does not close after the last reply is closed 5 s later', async (t) => {
  const { greeted, clock, server } = await start(t);
  const client = await greeted({ allowHalfOpen: true });
  await client.ask('QUIT\r\n', /^221 .*\r\n/);
  await eventually(() => client.ended, 'the server has ended its side');
  clock.advance(4_999);
  server.sweep();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(server.sessions, 1);
  clock.advance(1);
  server.sweep();
  await eventually(() => server.sessions === 0, 'the session is over');
});

test('commands in clear behind STARTTLS are not answered over TLS (CVE-2011-0411)', async (t) => {
  const { greeted, counters, service } = await start(t);
  const client = await greeted();
  await client.ask(`STARTTLS\r\nRSET\r\nEHLO evil\r\n${envelope}DATA\r\nx\r\n.\r\n`, /^220 2\.0\.0 .*\r\n/);
  await client.startTls(certificate.ca);
  const reply = await client.ask('NOOP\r\n', oneReply);
  assert.equal(reply, '250 2.0.0 Ok\r\n');
  assert.equal(await client.ask('MAIL FROM:<a@b>\r\n', oneReply), '503 5.5.1 EHLO first\r\n');
  assert.equal(client.received, '');
  assert.equal(counters.value('smtp-starttls-injection'), 1);
  assert.equal(service.seen.length, 0);
});

test('octets in clear that come after the reply to STARTTLS break the handshake', async (t) => {
  const { greeted, counters } = await start(t);
  const client = await greeted();
  await client.ask('STARTTLS\r\n', /^220 2\.0\.0 .*\r\n/);
  client.send('EHLO evil\r\nMAIL FROM:<evil@x>\r\n');
  assert.doesNotMatch(await client.toEnd(), /250/);
  await eventually(
    () => counters.value('smtp-tls-handshake-failed') === 1,
    'the failed handshake is counted',
  );
});

test('a client whose only protocol is not ours is refused by ALPN (RFC 7301 §3.2)', async (t) => {
  const { connect } = await start(t, { security: 'implicit' });
  await assert.rejects(connect({ ca: certificate.ca, alpn: ['http/1.1'] }));
  const client = await connect({ ca: certificate.ca, alpn: ['smtp'] });
  await client.until(/^220 /);
});

test('the replies to a pipelined batch are one write (RFC 2920 §3.2)', async (t) => {
  const { greeted, sockets } = await start(t);
  const client = await greeted();
  const writes: string[] = [];
  const [socket] = sockets;
  assert.ok(socket !== undefined);
  const write = socket.write.bind(socket) as (text: string, encoding: 'latin1') => boolean;
  socket.write = ((text: string, encoding: 'latin1') => {
    writes.push(text);
    return write(text, encoding);
  }) as Socket['write'];
  await client.ask(`MAIL FROM:<>\r\n${'RCPT TO:<b@x>\r\n'.repeat(20)}DATA\r\n`, /^354 .*\r\n/m);
  assert.equal(writes.length, 1);
  await client.ask(`.\r\n${envelope}DATA\r\nx\r\n.\r\nQUIT\r\n`, /^221 .*\r\n/m);
  assert.ok(writes.length <= 5, `${writes.length} writes`);
});

test('while the service is busy with octets no more are read, and all arrive in order', async (t) => {
  const { service, greeted } = await start(t);
  const client = await greeted();
  let release = (): void => {};
  let writes = 0;
  service.onWrite = () => {
    writes += 1;
    if (writes !== 3) return;
    return new Promise((resolve) => {
      release = resolve;
    });
  };
  await intoData(client);
  const body = Buffer.from(`${'0123456789abcdef'.repeat(4)}\r\n`.repeat(250_000));
  client.send(body);
  client.send('.\r\nNOOP\r\n');
  await eventually(() => writes === 3, 'the third write');
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(writes, 3);
  assert.ok(client.socket.writableLength > 0, 'the client is held up');
  release();
  const said = await client.until(/^250 2\.0\.0 Ok\r\n/m);
  assert.match(said, new RegExp(createHash('sha256').update(body).digest('hex')));
});

test('when the service fails the peer is asked to try again, and the delivery is ended once', async (t) => {
  const fail = async (): Promise<never> => {
    throw new Error('broken');
  };
  const broken = '451 4.3.0 Something failed here; try again later\r\n';
  const { service, greeted, counters } = await start(t);
  const client = await greeted();
  const { onRecipient, onFinish } = service;

  service.onRecipient = fail;
  await client.ask('MAIL FROM:<>\r\n', oneReply);
  assert.equal(await client.ask('RCPT TO:<a@b>\r\n', oneReply), broken);
  service.onRecipient = onRecipient;
  await client.ask('RSET\r\n', oneReply);

  service.onBegin = () => {
    throw new Error('broken');
  };
  await intoData(client);
  assert.equal(await client.ask('x\r\n.\r\n', oneReply), broken);
  service.onBegin = () => {};

  service.onWrite = fail;
  await intoData(client);
  assert.equal(await client.ask(`${'x\r\n'.repeat(100)}.\r\n`, oneReply), broken);
  service.onWrite = () => {
    throw new Error('broken');
  };
  await intoData(client);
  assert.equal(await client.ask('x\r\n.\r\n', oneReply), broken);
  service.onWrite = () => {};

  service.onFinish = fail;
  await intoData(client);
  assert.equal(await client.ask('x\r\n.\r\n', oneReply), broken);
  service.onFinish = onFinish;

  await intoData(client);
  assert.match(await client.ask('x\r\n.\r\n', oneReply), /^250 2\.0\.0 Ok id=/);
  assert.deepEqual(
    service.seen.map(({ aborted, finished }) => [aborted, finished]),
    [
      [1, 0],
      [1, 0],
      [0, 1],
      [0, 1],
    ],
  );
  assert.equal(counters.value('smtp-service-failed'), 5);
});

test('a silent peer gets 421 4.4.2 after 300 s; octets that complete nothing do not help it (RFC 5321 §4.5.3.2.7)', async (t) => {
  const { greeted, clock, server, counters } = await start(t);
  const client = await greeted();
  clock.advance(299_000);
  server.sweep();
  await client.ask('NOOP\r\n', oneReply);
  clock.advance(299_000);
  server.sweep();
  client.send('NOO');
  await new Promise((resolve) => setTimeout(resolve, 20));
  clock.advance(1_001);
  server.sweep();
  assert.equal(await client.toEnd(), '421 4.4.2 mx.fengni.test Timed out, closing\r\n');
  assert.equal(counters.value('smtp-timeout'), 1);
});

test('a message must come with 100 octets a second, averaged over a minute', async (t) => {
  const { greeted, clock, server, service } = await start(t);
  const client = await greeted();
  const minute = async (octets: number): Promise<void> => {
    const before = received();
    client.send('x'.repeat(octets));
    await eventually(() => received() >= before + octets, 'the octets have come');
    clock.advance(60_000);
    server.sweep();
  };
  let bytes = 0;
  const received = (): number => bytes;
  service.onWrite = (octets) => {
    bytes += octets.length;
  };
  await intoData(client);
  for (let count = 0; count < 5; count++) await minute(6_000);
  assert.equal(client.ended, false);
  await minute(5_999);
  assert.equal(await client.toEnd(), '421 4.4.2 mx.fengni.test Timed out, closing\r\n');
  assert.deepEqual(
    service.seen.map(({ aborted, finished }) => [aborted, finished]),
    [[1, 0]],
  );
});

test('a message has 600 s, and a second more for each 10,000 octets that came', async (t) => {
  const { greeted, clock, server, service } = await start(t);
  let bytes = 0;
  service.onWrite = (octets) => {
    bytes += octets.length;
  };
  const client = await greeted();
  await intoData(client);
  let sent = 0;
  for (let minute = 1; minute <= 10; minute++) {
    sent += 6_000;
    client.send('x'.repeat(6_000));
    await eventually(() => bytes === sent, 'the octets have come');
    clock.advance(60_000);
    server.sweep();
  }
  // 600 s are over, and 60,000 octets have given six more.
  assert.equal(client.ended, false);
  client.send('x'.repeat(6_000));
  await eventually(() => bytes === sent + 6_000, 'the octets have come');
  clock.advance(60_000);
  server.sweep();
  assert.match(await client.toEnd(), /^421 4\.4\.2 /);
});

test('a service that takes its time is not the peer’s fault', async (t) => {
  const { greeted, clock, server, service } = await start(t);
  let release: (outcome: DeliveryOutcome) => void = () => {};
  service.onFinish = () =>
    new Promise((resolve) => {
      release = resolve;
    });
  const client = await greeted();
  await intoData(client);
  client.send('x\r\n.\r\n');
  await eventually(() => service.seen[0]?.finished === 1, 'the message is complete');
  clock.advance(3_600_000);
  server.sweep();
  release({ kind: 'accepted', id: 'late', sha256Hex: 'ab' });
  assert.equal(await client.until(oneReply), '250 2.0.0 Ok id=late sha256=ab\r\n');
});

test('sessions over the limits get 421 4.7.0 as their greeting, and are counted', async (t) => {
  const { connect, counters } = await start(t, {
    gate: { trusted: [], sessionsPerAddressMax: 2, sessionsPerSecondMax: 3 },
  });
  const first = await connect();
  await first.until(/^220 /);
  const second = await connect();
  await second.until(/^220 /);
  assert.equal(
    await (await connect()).toEnd(),
    '421 4.7.0 mx.fengni.test Too many sessions from your address\r\n',
  );
  first.destroy();
  await eventually(() => counters.value('smtp-session') === 2 && first.closed, 'the first has gone');
  await new Promise((resolve) => setTimeout(resolve, 20));
  const third = await connect();
  await third.until(/^220 /);
  third.destroy();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(
    await (await connect()).toEnd(),
    '421 4.7.0 mx.fengni.test Too many new sessions from your address\r\n',
  );
  assert.equal(counters.value('smtp-session-refused-too-many-sessions'), 1);
  assert.equal(counters.value('smtp-session-refused-too-many-a-second'), 1);
});

test('a trusted address is not refused for number and rate', async (t) => {
  const { connect } = await start(t, { gate: { sessionsPerAddressMax: 2, sessionsPerSecondMax: 2 } });
  for (let count = 0; count < 6; count++) await (await connect()).until(/^220 /);
});

test('in order to end: idle sessions get 421 4.3.2, a message under way its 250 first, new ones are refused', async (t) => {
  const { greeted, connect, server, service } = await start(t);
  const idle = await greeted();
  const busy = await greeted();
  await intoData(busy);
  busy.send('x\r\n');
  const ended = server.drain(30_000);
  assert.equal(await idle.toEnd(), '421 4.3.2 mx.fengni.test Shutting down\r\n');
  assert.equal(await (await connect()).toEnd(), '421 4.3.2 mx.fengni.test Shutting down\r\n');
  busy.send(`.\r\n${envelope}`);
  assert.match(
    await busy.toEnd(),
    /^250 2\.0\.0 Ok id=id sha256=[0-9a-f]{64}\r\n421 4\.3\.2 mx\.fengni\.test Shutting down\r\n$/,
  );
  await ended;
  assert.equal(server.sessions, 0);
  assert.equal(service.seen[0]?.finished, 1);
});

test('what has not ended after the grace is closed, its message dropped', async (t) => {
  const { greeted, server, service } = await start(t);
  const client = await greeted();
  await intoData(client);
  client.send('x\r\n');
  await server.drain(50);
  await client.toEnd();
  assert.deepEqual([service.seen[0]?.aborted, service.seen[0]?.finished], [1, 0]);
});

test('a peer that closes its side behind its message is still answered, in clear and over TLS', async (t) => {
  for (const security of ['none', 'implicit'] as const) {
    const { greeted, service } = await start(t, { security });
    service.onFinish = async () => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      return { kind: 'accepted', id: 'id', sha256Hex: 'ab' };
    };
    const client = await greeted({
      allowHalfOpen: true,
      ...(security === 'implicit' ? { ca: certificate.ca } : {}),
    });
    await intoData(client);
    client.send('x\r\n.\r\n');
    client.end();
    assert.equal(await client.until(oneReply), '250 2.0.0 Ok id=id sha256=ab\r\n', security);
  }
});

test('a peer that vanishes inside a message has not sent it; behind the final dot it has', async (t) => {
  const { greeted, service, server } = await start(t);
  const cut = await greeted();
  await intoData(cut);
  cut.send('x\r\n');
  await eventually(() => service.seen.length === 1, 'the message has begun');
  cut.reset();
  await eventually(() => service.seen[0]?.aborted === 1, 'the message is dropped');
  let release = (): void => {};
  service.onFinish = () =>
    new Promise((resolve) => {
      release = () => resolve({ kind: 'accepted', id: 'id', sha256Hex: 'ab' });
    });
  const whole = await greeted();
  await intoData(whole);
  whole.send('x\r\n.\r\n');
  await eventually(() => service.seen[1]?.finished === 1, 'the message is complete');
  whole.reset();
  await eventually(() => server.sessions === 0, 'the session is over');
  release();
  assert.equal(service.seen[1]?.aborted, 0);
});

test('a bare LF: 554 5.6.0 reaches the peer although it is in the middle of sending', async (t) => {
  const { greeted, service } = await start(t);
  const client = await greeted();
  await intoData(client);
  client.send(`a\nb\r\n${'x'.repeat(998)}\r\n`.repeat(3_000));
  client.send('\r\n.\r\nMAIL FROM:<smuggled@x>\r\n'.repeat(1_000));
  assert.match(
    await client.toEnd(),
    /^554 5\.6\.0 Bare LF at octet 1 of the data \(counted from 0\), closing\r\n$/,
  );
  assert.deepEqual([service.seen.length, service.seen[0]?.aborted], [1, 1]);
});

test('a peer that sends commands and reads no replies is not read from for ever', async (t) => {
  const { greeted, sockets } = await start(t, {
    settings: { errorsMax: 1e9, idleCommandsMax: 1e9, unsentBytesMax: 20_000 },
  });
  const client = await greeted();
  client.socket.pause();
  client.send('NOOP\r\n'.repeat(2_000_000));
  await eventually(() => sockets[0]?.isPaused() === true, 'the server stops reading');
  assert.ok((sockets[0]?.writableLength ?? 0) < 2_000_000);
  assert.ok(client.socket.writableLength > 0);
});

test('HTTP on the plain port is closed without a word', async (t) => {
  const { connect, counters } = await start(t);
  const client = await connect();
  await client.until(/^220 .*\r\n/);
  client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.equal(await client.toEnd(), '');
  assert.equal(counters.value('smtp-http'), 1);
});
