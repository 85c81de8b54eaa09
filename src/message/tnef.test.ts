import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { tnefFiles } from './index.ts';
import { seeds } from './tnef.fuzz.ts';

const [stream = new Uint8Array(0)] = seeds;

test('files in a TNEF stream: names by rank, octets by offset (MS-OXTNEF §2.1.3)', () => {
  const found = tnefFiles(stream);
  assert.equal(found?.isDamaged, false);
  assert.deepEqual(
    found.files.map(({ name, start, end }) => [name, Buffer.from(stream.subarray(start, end)).toString()]),
    [
      ['中文.txt', 'abc'],
      ['long name.pdf', ''],
      [null, ''],
    ],
  );
});

test('a stream that is cut off gives the files up to there, and says so', () => {
  for (let length = 0; length < stream.length; length++) {
    const found = tnefFiles(stream.subarray(0, length));
    if (length < 6) assert.equal(found, null);
    else assert.ok((found?.files.length ?? 0) <= 3);
    assert.ok(found === null || found.files.every(({ start, end }) => start <= end && end <= length));
  }
  assert.equal(tnefFiles(stream.subarray(0, stream.length - 1))?.isDamaged, true);
  assert.equal(tnefFiles(Buffer.concat([stream, Buffer.from('garbage')]))?.isDamaged, true);
});

test('any octets behind the signature are read to the end (property)', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
      tnefFiles(Buffer.concat([stream.subarray(0, 6), octets]));
    }),
  );
});
