import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { latin1 } from '#base/bytes';
import { createLineReader } from './input-lines.ts';

const read = (pieces: readonly Uint8Array[], dotEnds: boolean): string => {
  const reader = createLineReader({ dotEnds });
  return pieces.map((piece) => reader.read(piece)).join('') + reader.rest();
};

const inPiecesOf = (text: string, size: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
    Buffer.from(text.slice(at * size, (at + 1) * size), 'latin1'),
  );

const cases: readonly [input: string, withI: string, withoutI: string][] = [
  ['', '', ''],
  ['a', 'a\r\n', 'a\r\n'],
  ['a\nb\r\nc', 'a\r\nb\r\nc\r\n', 'a\r\nb\r\nc\r\n'],
  ['10%\r20%\r\n', '10% 20%\r\n', '10% 20%\r\n'],
  ['a\r', 'a \r\n', 'a \r\n'],
  ['\r\r\n', ' \r\n', ' \r\n'],
  ['a\n.\nb\n', 'a\r\n.\r\nb\r\n', 'a\r\n'],
  ['.\nb\n', '.\r\nb\r\n', ''],
  ['a\n.', 'a\r\n.\r\n', 'a\r\n'],
  ['a\n..\n', 'a\r\n..\r\n', 'a\r\n..\r\n'],
  ['a.\n.b\n', 'a.\r\n.b\r\n', 'a.\r\n.b\r\n'],
  ['\xff\0\n', '\xff\0\r\n', '\xff\0\r\n'],
];

test('lines of a pipe get CRLF whatever they end in, and a single dot ends without -i only, in every chunking', () => {
  for (const [input, withI, withoutI] of cases) {
    for (let size = 1; size <= input.length + 1; size++) {
      assert.equal(read(inPiecesOf(input, size), false), withI, JSON.stringify([input, size]));
      assert.equal(read(inPiecesOf(input, size), true), withoutI, JSON.stringify([input, size]));
    }
  }
});

test('whatever comes, in whatever pieces: every CR and LF of the result is a CRLF, and the pieces do not show', () => {
  const octet = fc.constantFrom(...'\r\n. a\xff'.split(''));
  fc.assert(
    fc.property(
      fc.array(octet, { maxLength: 60 }),
      fc.integer({ min: 1, max: 7 }),
      fc.boolean(),
      (octets, size, dot) => {
        const text = octets.join('');
        const whole = read([Buffer.from(text, 'latin1')], dot);
        assert.equal(read(inPiecesOf(text, size), dot), whole);
        assert.doesNotMatch(whole.replaceAll('\r\n', ''), /[\r\n]/);
        assert.ok(whole === '' || whole.endsWith('\r\n'));
        if (dot) assert.doesNotMatch(whole, /(?:^|\r\n)\.\r\n/);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('the octets of a reader are those of its pieces', () => {
  const all = Uint8Array.from({ length: 256 }, (_, at) => at);
  const said = read([all], false);
  assert.equal(said.length, 256 + 2 + 1);
  assert.equal(latin1(Buffer.from(said, 'latin1')), said);
});
