import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseResults } from './parse-results.ts';
import { encodeResult, encodeResults, type MethodResult, resultOctetsMax } from './results.ts';

const property = (type: string, name: string, value: string) => ({ type, name, value });

test('a field says one method with its registered properties (RFC 8601 §2.2)', () => {
  assert.equal(
    encodeResult('mx.example.org', {
      method: 'dkim',
      result: 'pass',
      reason: null,
      properties: [property('header', 'd', 'example.com'), property('header', 'i', '@example.com')],
    }),
    'mx.example.org; dkim=pass header.d=example.com header.i=@example.com',
  );
  assert.deepEqual(encodeResults('mx.example.org', [], 1_000), ['mx.example.org; none']);
});

test('nothing that a stranger sends ends its quotes, its line or its field', () => {
  const value = encodeResult('mx.example.org', {
    method: 'spf',
    result: 'fail',
    reason: 'he said "x\\"; dkim=pass\r\nAuthentication-Results: mx; dmarc=pass',
    properties: [property('smtp', 'mailfrom', 'a"; dmarc=pass (@b\r\n\tc\u2028d')],
  });
  assert.doesNotMatch(value, /[\r\n\u2028]/);
  const read = parseResults(value);
  assert.deepEqual(read?.results.length, 1);
  assert.equal(read?.results[0]?.result, 'fail');
  assert.equal(read?.results[0]?.properties[0]?.value, 'a"; dmarc=pass (@b c d');
});

test('what is written is read again, whatever its values are, and is short enough for a line', () => {
  const word = fc.stringMatching(/^[a-z]([a-z0-9-]{0,10}[a-z0-9])?$/);
  const result: fc.Arbitrary<MethodResult> = fc.record({
    method: word.filter((each) => each !== 'none'),
    result: word,
    reason: fc.option(fc.string({ unit: 'binary', maxLength: 300 })),
    properties: fc.array(
      fc.record({
        type: word.filter((each) => each !== 'reason'),
        name: word,
        value: fc.string({ unit: 'binary', maxLength: 300 }),
      }),
      { maxLength: 6 },
    ),
  });
  fc.assert(
    fc.property(result, (given) => {
      const value = encodeResult('mx.example.org', given);
      assert(Buffer.byteLength(value) <= resultOctetsMax);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be left
      assert.doesNotMatch(value, /[\x00-\x1f\x7f]/);
      const [read] = parseResults(value)?.results ?? assert.fail(value);
      assert.equal(read?.method, given.method);
      assert.equal(read?.result, given.result);
      assert.equal(encodeResult('mx.example.org', read ?? assert.fail()), value);
    }),
    { numRuns: 300 },
  );
});

test('more results than there is room for are counted, and the line says so', () => {
  const result: MethodResult = {
    method: 'dkim',
    result: 'fail',
    reason: null,
    properties: [property('header', 'd', `${'a'.repeat(60)}.example`)],
  };
  const values = encodeResults('mx.example.org', new Array<MethodResult>(50).fill(result), 1_000);
  assert(values.join('').length <= 1_000);
  assert.match(values.at(-1) ?? '', /dkim=policy reason="\d+ more results are left out"/);
});

test('fields of others are read: the examples of RFC 8601 §B', () => {
  assert.deepEqual(parseResults('example.org 1; none'), { authservId: 'example.org', results: [] });
  assert.deepEqual(parseResults('example.com;\r\n spf=pass smtp.mailfrom=example.net'), {
    authservId: 'example.com',
    results: [
      {
        method: 'spf',
        result: 'pass',
        reason: null,
        properties: [property('smtp', 'mailfrom', 'example.net')],
      },
    ],
  });
  const several = parseResults(
    'example.com;\r\n auth=pass (cleartext) smtp.auth=sender@example.net;\r\n spf=pass smtp.mailfrom=example.net;\r\n dkim=pass reason="good signature" header.i=@mail-router.example.net; sender-id=fail header.from=example.net',
  );
  assert.deepEqual(
    several?.results.map(({ method, result, reason }) => [method, result, reason]),
    [
      ['auth', 'pass', null],
      ['spf', 'pass', null],
      ['dkim', 'pass', 'good signature'],
      ['sender-id', 'fail', null],
    ],
  );
  assert.deepEqual(
    parseResults(
      "foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n policy (A dot can go here) . (like that) expired\r\n (this surprised me) = (as I wasn't expecting it) 1362471462",
    )?.results,
    [
      {
        method: 'dkim',
        result: 'fail',
        reason: null,
        properties: [property('policy', 'expired', '1362471462')],
      },
    ],
  );
});

test('what is no such field is none, in bounded time', () => {
  for (const value of [
    '',
    ';',
    'a',
    'a 2; none',
    'a; none; spf=pass',
    'a; spf',
    'a; spf=pass smtp.=x',
    'a; spf=pass "x"',
    'a; spf=pass smtp.x="',
    `a; ${'('.repeat(10_000)}`,
    `a${' '.repeat(20_000)}; none`,
    `a; ${'spf=pass; '.repeat(200)}`,
  ])
    assert.equal(parseResults(value), null, value.slice(0, 40));
});
