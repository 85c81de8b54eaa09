import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { silentLogger } from '#base/logger';
import { openSqliteTrace } from '#store/sqlite';
import { addressRange, type TraceQuery } from '#store/trace';
import {
  type Attempt,
  type AttemptReport,
  attemptLimits,
  boundedAttempt,
  createAttemptLog,
  createAttemptRecorder,
  networkOf,
} from './index.ts';

const startMs = Date.parse('2026-11-24T10:00:00Z');
const dayMs = 86_400_000;

const attempt = (over: Partial<Attempt> = {}): Attempt => ({
  timeMs: startMs,
  session: 's-1',
  stage: 'rcpt',
  code: 550,
  enhanced: '5.1.1',
  text: 'No such mailbox here',
  reason: 'recipient-unknown',
  peer: '192.0.2.7',
  port: 4242,
  reverse: null,
  helo: 'h.example',
  protocol: 'ESMTP',
  tls: null,
  mailFrom: 'a@b.example',
  recipients: ['nobody@fengni.test'],
  recipientCount: 1,
  id: null,
  sha256Hex: null,
  sizeBytes: null,
  messageId: null,
  author: null,
  ...over,
});

const everything: TraceQuery = { terms: [], sinceMs: null, untilMs: null, code: null, reason: null };

const openLog = (limits: Partial<typeof attemptLimits> = {}) => {
  const store = openSqliteTrace(':memory:', { readOnly: false });
  const now = { ms: startMs, dayCount: 1_000 };
  const open = () =>
    createAttemptLog({
      store,
      clock: { nowMs: () => now.ms, monotonicMs: () => now.ms },
      dayCount: () => now.dayCount,
      logger: silentLogger,
      limits: { ...attemptLimits, ...limits },
    });
  const all = () => store.search(everything, 100_000);
  const counted = () =>
    store
      .tallies({ sinceMs: null, untilMs: null, network: null }, 100_000)
      .reduce((sum, { count }) => sum + count, 0);
  return { store, now, open, all, counted };
};

test('a flood of one peer is counted, and the next day has its own share', () => {
  const { open, all, counted, now } = openLog({ perDay: 1_000, perNetworkPerDay: 50 });
  let log = open();
  for (let n = 0; n < 40; n++)
    log.take({ attempts: Array.from({ length: 10 }, () => attempt()), counts: [] });
  assert.equal(all().length, 50);
  assert.equal(counted(), 350);
  // Another process goes on where the one before stopped.
  log = open();
  log.take({ attempts: [attempt(), attempt({ peer: '198.51.100.1' })], counts: [] });
  assert.equal(all().length, 51);
  now.ms += dayMs;
  log.take({ attempts: [attempt({ timeMs: now.ms })], counts: [] });
  assert.equal(all().length, 52);
});

test('a flood of many peers leaves room for whoever is rare, and pushes out nothing that was kept', () => {
  const { open, all, counted } = openLog({ perDay: 100, perNetworkPerDay: 50, talliesPerDay: 20 });
  const log = open();
  log.take({ attempts: [attempt({ peer: '203.0.113.9', text: 'first' })], counts: [] });
  let sent = 1;
  for (let n = 0; n < 60; n++) {
    for (let peer = 0; peer < 5; peer++) {
      log.take({ attempts: [attempt({ peer: `10.0.${n % 3}.${peer}` })], counts: [] });
      sent += 1;
    }
  }
  assert.ok(all().length < 80, `${all().length} kept`);
  log.take({ attempts: [attempt({ peer: '203.0.113.77', text: 'rare' })], counts: [] });
  const texts = all().map(({ refusal }) => refusal?.text);
  assert.ok(texts.includes('rare') && texts.includes('first'));
  for (let n = 0; n < 300; n++)
    log.take({ attempts: [attempt({ peer: `172.16.${n >> 8}.${n & 255}` })], counts: [] });
  sent += 301;
  assert.ok(all().length <= 100);
  assert.equal(all().length + counted(), sent, 'every refusal is kept or counted');
  assert.ok(all().some(({ refusal }) => refusal?.text === 'first'));
});

test('rows of counts are bounded, whatever names a role gives them', () => {
  const { store, open, counted } = openLog({ talliesPerDay: 10 });
  const log = open();
  let sent = 0;
  for (let n = 0; n < 300; n++) {
    log.take({
      attempts: [],
      counts: [
        {
          network: `10.0.${n >> 8}.${n & 255}`,
          reason: `reason-${n}`,
          code: 550,
          enhanced: `5.1.${n}`,
          count: 2,
          firstMs: startMs,
          lastMs: startMs,
        },
      ],
    });
    sent += 2;
  }
  assert.equal(counted(), sent);
  assert.ok(store.tallies({ sinceMs: null, untilMs: null, network: null }, 1_000).length <= 25);
});

