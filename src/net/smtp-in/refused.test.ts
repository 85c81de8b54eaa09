import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '#base/logger';
import { createCounters, createSessionGate, sessionGateDefaults } from '#net/connection';
import type { InboundService } from '#protocols/smtp';
import type { Attempt } from '#services/trace';
import { eventually, LineClient, listenOnLoopback, stillClock } from '../../../test/support/line-client.ts';
import { createSmtpServer, smtpServerDefaults } from './index.ts';

const service: InboundService = {
  sender: () => ({ kind: 'accepted' }),
  recipient: async (_transaction, address) =>
    address.startsWith('throws')
      ? Promise.reject(new Error('away'))
      : {
          kind: 'refused',
          code: 550,
          enhanced: '5.1.1',
          text: 'No such mailbox here',
          reason: 'recipient-unknown',
        },
  begin: () => assert.fail('nobody is accepted'),
};

const start = async (t: TestContext, sessionsMax: number, greetPauseMs = 0) => {
  const attempts: Attempt[] = [];
  const clock = stillClock();
  const server = createSmtpServer({
    settings: { hostname: 'mx.fengni.test', starttls: false, ...smtpServerDefaults, greetPauseMs },
    service,
    refused: (attempt) => attempts.push(attempt),
    tls: null,
    gate: createSessionGate(
      { ...sessionGateDefaults, trusted: [], sessionsPerAddressMax: sessionsMax },
      clock,
    ),
    counters: createCounters(),
    clock,
    log: silentLogger,
    sweepEveryMs: 1_000_000,
  });
  const listener = await listenOnLoopback((socket) => server.accept(socket));
  t.after(async () => {
    listener.close();
    await server.drain(0);
  });
  const connect = async (): Promise<LineClient> => {
    const client = await LineClient.connect(listener.port);
    t.after(() => client.destroy());
    return client;
  };
  return { attempts, connect };
};

const line = /^\d{3} [^\r\n]*\r\n/m;

test('each refusal of a session is told once, under one name, with the rule behind it', async (t) => {
  const { attempts, connect } = await start(t, 10);
  const client = await connect();
  await client.ask('', line);
  for (const command of ['EHLO h.example', 'MAIL FROM:<a@b>', 'RCPT TO:<x@y>', 'RCPT TO:<throws@y>', 'FOO'])
    await client.ask(`${command}\r\n`, line);
  assert.deepEqual(
    attempts.map(({ code, enhanced, reason, stage, recipients }) => [
      code,
      enhanced,
      reason,
      stage,
      recipients.join(),
    ]),
    [
      [550, '5.1.1', 'recipient-unknown', 'rcpt', 'x@y'],
      [451, '4.3.0', 'service-failed', 'rcpt', 'throws@y'],
      [500, '5.5.1', 'protocol', 'command', ''],
    ],
  );
  assert.equal(new Set(attempts.map(({ session }) => session)).size, 1);
  assert.ok(attempts.every(({ peer, helo }) => peer === '127.0.0.1' && helo === 'h.example'));
});

test('a connection that is not served, and one that speaks too early, are told too', async (t) => {
  const { attempts, connect } = await start(t, 1, 1_000);
  const early = await connect();
  const second = await connect();
  assert.match(await second.toEnd(), /^421 4\.7\.0 /);
  early.send('EHLO hasty\r\n');
  assert.match(await early.toEnd(), /^554 5\.5\.1 /);
  await eventually(() => attempts.length === 2, 'both');
  assert.deepEqual(
    attempts.map(({ reason, stage, code }) => [reason, stage, code]),
    [
      ['session-refused-too-many-sessions', 'connect', 421],
      ['early-talker', 'connect', 554],
    ],
  );
});
