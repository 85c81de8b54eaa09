import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '#base/logger';
import { stillClock } from '../../../test/support/line-client.ts';
import { createCounters, withLimitLog } from './index.ts';

test('a limit that is met has a line at once, and at most one a minute, which says how many there were', () => {
  const lines: unknown[] = [];
  const clock = stillClock();
  const log = { ...silentLogger, warn: (event: string, fields: unknown) => void lines.push([event, fields]) };
  const counters = withLimitLog(createCounters(), log, clock);
  counters.count('smtp-size');
  for (let n = 0; n < 1_000; n++) counters.count('smtp-size');
  counters.count('imap-session-refused-too-many-sessions');
  counters.count('pop3-proxy-refused');
  assert.deepEqual(lines.splice(0), [
    ['limit met', { limit: 'smtp-size', count: 1 }],
    ['limit met', { limit: 'imap-session-refused-too-many-sessions', count: 1 }],
    ['limit met', { limit: 'pop3-proxy-refused', count: 1 }],
  ]);
  clock.advance(59_999);
  counters.count('smtp-size');
  assert.deepEqual(lines, []);
  clock.advance(1);
  counters.count('smtp-size');
  assert.deepEqual(lines.splice(0), [['limit met', { limit: 'smtp-size', count: 1_002 }]]);
  assert.equal(counters.value('smtp-size'), 1_003);
});

test('what is no limit is counted and not said', () => {
  const lines: unknown[] = [];
  const log = { ...silentLogger, warn: (event: string) => void lines.push(event) };
  const counters = withLimitLog(createCounters(), log, stillClock());
  for (const name of ['smtp-session', 'smtp-message-accepted', 'smtp-octets', 'imap-login-refused'])
    counters.count(name, 5);
  assert.deepEqual(lines, []);
  assert.equal(counters.value('smtp-octets'), 5);
});