test('octets of a day are bounded too', () => {
  const { open, all } = openLog({ bytesPerDay: 20_000 });
  const log = open();
  for (let n = 0; n < 100; n++)
    log.take({
      attempts: [attempt({ peer: `10.1.1.${n}`, helo: 'h'.repeat(255), text: 't'.repeat(480) })],
      counts: [],
    });
  assert.ok(all().length > 5 && all().length < 20, `${all().length}`);
});

test('attempts go after 180 days by the clock and by the log; a clock a year ahead removes nothing', () => {
  const { open, all, now } = openLog();
  const log = open();
  log.take({ attempts: [attempt()], counts: [] });
  now.ms += 365 * dayMs;
  assert.equal(log.prune(), 0);
  now.dayCount += 179;
  assert.equal(log.prune(), 0);
  now.dayCount += 1;
  assert.equal(log.prune(), 1);
  assert.equal(all().length, 0);
});

test('a purged account’s address goes out of all attempts, what else they say stays', () => {
  const { open, all } = openLog();
  const log = open();
  log.take({
    attempts: [
      attempt({ recipients: ['ann@fengni.test', 'bob@fengni.test'], recipientCount: 2 }),
      attempt({ mailFrom: 'Ann@fengni.test', session: 's-2' }),
      attempt({ session: 's-3' }),
    ],
    counts: [],
  });
  assert.equal(log.forget([addressRange('ann@fengni.test')]), 2);
  assert.deepEqual(
    all()
      .map(({ mailFrom, recipients }) => [mailFrom, recipients.map(({ address }) => address).join()])
      .sort(),
    [
      ['a@b.example', 'bob@fengni.test'],
      ['a@b.example', 'nobody@fengni.test'],
      [null, 'nobody@fengni.test'],
    ].sort(),
  );
});

test('whatever a role hands in is bounded and well-formed', () => {
  const { open, store } = openLog();
  const log = open();
  fc.assert(
    fc.property(fc.array(fc.record({ ...anyAttempt }), { maxLength: 5 }), (attempts) => {
      for (const given of attempts) {
        const bounded = boundedAttempt(given as unknown as Attempt);
        assert.deepEqual(boundedAttempt(bounded), bounded);
      }
      log.take({ attempts: attempts as unknown as Attempt[], counts: [] });
    }),
  );
  assert.deepEqual(store.faults(10), []);
});

const anything = fc.anything();
const anyAttempt = Object.fromEntries(
  Object.entries(attempt()).map(([name, value]) => [
    name,
    fc.oneof(anything, fc.string(), fc.constant(value)),
  ]),
);

test('a peer is counted under its IPv4 address or its IPv6 /64', () => {
  assert.equal(networkOf('192.0.2.7'), '192.0.2.7');
  assert.equal(networkOf('2001:db8:1:2:3::4'), '2001:db8:1:2::/64');
  assert.equal(networkOf(''), '');
});

test('the recorder joins recipients of a transaction, counts what is too much, and keeps what nobody takes', async () => {
  const reports: AttemptReport[] = [];
  let fails = true;
  const recorder = createAttemptRecorder({
    send: async (report) => {
      if (fails) throw new Error('away');
      reports.push(report);
    },
    clock: { nowMs: () => startMs, monotonicMs: () => 0 },
    logger: silentLogger,
    everyMs: 1,
  });
  for (let n = 0; n < 100; n++) recorder.note(attempt({ recipients: [`n${n}@fengni.test`] }));
  for (let n = 0; n < 50; n++) recorder.note(attempt({ session: `s-${n + 2}` }));
  for (let n = 0; n < 3_000; n++)
    recorder.note(attempt({ session: `t-${n}`, peer: `10.${n >> 8}.${n & 255}.1` }));
  await new Promise((resolve) => setTimeout(resolve, 20));
  fails = false;
  await recorder.stop();
  await new Promise((resolve) => setTimeout(resolve, 20));
  const attempts = reports.flatMap((report) => report.attempts);
  const counted = reports.flatMap((report) => report.counts).reduce((sum, { count }) => sum + count, 0);
  assert.equal(attempts[0]?.recipients.length, 20);
  assert.equal(attempts[0]?.recipientCount, 100);
  assert.ok(attempts.length <= 200);
  assert.equal(attempts.length + counted, 1 + 50 + 3_000);
  assert.ok(reports.every(({ counts }) => counts.length <= 501));
});
