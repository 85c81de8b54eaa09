import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stillClock } from '../../../test/support/line-client.ts';
import {
  addressKey,
  createCounters,
  createDeadlines,
  createSessionGate,
  plainAddress,
  sessionGateDefaults,
} from './index.ts';

const manyASecond = { ...sessionGateDefaults, sessionsPerSecondMax: 1_000 };

test('an address has 50 sessions at one time; a released one makes room', () => {
  const gate = createSessionGate(manyASecond, stillClock());
  const admitted = Array.from({ length: 50 }, () => gate.admit('192.0.2.1'));
  assert.ok(admitted.every(({ kind }) => kind === 'admitted'));
  assert.deepEqual(gate.admit('192.0.2.1'), { kind: 'refused', reason: 'too-many-sessions' });
  assert.equal(gate.admit('192.0.2.2').kind, 'admitted');
  const [first] = admitted;
  if (first?.kind === 'admitted') {
    first.release();
    first.release();
  }
  assert.equal(gate.sessions, 50);
  assert.equal(gate.admit('::ffff:192.0.2.1').kind, 'admitted');
  assert.equal(gate.admit('192.0.2.1').kind, 'refused');
});

test('an address opens 10 sessions a second', () => {
  const clock = stillClock();
  const gate = createSessionGate(sessionGateDefaults, clock);
  const open = (): string => {
    const admission = gate.admit('192.0.2.1');
    if (admission.kind === 'admitted') admission.release();
    return admission.kind === 'admitted' ? 'admitted' : admission.reason;
  };
  for (let session = 0; session < 10; session++) assert.equal(open(), 'admitted');
  assert.equal(open(), 'too-many-a-second');
  clock.advance(100);
  assert.deepEqual([open(), open()], ['admitted', 'too-many-a-second']);
  clock.advance(60_000);
  assert.deepEqual(Array.from({ length: 11 }, open).slice(9), ['admitted', 'too-many-a-second']);
});

test('an address has its rate once, not once a process: what it opened elsewhere takes from it, what it is owed stays bounded', () => {
  const clock = stillClock();
  const [mx, access] = [
    createSessionGate(sessionGateDefaults, clock),
    createSessionGate(sessionGateDefaults, clock),
  ];
  const open = (gate: typeof mx): string => {
    const admission = gate.admit('192.0.2.1');
    if (admission.kind === 'admitted') admission.release();
    return admission.kind;
  };
  for (let session = 0; session < 6; session++) assert.equal(open(mx), 'admitted');
  const opened = mx.takeOpened();
  assert.deepEqual(opened, { '192.0.2.1': 6 });
  assert.deepEqual(mx.takeOpened(), {}, 'said once');
  access.hearOpened(opened);
  assert.deepEqual(
    Array.from({ length: 5 }, () => open(access)),
    ['admitted', 'admitted', 'admitted', 'admitted', 'refused'],
  );
  mx.hearOpened(access.takeOpened());
  assert.equal(open(mx), 'refused');
  // Over ten seconds two gates that hear of each other every 250 ms let in what one would.
  let admitted = 0;
  for (let quarter = 0; quarter < 40; quarter++) {
    clock.advance(250);
    for (let tries = 0; tries < 20; tries++)
      for (const gate of [mx, access]) if (open(gate) === 'admitted') admitted += 1;
    const said = mx.takeOpened();
    mx.hearOpened(access.takeOpened());
    access.hearOpened(said);
  }
  assert.ok(admitted >= 90 && admitted <= 110, String(admitted));
  access.hearOpened({ '192.0.2.1': 1_000_000 });
  clock.advance(1_200);
  assert.equal(open(access), 'admitted', 'a second and some later it is let in again');
  mx.admit('127.0.0.1');
  assert.ok(!Object.hasOwn(mx.takeOpened(), '127.0.0.1'), 'of trusted addresses nothing is said');
});

test('IPv6 addresses of one /64 count together, others do not', () => {
  const gate = createSessionGate({ ...manyASecond, sessionsPerAddressMax: 1 }, stillClock());
  assert.equal(gate.admit('2001:db8:1:2::1').kind, 'admitted');
  assert.equal(gate.admit('2001:db8:1:2:ffff::9').kind, 'refused');
  assert.equal(gate.admit('2001:db8:1:3::1').kind, 'admitted');
});

test('trusted addresses are counted and not refused, but for the whole being full', () => {
  const gate = createSessionGate({ ...sessionGateDefaults, sessionsMax: 200 }, stillClock());
  for (const address of ['127.0.0.1', '127.3.2.1', '::1', '::ffff:127.0.0.1']) {
    for (let session = 0; session < 50; session++)
      assert.equal(gate.admit(address).kind, 'admitted', address);
  }
  assert.equal(gate.sessions, 200);
  assert.deepEqual(gate.admit('::1'), { kind: 'refused', reason: 'full' });
  assert.deepEqual(gate.admit('not an address'), { kind: 'refused', reason: 'full' });
});

test('addresses that were seen are forgotten', () => {
  const clock = stillClock();
  const gate = createSessionGate({ ...manyASecond, sessionsPerAddressMax: 1 }, clock);
  for (let address = 0; address < 5_000; address++) {
    const admission = gate.admit(`10.0.${address >> 8}.${address & 255}`);
    if (admission.kind === 'admitted') admission.release();
    clock.advance(10);
  }
  assert.equal(gate.sessions, 0);
  assert.ok(gate.addresses < 1_200, `${gate.addresses} kept`);
});

test('keys and plain forms of addresses', () => {
  assert.equal(plainAddress('::FFFF:192.0.2.1'), '192.0.2.1');
  assert.equal(plainAddress('fe80::1%eth0'), 'fe80::1');
  for (const [address, key] of [
    ['192.0.2.1', '192.0.2.1'],
    ['::1', '0:0:0:0'],
    ['2001:DB8::1', '2001:db8:0:0'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:0db8:0001::', '2001:db8:1:0'],
    ['1:2:3::192.0.2.1', '1:2:3:0'],
    ['::', '0:0:0:0'],
  ] as const) {
    assert.equal(addressKey(address), key, address);
  }
});

test('a deadline is acted on once, when it has passed', () => {
  const clock = stillClock();
  const deadlines = createDeadlines({ clock, everyMs: 1_000_000 });
  const expired: number[] = [];
  const entry = {
    deadlineAtMs: clock.monotonicMs() + 100,
    expire: (nowMs: number) => void expired.push(nowMs),
  };
  deadlines.watch(entry);
  clock.advance(99);
  deadlines.sweep();
  assert.equal(expired.length, 0);
  clock.advance(1);
  deadlines.sweep();
  deadlines.sweep();
  assert.equal(expired.length, 1);
  deadlines.forget(entry);
  entry.deadlineAtMs = 0;
  deadlines.sweep();
  assert.equal(expired.length, 1);
  deadlines.close();
});

test('counters count by name and show themselves sorted', () => {
  const counters = createCounters();
  counters.count('b');
  counters.count('a', 3);
  counters.count('b');
  assert.deepEqual(Object.entries(counters.snapshot()), [
    ['a', 3],
    ['b', 2],
  ]);
  assert.equal(counters.value('c'), 0);
});
