import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DataReader } from './data-reader.ts';

interface Result {
  body: string | null;
  bare: string | null;
  /** octets up to and with the end mark, or null when it has not come */
  consumed: number | null;
}

/** The simple one: octet by octet, from the text of RFC 5321 §4.1.1.4 and §4.5.2. */
const reference = (octets: Buffer): Result => {
  const text = octets.toString('latin1');
  // The line that DATA stood on ends before the first octet.
  const marked = `\r\n${text}`;
  const end = marked.indexOf('\r\n.\r\n');
  const consumed = end < 0 ? null : end + 3;
  const data = end < 0 ? text : marked.slice(2, end + 2);
  let bare: string | null = null;
  for (let at = 0; at < data.length && bare === null; at++) {
    if (data[at] === '\n' && data[at - 1] !== '\r') bare = `LF ${at}`;
    if (data[at] === '\r' && at + 1 < data.length && data[at + 1] !== '\n') bare = `CR ${at}`;
  }
  if (bare !== null || consumed === null) return { body: null, bare, consumed };
  const body = data
    .split('\r\n')
    .map((line) => (line.startsWith('.') ? line.slice(1) : line))
    .join('\r\n');
  return { body, bare, consumed };
};

const read = (octets: Buffer, cuts: readonly number[]): Result => {
  const reader = new DataReader();
  const pieces: Buffer[] = [];
  let from = 0;
  let consumed: number | null = null;
  for (const cut of [...cuts, octets.length]) {
    if (cut < from) continue;
    const end = reader.read(octets.subarray(0, cut), from, (piece) => pieces.push(piece));
    if (end >= 0) {
      consumed = end;
      break;
    }
    from = cut;
  }
  const bare = reader.bare === null ? null : `${reader.bare.octet} ${reader.bare.offset}`;
  const body = bare !== null || consumed === null ? null : Buffer.concat(pieces).toString('latin1');
  return { body, bare, consumed };
};

const samples = [
  '.\r\n',
  '.\r\nQUIT\r\n',
  '\r\n.\r\n',
  'a\r\n.\r\n',
  'a\r\n..\r\n.\r\n',
  '..\r\n.\r\n',
  '.a\r\n.b\r\n..c\r\n.\r\nNOOP\r\n',
  'a\r\n\r\n.\r\nMAIL FROM:<>\r\n',
  'no end\r\n.',
  'no end\r\n.\r',
  'a\n.\nb\r\n.\r\n',
  'a\n.\r\nb\r\n.\r\n',
  'a\r.\rb\r\n.\r\n',
  'a\r.\r\nb\r\n.\r\n',
  'a\r\n.\nb\r\n.\r\n',
  'a\r\n.\rb\r\n.\r\n',
  'a\r\n\0.\r\nb\r\n.\r\n',
  'a\n\n.\r\nb\r\n.\r\n',
  'a\r\r\n.\r\nb\r\n.\r\n',
  'a\r\n.\r\r\nb\r\n.\r\n',
  '\n\r\n.\r\n',
  '\r\r\n.\r\n',
  `${'\r\n..'.repeat(100)}\r\n.\r\n`,
  `${'.x\r\n'.repeat(100)}.\r\n`,
];

test('end mark, dots and bare octets are found as RFC 5321 §4.1.1.4 and §4.5.2 say, in every chunking', () => {
  for (const sample of samples) {
    const octets = Buffer.from(sample, 'latin1');
    const expected = reference(octets);
    for (let size = 1; size <= octets.length; size++) {
      const cuts = [...octets.keys()].filter((at) => at > 0 && at % size === 0);
      assert.deepEqual(read(octets, cuts), expected, `${JSON.stringify(sample)} in chunks of ${size}`);
    }
    for (let cut = 1; cut < octets.length; cut++) {
      assert.deepEqual(read(octets, [cut]), expected, `${JSON.stringify(sample)} cut at ${cut}`);
    }
  }
});

test('any octets in any chunks are read as the simple reader reads them', () => {
  const piece = fc.constantFrom(
    '\r\n',
    '\r\n.',
    '\r\n..',
    '.',
    '\r\n.\r\n',
    'a',
    'text',
    '\r',
    '\n',
    '\0',
    '\xff',
    '.\r',
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 60 }),
      fc.array(fc.nat(250), { maxLength: 30 }),
      (pieces, cuts) => {
        const octets = Buffer.from(pieces.join(''), 'latin1');
        const sorted = cuts.filter((cut) => cut < octets.length).sort((left, right) => left - right);
        const whole = read(octets, []);
        const found = read(octets, sorted);
        const expected = reference(octets);
        assert.deepEqual(found, whole);
        // Without an end the last octet may be the first half of a CRLF, of which nobody can tell yet.
        assert.deepEqual(found, expected);
      },
    ),
    { numRuns: 3000 },
  );
});

test('the pieces are parts of the chunk: nothing is copied (but where a chunk is full of dots)', () => {
  const octets = Buffer.from(`${'line\r\n'.repeat(1000)}..dot\r\nmore\r\n.\r\n`);
  const pieces: Buffer[] = [];
  new DataReader().read(octets, 0, (piece) => pieces.push(piece));
  assert.equal(pieces.length, 2);
  for (const piece of pieces) assert.equal(piece.buffer, octets.buffer);
});

test('a chunk full of dots comes in few pieces', () => {
  let count = 0;
  new DataReader().read(Buffer.from(`${'..\r\n'.repeat(10_000)}.\r\n`), 0, () => count++);
  assert.ok(count < 100, `${count} pieces`);
});

test('the offset of a bare octet is that in the octets after DATA, dots included', () => {
  const reader = new DataReader();
  reader.read(Buffer.from('..ab\r\n'), 0, () => {});
  reader.read(Buffer.from('cd\nef\r\n.\r\n'), 0, () => {});
  assert.deepEqual(reader.bare, { octet: 'LF', offset: 8 });
});
