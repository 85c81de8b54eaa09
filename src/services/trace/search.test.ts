import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { openSqliteTrace } from '#store/sqlite';
import type { TraceCriterion, TraceEvent, TraceQuery } from '#store/trace';
import { isMet, type QueryClock, readQuery } from './index.ts';

const clock: QueryClock = { nowMs: 1_000_000, offsetMinutes: () => 0 };
const addresses = [
  'ann@a.example',
  'bob@a.example',
  'ann+x@a.example',
  'eve@sub.a.example',
  'x@b.example',
  '',
];
const peers = ['192.0.2.1', '192.0.2.200', '198.51.100.1', '2001:db8::1', ''];
const hashes = ['0123456789'.padEnd(64, '0'), '01234567ff'.padEnd(64, '0'), 'ff'.padEnd(64, '1')];

const anEvent = fc.record({
  timeMs: fc.integer({ min: 0, max: 20 }),
  isRefused: fc.boolean(),
  mailFrom: fc.constantFrom(null, ...addresses),
  author: fc.constantFrom(null, ...addresses.slice(0, 5)),
  peer: fc.constantFrom(...peers),
  sha256Hex: fc.constantFrom(null, ...hashes),
  messageId: fc.constantFrom(null, 'm1@x', 'm2@x'),
  recipients: fc.uniqueArray(fc.constantFrom(...addresses.slice(0, 5)), { maxLength: 3 }),
  code: fc.constantFrom(450, 550, 554),
});

const eventsOf = (
  given: readonly (typeof anEvent extends fc.Arbitrary<infer Each> ? Each : never)[],
): TraceEvent[] =>
  given.map(({ isRefused, code, recipients, ...each }, at) => ({
    ...each,
    seq: at + 1,
    kind: isRefused ? 'refused' : 'received',
    id: isRefused ? null : 'abcdefghijklmnopqrstuvwxy'.concat('abc'[at % 3] ?? 'd'),
    sizeBytes: null,
    port: 0,
    reverse: null,
    helo: null,
    protocol: 'ESMTP',
    tls: null,
    recipients: recipients.map((address) => ({
      address,
      account: isRefused ? null : `a${address.length}`,
      emailSeq: isRefused ? null : at * 10 + address.length + 1_000,
      key: null,
    })),
    recipientCount: recipients.length,
    key: null,
    refusal: isRefused
      ? { stage: 'rcpt', code, enhanced: '5.1.1', text: 't', reason: 'r', session: `s${at % 2}`, dayCount: 0 }
      : null,
  }));

const words = [
  'ann@a.example',
  'a.example',
  'from:a.example',
  'to:bob@a.example',
  'author:x@b.example',
  'from:<>',
  '192.0.2.0/24',
  'peer:2001:db8::/32',
  'hash:01234567',
  'message-id:m1@x',
  '<m2@x>',
  'id:abcd',
  'session:s1',
  'code:55'.replace('55', '550'),
  'code:4',
  'reason:r',
  'since:1970-01-01T00:00:00Z',
];

test('every search finds what its words say, newest first, and nothing else', () => {
  fc.assert(
    fc.property(
      fc.array(anEvent, { maxLength: 25 }),
      fc.uniqueArray(fc.constantFrom(...words), { minLength: 1, maxLength: 4 }),
      fc.option(fc.integer({ min: 0, max: 20 })),
      fc.integer({ min: 1, max: 30 }),
      fc.constantFrom(3, 20_000),
      (given, asked, sinceMs, limit, wideRows) => {
        const events = eventsOf(given);
        const store = openSqliteTrace(':memory:', { readOnly: false, wideRows });
        try {
          store.put(events, [], 7);
          assert.equal(store.appliedSeq(), 7);
          const read = readQuery(asked, clock);
          assert(read.kind === 'query');
          const query: TraceQuery = { ...read.query, sinceMs };
          const expected = events
            .filter(
              (event) =>
                query.terms.every((term) => term.some((way) => isMet(way, event))) &&
                event.timeMs >= (sinceMs ?? 0) &&
                event.timeMs < (query.untilMs ?? Number.POSITIVE_INFINITY) &&
                (query.code === null || String(event.refusal?.code ?? '').startsWith(query.code)) &&
                (query.reason === null || event.refusal?.reason === query.reason),
            )
            .sort((a, b) => b.timeMs - a.timeMs || b.seq - a.seq)
            .slice(0, limit);
          assert.deepEqual(store.search(query, limit), expected);
        } finally {
          store.close();
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('no search reads a table from end to end', () => {
  const store = openSqliteTrace(':memory:', { readOnly: false });
  const ways: TraceCriterion[] = words.flatMap((word) => {
    const read = readQuery([word], clock);
    return read.kind === 'query' ? read.query.terms.flat() : [];
  });
  ways.push({ field: 'account', value: 'a1' });
  const empty: TraceQuery = { terms: [], sinceMs: 1, untilMs: 2, code: null, reason: null };
  const queries: TraceQuery[] = [
    empty,
    { ...empty, code: '5.1.1', reason: 'r' },
    ...ways.map((way) => ({ ...empty, terms: [[way]] })),
    ...ways.flatMap((way) => ways.map((other) => ({ ...empty, terms: [[way], [other]], code: '5' }))),
  ];
  for (const query of queries) {
    const plan = store.explain(query);
    assert.ok(plan.length > 0);
    for (const step of plan) {
      assert.doesNotMatch(step, /\bSCAN\b/, `${step} of ${JSON.stringify(query.terms)}`);
      // What is one address, peer or time comes in order and is not sorted.
      const isOne = query.terms.length === 1 && 'range' in (query.terms[0]?.[0] ?? {});
      const range = query.terms[0]?.[0];
      if (isOne && range !== undefined && 'range' in range && range.range.below === null)
        assert.doesNotMatch(step, /ORDER BY/, step);
    }
  }
  store.close();
});

test('what is erased is gone: copies first, the message with its last copy or its own key', () => {
  const store = openSqliteTrace(':memory:', { readOnly: false });
  const [event] = eventsOf([
    {
      timeMs: 1,
      isRefused: false,
      mailFrom: 'x@b.example',
      author: null,
      peer: '',
      sha256Hex: null,
      messageId: null,
      recipients: [],
      code: 550,
    },
  ]);
  assert(event !== undefined);
  const copy = (slot: number, address: string) => ({
    messageSeq: 1,
    recipient: { address, account: 'a1', emailSeq: slot, key: { epoch: 1, slot } },
  });
  const all: TraceQuery = { terms: [], sinceMs: null, untilMs: null, code: null, reason: null };
  store.put(
    [{ ...event, key: { epoch: 1, slot: 9 } }],
    [copy(2, 'ann@a.example'), copy(3, 'bob@a.example')],
    3,
  );
  // The same again changes nothing.
  store.put([{ ...event, key: { epoch: 1, slot: 9 } }], [copy(2, 'ann@a.example')], 3);
  assert.deepEqual(
    store.search(all, 9).map(({ recipients }) => recipients.length),
    [2],
  );
  store.erase([{ epoch: 1, slot: 2 }]);
  assert.deepEqual(
    store.search(all, 9).flatMap(({ recipients }) => recipients.map(({ address }) => address)),
    ['bob@a.example'],
  );
  store.erase([
    { epoch: 1, slot: 9 },
    { epoch: 1, slot: 3 },
  ]);
  assert.deepEqual(store.search(all, 9), []);
  store.close();
});
