import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ContentEncoder, TopLimit } from './index.ts';

const chunksOf = (text: string, size: number): Buffer[] => {
  const octets = Buffer.from(text, 'latin1');
  const chunks: Buffer[] = [];
  for (let at = 0; at < octets.length; at += size) chunks.push(octets.subarray(at, at + size));
  return chunks;
};

const encode = (chunks: readonly Buffer[], bodyLines: number | null = null): string => {
  const encoder = new ContentEncoder();
  const limit = bodyLines === null ? null : new TopLimit(bodyLines);
  const pieces: Buffer[] = [];
  for (const chunk of chunks) {
    encoder.encode(limit === null ? chunk : limit.pass(chunk), (piece) => pieces.push(piece));
    if (limit?.done === true) break;
  }
  return Buffer.concat([...pieces, encoder.finish()]).toString('latin1');
};

/** The simple one: line by line. */
const reference = (text: string): string => {
  const stuffed = text
    .split('\n')
    .map((line) => (line.startsWith('.') ? `.${line}` : line))
    .join('\n');
  return `${stuffed}${text === '' || text.endsWith('\r\n') ? '' : '\r\n'}.\r\n`;
};

const topReference = (text: string, bodyLines: number): string => {
  const lines = text.split('\n').map((line, index, all) => (index < all.length - 1 ? `${line}\n` : line));
  const empty = lines.findIndex((line) => line === '\n' || line === '\r\n');
  return empty < 0 ? text : lines.slice(0, empty + 1 + bodyLines).join('');
};

test('dots that begin a line are stuffed, the last CRLF is added where it is missing (RFC 1939 §3)', () => {
  for (const [text, expected] of [
    ['', '.\r\n'],
    ['a\r\n', 'a\r\n.\r\n'],
    ['a', 'a\r\n.\r\n'],
    ['a\n', 'a\n\r\n.\r\n'],
    ['a\r', 'a\r\r\n.\r\n'],
    ['.', '..\r\n.\r\n'],
    ['.\r\n.\r\n', '..\r\n..\r\n.\r\n'],
    ['a\r\n..b\r\n', 'a\r\n...b\r\n.\r\n'],
    ['a\n.\nb\r\n', 'a\n..\nb\r\n.\r\n'],
    ['a\r.b\r\n', 'a\r.b\r\n.\r\n'],
  ] as const) {
    for (let size = 1; size <= Math.max(1, text.length); size++) {
      assert.equal(encode(chunksOf(text, size)), expected, `${JSON.stringify(text)} by ${size}`);
    }
  }
});

test('any octets in any chunks are encoded as the simple encoder does it', () => {
  const piece = fc.constantFrom(
    '\r\n',
    '\n',
    '\r',
    '.',
    '..',
    'a',
    '\n.',
    '\r\n.',
    '\xff',
    '\0',
    'x'.repeat(20),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 200 }), fc.integer({ min: 1, max: 400 }), (pieces, size) => {
      assert.equal(encode(chunksOf(pieces.join(''), size)), reference(pieces.join('')));
    }),
    { numRuns: 1000 },
  );
});

test('TOP gives the header, the empty line and that many lines (RFC 1939 §7)', () => {
  const text = 'A: b\r\nC: d\r\n\r\none\r\ntwo\r\n.three\r\n';
  assert.equal(encode(chunksOf(text, 7), 0), 'A: b\r\nC: d\r\n\r\n.\r\n');
  assert.equal(encode(chunksOf(text, 7), 2), 'A: b\r\nC: d\r\n\r\none\r\ntwo\r\n.\r\n');
  assert.equal(encode(chunksOf(text, 7), 9), `${text.replace('.three', '..three')}.\r\n`);
});

test('TOP of any octets in any chunks is that of the simple reader', () => {
  const piece = fc.constantFrom('\r\n', '\r\n', '\n', '\r', '.', 'a', '\n.', 'x: y\r\n', '\0');
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 60 }),
      fc.integer({ min: 1, max: 100 }),
      fc.nat(8),
      (pieces, size, bodyLines) => {
        const text = pieces.join('');
        assert.equal(encode(chunksOf(text, size), bodyLines), reference(topReference(text, bodyLines)));
      },
    ),
    { numRuns: 2000 },
  );
});

test('the pieces are parts of the chunk, but for the dots; a chunk full of dots is copied once', () => {
  const chunk = Buffer.from(`${'line\r\n'.repeat(100)}.dot\r\nmore\r\n`);
  const pieces: Buffer[] = [];
  new ContentEncoder().encode(chunk, (piece) => pieces.push(piece));
  assert.equal(pieces.length, 3);
  assert.equal(pieces[0]?.buffer, chunk.buffer);
  assert.equal(pieces[2]?.buffer, chunk.buffer);
  let count = 0;
  new ContentEncoder().encode(Buffer.from('.\r\n'.repeat(10_000)), () => count++);
  assert.ok(count < 200);
});
