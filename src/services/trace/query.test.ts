import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type QueryClock, readQuery } from './query.ts';
import { readSpan } from './time-words.ts';

/** 2026-11-24 is a Tuesday; local time is that of Shanghai. */
const clock: QueryClock = { nowMs: Date.parse('2026-11-24T16:30:00Z'), offsetMinutes: () => 480 };
const spanOf = (word: string): string => {
  const span = readSpan(word, clock);
  if (span === null) return 'none';
  const shown = (ms: number | null): string => (ms === null ? '-' : new Date(ms).toISOString().slice(0, 19));
  return `${shown(span.sinceMs)} ${shown(span.untilMs)}`;
};
const fieldsOf = (...words: string[]): unknown => {
  const read = readQuery(words, clock);
  return read.kind === 'mistake' ? read.why : read.query.terms.map((term) => term.map(({ field }) => field));
};

test('days are those of the one who asks, in both languages', () => {
  // It is the 25th already in Shanghai.
  assert.equal(spanOf('today'), '2026-11-24T16:00:00 2026-11-25T16:00:00');
  assert.equal(spanOf('昨天'), spanOf('yesterday'));
  assert.equal(spanOf('yesterday'), '2026-11-23T16:00:00 2026-11-24T16:00:00');
  assert.equal(spanOf('tuesday'), spanOf('2026-11-24'));
  assert.equal(spanOf('周二'), spanOf('Tue'));
  assert.equal(spanOf('wednesday'), spanOf('today'));
  assert.equal(spanOf('thursday'), spanOf('2026-11-19'));
  assert.equal(spanOf('2026-11-24'), '2026-11-23T16:00:00 2026-11-24T16:00:00');
  assert.equal(spanOf('2026-11-24T10:15'), '2026-11-24T02:15:00 2026-11-24T02:16:00');
  assert.equal(spanOf('2026-11-24T10:15:30Z'), '2026-11-24T10:15:30 2026-11-24T10:15:31');
  assert.equal(spanOf('2026-11-24T10:15+01:00'), '2026-11-24T09:15:00 2026-11-24T09:16:00');
  assert.equal(spanOf('2h'), '2026-11-24T14:30:00 -');
  assert.equal(spanOf('3天'), '2026-11-21T16:30:00 -');
  for (const word of [
    '2026-02-30',
    '2026-13-01',
    '2026-00-10',
    '2026-11-24T25:00',
    '5y',
    'toString',
    '24.11.',
  ])
    assert.equal(spanOf(word), 'none', word);
});

test('a day on which the clock is put forward has 23 hours', () => {
  // Berlin, 2026-03-29: UTC+1 until 01:00 UTC.
  const berlin = {
    nowMs: Date.parse('2026-03-30T08:00:00Z'),
    offsetMinutes: (timeMs: number) => (timeMs < Date.parse('2026-03-29T01:00:00Z') ? 60 : 120),
  };
  const span = readSpan('2026-03-29', berlin);
  assert.equal((Number(span?.untilMs) - Number(span?.sinceMs)) / 3_600_000, 23);
});

test('a free word is what it looks like', () => {
  const address = ['from', 'author', 'to'];
  assert.deepEqual(fieldsOf('ann@example.org'), [[...address, 'messageId']]);
  assert.deepEqual(fieldsOf('<x.y@example.org>'), [[...address, 'messageId']]);
  assert.deepEqual(fieldsOf('example.org'), [['from', 'author', 'to', 'from', 'author', 'to']]);
  assert.deepEqual(fieldsOf('@例子.测试'), [['from', 'author', 'to', 'from', 'author', 'to']]);
  assert.deepEqual(fieldsOf('192.0.2.7'), [['peer']]);
  assert.deepEqual(fieldsOf('192.0.2.0/24'), [['peer']]);
  assert.deepEqual(fieldsOf('2001:db8::/32'), [['peer']]);
  assert.deepEqual(fieldsOf('::1'), [['peer']]);
  assert.deepEqual(fieldsOf('abcdefghijklmnopqrstuvwxyz'), [['id']]);
  assert.deepEqual(fieldsOf('deadbeef'), [['sha256']]);
  assert.deepEqual(fieldsOf('d'.repeat(26)), [['id', 'sha256']]);
  assert.deepEqual(fieldsOf('tuesday'), []);
  assert.equal(fieldsOf('deadbee'), 'not-understood');
  assert.equal(fieldsOf('ann'), 'not-understood');
});

test('the question of an administrator: from X to Y on Tuesday', () => {
  const read = readQuery(['from:x@example.com', 'to:y@example.org', 'on:tuesday', 'code:5.1.1'], clock);
  assert(read.kind === 'query');
  const { query, taken, refused } = read;
  assert.deepEqual(
    query.terms.map((term) => term.map((way) => ('range' in way ? `${way.field} ${way.range.from}` : ''))),
    [['from com.example@x', 'author com.example@x'], ['to org.example@y']],
  );
  assert.equal(query.sinceMs, Date.parse('2026-11-23T16:00:00Z'));
  assert.deepEqual([query.code, taken, refused], ['5.1.1', false, true]);
});

test('spans narrow each other down; a day of --until is meant whole', () => {
  const read = readQuery(['since:2026-11-20', 'until:2026-11-21', '2026-11-21'], clock);
  assert(read.kind === 'query');
  assert.equal(read.query.sinceMs, Date.parse('2026-11-20T16:00:00Z'));
  assert.equal(read.query.untilMs, Date.parse('2026-11-21T16:00:00Z'));
});

test('what cannot be understood is said, and why', () => {
  assert.equal(fieldsOf(), 'empty');
  assert.equal(fieldsOf('subject:x'), 'unknown-field');
  assert.equal(fieldsOf('constructor:x'), 'unknown-field');
  assert.equal(fieldsOf('from:a b'), 'not-an-address');
  assert.equal(fieldsOf('peer:300.1.1.1'), 'not-a-peer');
  assert.equal(fieldsOf('peer:192.0.2.1/33'), 'not-a-peer');
  assert.equal(fieldsOf('id:ABC'), 'not-an-id');
  assert.equal(fieldsOf('hash:12345'), 'not-a-hash');
  assert.equal(fieldsOf('code:250'), 'not-a-code');
  assert.equal(fieldsOf('since:later'), 'not-a-time');
  assert.equal(fieldsOf('to:'), 'not-understood');
  assert.equal(fieldsOf(...Array(21).fill('a@b.example')), 'too-many');
});

test('any words give a query or say which of them is none', () => {
  const word = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc
      .tuple(fc.constantFrom('from', 'to', 'peer', 'id', 'hash', 'since', 'is', 'x'), fc.string())
      .map(([a, b]) => `${a}:${b}`),
    fc.ipV4(),
    fc.ipV6(),
    fc.emailAddress(),
    fc.domain(),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 5 }), (words) => {
      const read = readQuery(words, clock);
      if (read.kind === 'mistake') return;
      for (const term of read.query.terms) {
        assert.ok(term.length > 0);
        for (const way of term)
          if ('range' in way) assert.ok(way.range.below === null || way.range.from < way.range.below);
          else if (way.field === 'peer') assert.ok(way.first <= way.last && /^[0-9a-f]{32}$/.test(way.first));
      }
    }),
  );
});
