import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson, type Json, parseCanonicalJson } from './index.ts';

/** The definition, written out as plainly as can be (RFC 8785 §3.2). */
const plain = (value: Json): string => {
  if (Array.isArray(value)) return `[${value.map(plain).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value as Record<string, Json>).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([key, each]) => `${JSON.stringify(key)}:${plain(each)}`).join(',')}}`;
  }
  return JSON.stringify(value);
};

const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom(
    '',
    '\\ud800',
    '\\\\udbff',
    '"',
    '\u0000',
    '\u2028',
    '\ud83d\ude00',
    '10',
    '9',
    '__proto__',
    'toJSON',
  ),
);
const json: fc.Arbitrary<Json> = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<Json>(null, true, false),
    fc.maxSafeInteger().map((n) => (n === 0 ? 0 : n)),
    text,
    fc.array(tie('json'), { maxLength: 5 }),
    fc.array(fc.tuple(text, tie('json')), { maxLength: 6 }).map((members) => {
      const object: Record<string, Json> = {};
      for (const [key, value] of members)
        Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
      return object;
    }),
  ),
})).json;

test('what is written is the definition, and is read back, whatever the order of the keys (RFC 8785 §3.2)', () => {
  fc.assert(
    fc.property(json, (value) => {
      const written = canonicalJson(value);
      assert.equal(written, plain(value));
      const read = parseCanonicalJson(written);
      assert.deepEqual(read, JSON.parse(written));
      assert.equal(canonicalJson(read), written);
    }),
    { numRuns: 500 },
  );
});

test('text is read exactly when the definition would have written it', () => {
  fc.assert(
    fc.property(fc.json(), fc.integer({ min: 0, max: 2 }), (source, indent) => {
      const spelled = JSON.stringify(JSON.parse(source), null, indent);
      let canonical: boolean;
      try {
        canonical = canonicalJson(JSON.parse(spelled) as Json) === spelled;
      } catch {
        canonical = false;
      }
      if (canonical) assert.deepEqual(parseCanonicalJson(spelled), JSON.parse(spelled));
      else assert.throws(() => parseCanonicalJson(spelled), { code: 'json-not-canonical' });
    }),
    { numRuns: 500 },
  );
});

test('another spelling of the same value is refused', () => {
  for (const source of [
    '{"b":1,"a":2}',
    '{"a":1,"a":1}',
    '{"a":{"d":1,"c":2}}',
    '[{"b":1,"a":2}]',
    '{"9":1,"10":2}',
    ' 1',
    '1 ',
    '[1, 2]',
    '-0',
    '[-0]',
    '1.0',
    '1.5',
    '1e3',
    '1e400',
    '9007199254740992',
    '[9007199254740993]',
    '"\\u0041"',
    '"\\/"',
    '"\\u00E9"',
    '"\\ud800"',
    '"a\\udfffb"',
    '{"\\ud800":1}',
    '["\\ud83d\\ude00"]',
    '"\\u001F"',
    '',
    'undefined',
    '{"a":1}x',
  ])
    assert.throws(() => parseCanonicalJson(source), { code: 'json-not-canonical' }, source);
});

test('an escaped backslash before "ud" is no surrogate', () => {
  const value = { a: '\\ud800', b: ['\\udfff', '\ud83d\ude00'] };
  assert.deepEqual(parseCanonicalJson(canonicalJson(value)), value);
});

test('what JSON lacks, and what could be written in two ways, is not written', () => {
  for (const value of [
    undefined,
    1.5,
    Number.NaN,
    Infinity,
    -0,
    2 ** 53,
    '\ud800',
    1n,
    () => 1,
    Symbol('a'),
  ]) {
    assert.throws(() => canonicalJson(value as Json), { code: 'json-not-canonical' });
    assert.throws(() => canonicalJson([value as Json]), { code: 'json-not-canonical' });
    assert.throws(() => canonicalJson({ a: value as Json }), { code: 'json-not-canonical' });
  }
});

test('octets that are not UTF-8, and a byte order mark, are refused', () => {
  for (const octets of [
    [0x22, 0xff, 0x22],
    [0xef, 0xbb, 0xbf, 0x31],
    [0x22, 0xc0, 0x80, 0x22],
  ])
    assert.throws(() => parseCanonicalJson(new Uint8Array(octets)), { code: 'json-not-canonical' });
});
