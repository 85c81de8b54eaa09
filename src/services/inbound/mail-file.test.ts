import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ascii, concat, latin1 } from '#base/bytes';
import { readMailFile } from './mail-file.ts';

const chunksOf = (text: string, size: number): Uint8Array[] => {
  const octets = ascii(text);
  return Array.from({ length: Math.ceil(octets.length / size) }, (_, at) =>
    octets.subarray(at * size, (at + 1) * size),
  );
};

const read = (text: string): unknown => {
  const outcomes = [1, 2, 3, 100].map((size) => readIn(text, size));
  for (const outcome of outcomes) assert.deepEqual(outcome, outcomes[0]);
  return outcomes[0];
};

const readIn = (text: string, size: number): unknown => {
  const file = readMailFile(chunksOf(text, size));
  if (file.kind !== 'mail') return file;
  const octets = concat(file.pieces);
  assert.equal(octets.length, file.sizeBytes);
  return `${file.lineEnds} ${latin1(octets)}`;
};

test('LF becomes CRLF when a file has no CRLF at all; CRLF stays as it is (WIRE, “files”)', () => {
  assert.equal(read('a: b\n\nc\n'), 'lf-to-crlf a: b\r\n\r\nc\r\n');
  assert.equal(read('a: b\r\n\r\nc'), 'crlf a: b\r\n\r\nc');
  assert.equal(read('one line'), 'crlf one line');
  assert.equal(read(''), 'crlf ');
});

test('mixed line ends and a lone CR are refused with the number of the line', () => {
  assert.deepEqual(read('a\r\nb\r\nc\nd\r\n'), { kind: 'mixed', line: 3 });
  assert.deepEqual(read('a\nb\nc\r\n'), { kind: 'mixed', line: 3 });
  assert.deepEqual(read('a\nb\rc\n'), { kind: 'bare-cr', line: 2 });
  assert.deepEqual(read('a\r\nb\rc\r\n'), { kind: 'bare-cr', line: 2 });
  assert.deepEqual(read('a\r'), { kind: 'bare-cr', line: 1 });
});

test('a file that is taken gives a message without a bare CR or LF, and only line ends differ (property)', () => {
  const texts = fc.array(fc.constantFrom('a', '\r', '\n', '\r\n', 'bc'), { maxLength: 12 });
  fc.assert(
    fc.property(texts, fc.integer({ min: 1, max: 9 }), (pieces, size) => {
      const text = pieces.join('');
      const file = readMailFile(chunksOf(text, size));
      const isMixed = /\r\n/.test(text) && /(?<!\r)\n/.test(text);
      const hasBareCr = /\r(?!\n)/.test(text);
      assert.equal(file.kind === 'mail', !isMixed && !hasBareCr);
      if (file.kind !== 'mail') return;
      const octets = latin1(concat(file.pieces));
      assert.doesNotMatch(octets, /\r(?!\n)|(?<!\r)\n/);
      assert.equal(octets.replaceAll('\r\n', '\n'), text.replaceAll('\r\n', '\n'));
    }),
  );
});
