import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromLatin1, latin1 } from '#base/bytes';
import { CommandReader, idLineBytesMax, type ReaderEvent } from './command-reader.ts';

type Decide = (event: ReaderEvent & { kind: 'literal' }) => 'keep' | 'stream' | 'refuse';

/** All events of a text in chunks of the given sizes, streamed octets joined. */
const read = (
  text: string,
  sizes: readonly number[],
  decide: Decide,
  limits = { lineBytesMax: 200, literalBytesMax: 50 },
) => {
  const reader = new CommandReader(limits);
  const events: string[] = [];
  let streamed = '';
  let at = 0;
  let turn = 0;
  while (at < text.length) {
    const size = Math.max(1, sizes[turn++ % sizes.length] ?? 1);
    reader.push(fromLatin1(text.slice(at, at + size)));
    at += size;
    for (let event = reader.next(); event.kind !== 'need'; event = reader.next()) {
      if (event.kind === 'octets') {
        streamed += latin1(event.octets);
        continue;
      }
      if (event.kind === 'streamed') {
        events.push(`streamed ${JSON.stringify(streamed)}`);
        streamed = '';
        continue;
      }
      if (event.kind === 'command') {
        events.push(`command ${JSON.stringify([event.text, ...event.literals.map(latin1)])}`);
        continue;
      }
      if (event.kind === 'literal') {
        const what = reader.fitsLimit(event.sizeBytes) ? decide(event) : 'refuse';
        events.push(
          `literal ${what} ${JSON.stringify([event.text, event.sizeBytes, event.waits, event.binary])}`,
        );
        if (what === 'keep') reader.keepLiteral();
        else if (what === 'stream') reader.streamLiteral();
        else reader.refuseLiteral();
        continue;
      }
      events.push(
        event.kind === 'broken' ? `broken ${event.reason} ${JSON.stringify(event.text)}` : event.kind,
      );
      if (event.kind === 'flood') return events;
    }
  }
  return events;
};

const keep: Decide = () => 'keep';

test('commands and their literals (RFC 9051 §4.3, RFC 7888)', () => {
  const text = 'a LOGIN {4}\r\nfred {3+}\r\nfoo\r\nb NOOP\r\nc APPEND x ~{2+}\r\n\0\r\r\n';
  assert.deepEqual(read(text, [text.length], keep), [
    'literal keep ["a LOGIN ",4,true,false]',
    'literal keep ["a LOGIN \\r ",3,false,false]',
    'command ["a LOGIN \\r \\r","fred","foo"]',
    'command ["b NOOP"]',
    'literal keep ["c APPEND x ~",2,false,true]',
    'command ["c APPEND x ~\\r","\\u0000\\r"]',
  ]);
});

test('the same events come out in every chunking', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'a NOOP\r\n',
      'b LOGIN {3}\r\nabc {2+}\r\n\r\n\r\n',
      'c APPEND x {5+}\r\nab\r\nc\r\n',
      '\r\n',
      '\n',
    ),
    fc.constantFrom(
      '{',
      '}',
      '{3}',
      '{99+}\r\n',
      'x\ry\r\n',
      'z\0\r\n',
      '~{1+}\r\nq',
      `${'l'.repeat(150)}`,
      '"',
      ' ',
    ),
    fc.string({ maxLength: 12 }),
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 }),
      fc.constantFrom<Decide>(
        keep,
        () => 'stream',
        () => 'refuse',
      ),
      (pieces, sizes, decide) => {
        const text = latin1(Buffer.from(`${pieces.join('')}\r\n`, 'utf8'));
        const whole = read(text, [text.length], decide);
        assert.deepEqual(read(text, sizes, decide), whole);
        assert.deepEqual(read(text, [1], decide), whole);
      },
    ),
    { numRuns: 400 },
  );
});

test('a line ends in CRLF, and has no other CR and no NUL in it', () => {
  for (const sizes of [[100], [1]]) {
    assert.deepEqual(read('a NOOP\nb NO\rOP\r\nc NO\0OP\r\nd NOOP\r\n', sizes, keep), [
      'broken bare-line-feed "a NOOP"',
      'broken stray-control "b NO\\rOP"',
      'broken stray-control "c NO\\u0000OP"',
      'command ["d NOOP"]',
    ]);
  }
});

test('a line over the limit is dropped to its end, with the literals in it that do not wait', () => {
  const long = 'x'.repeat(300);
  const text = `a ${long}\r\nb NOOP\r\nc ${long} {12+}\r\n0123456789\r\n tail\r\nd NOOP\r\ne ${long} {9}\r\nf NOOP\r\n`;
  for (const sizes of [[text.length], [1], [7]]) {
    const events = read(text, sizes, keep).map((event) => event.replace(/x+/, 'x'));
    assert.deepEqual(events, [
      'broken line-too-long "a x"',
      'command ["b NOOP"]',
      'broken line-too-long "c x"',
      'command ["d NOOP"]',
      'broken line-too-long "e x"',
      'command ["f NOOP"]',
    ]);
  }
});

test('literals together over the limit are refused: at once where the client waits, else after dropping them', () => {
  const text = `a X {51}\r\nb NOOP\r\nc X {30+}\r\n${'y'.repeat(30)} {30+}\r\n${'z'.repeat(30)} {4}\r\nd NOOP\r\n`;
  for (const sizes of [[text.length], [1], [11]]) {
    assert.deepEqual(read(text, sizes, keep), [
      'literal refuse ["a X ",51,true,false]',
      'discarded',
      'command ["b NOOP"]',
      'literal keep ["c X ",30,false,false]',
      'literal refuse ["c X \\r ",30,false,false]',
      'discarded',
      'command ["d NOOP"]',
    ]);
  }
});

test('a refused literal of 2 GB that does not wait is a flood, known at once', () => {
  assert.deepEqual(read('a X {2147483648+}\r\nabc', [5], keep), [
    'literal refuse ["a X ",2147483648,false,false]',
    'flood',
  ]);
});

test('an ID of the length that RFC 2971 §3.3 allows passes a lower limit, and nothing longer', () => {
  const fields = Array.from(
    { length: 30 },
    (_none, index) => `"${String(index).padEnd(30, 'n')}" "${'v'.repeat(1024)}"`,
  );
  const command = `a ID (${fields.join(' ')})\r\n`;
  for (const sizes of [[command.length], [1000]]) {
    assert.equal(read(command, sizes, keep).length, 1);
    assert.match(read(command, sizes, keep)[0] ?? '', /^command /);
    const tooLong = `a ID (${'x'.repeat(idLineBytesMax)})\r\n`;
    assert.match(read(tooLong, sizes, keep)[0] ?? '', /^broken line-too-long/);
    assert.match(read(command.replace('ID', 'IX'), sizes, keep)[0] ?? '', /^broken line-too-long/);
  }
});

test('an unfinished line keeps no more memory than itself', () => {
  const reader = new CommandReader({ lineBytesMax: 8192, literalBytesMax: 8192 });
  const chunk = Buffer.alloc(65_536, 0x0a);
  chunk.set(fromLatin1('\r\nabc'), 65_531);
  reader.push(chunk);
  while (reader.next().kind !== 'need');
  assert.equal(reader.bufferedBytes, 3);
  // a Buffer's slice would be a view of the chunk
  chunk.fill(0x78);
  reader.push(fromLatin1(' NOOP\r\n'));
  assert.deepEqual(reader.next(), { kind: 'command', text: 'abc NOOP', literals: [] });
  assert.equal(reader.midCommand, false);
});
