import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { commandText, type LineRead, LineReader } from './index.ts';

const limits = { lineBytesMax: 16, endlessBytesMax: 64 };

/** Everything that a reader says of some octets, fed in chunks of the given sizes; it stops where a session would end. */
const readAll = (octets: Buffer, cuts: readonly number[], of = limits): string[] => {
  const reader = new LineReader(of);
  const said: string[] = [];
  let from = 0;
  for (const cut of [...cuts, octets.length]) {
    const chunk = octets.subarray(from, cut);
    from = Math.max(from, cut);
    let at = 0;
    while (at < chunk.length) {
      const read: LineRead = reader.read(chunk, at);
      if (read.kind === 'more') break;
      said.push(read.kind === 'line' ? `line ${read.line.toString('latin1')}` : JSON.stringify(read.kind));
      if (read.kind === 'endless' || read.kind === 'bare') return said;
      at = read.next;
    }
  }
  return said;
};

const everyOctet = (octets: Buffer): number[] => [...octets.keys()].slice(1);

test('a line ends in CRLF, in every chunking (RFC 5321 §2.3.8)', () => {
  const octets = Buffer.from('NOOP\r\n\r\nMAIL FROM:<>\r\nQU');
  for (let size = 1; size <= octets.length; size++) {
    const cuts = everyOctet(octets).filter((at) => at % size === 0);
    assert.deepEqual(readAll(octets, cuts), ['line NOOP', 'line ', 'line MAIL FROM:<>']);
  }
});

test('a bare LF or CR is told and ends the reading, in every chunking (RFC 5321 §2.3.8)', () => {
  for (const [text, expected] of [
    ['A\r\nB\nC\r\n', ['line A', '"bare"']],
    ['A\r\n\nC\r\n', ['line A', '"bare"']],
    ['A\rB\r\nC\r\n', ['"bare"']],
    ['A\r\r\nC\r\n', ['"bare"']],
  ] as const) {
    const octets = Buffer.from(text);
    assert.deepEqual(readAll(octets, []), expected, text);
    assert.deepEqual(readAll(octets, everyOctet(octets)), expected, text);
  }
});

test('a line over the limit is dropped whole and the next one is read; one without end is given up', () => {
  const long = Buffer.from(`${'x'.repeat(15)}\r\nNOOP\r\n`);
  const fits = Buffer.from(`${'x'.repeat(14)}\r\nNOOP\r\n`);
  const endless = Buffer.from('y'.repeat(65));
  for (const cutsOf of [() => [], everyOctet]) {
    assert.deepEqual(readAll(long, cutsOf(long)), ['"too-long"', 'line NOOP']);
    assert.deepEqual(readAll(fits, cutsOf(fits)), [`line ${'x'.repeat(14)}`, 'line NOOP']);
    assert.deepEqual(readAll(endless, cutsOf(endless)), ['"endless"']);
  }
});

test('the same lines come out whatever the chunks', () => {
  const octet = fc.constantFrom('a', 'b', '\r\n', '\r\n', '\r', '\n', 'xxxxxxxx');
  fc.assert(
    fc.property(fc.array(octet, { maxLength: 40 }), fc.array(fc.nat(200)), (pieces, cuts) => {
      const octets = Buffer.from(pieces.join(''));
      const sorted = cuts.filter((cut) => cut < octets.length).sort((left, right) => left - right);
      assert.deepEqual(readAll(octets, sorted), readAll(octets, []));
    }),
  );
});

test('a command is UTF-8 without control characters (RFC 6531 §3.1)', () => {
  assert.equal(commandText(Buffer.from('RCPT TO:<李@例.test>')), 'RCPT TO:<李@例.test>');
  assert.equal(commandText(Buffer.from('NOOP\tx')), 'NOOP\tx');
  for (const octets of [[0x80], [0xc3], [0xed, 0xa0, 0x80], [0x41, 0x00], [0x1b], [0xc2, 0x85], [0x7f]]) {
    assert.equal(commandText(Buffer.from(octets)), null, String(octets));
  }
});
