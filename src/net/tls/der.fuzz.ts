import assert from 'node:assert/strict';
import { derContext, derInteger, derOid, derSequence, derUtf8, derValues } from './der.ts';

export const seeds: Uint8Array[] = [
  derSequence(derOid('2.5.29.30'), derInteger(Uint8Array.of(200)), derContext(0, derUtf8('封泥'))),
  derSequence(derUtf8('x'.repeat(300)), derUtf8('y'.repeat(130))),
  Uint8Array.of(0x30, 0x84, 0xff, 0xff, 0xff, 0xff),
  Uint8Array.of(0x30, 0x80, 0, 0),
];

/** The values found lie in the octets, in order, and fill them. */
export const run = (data: Uint8Array): void => {
  const values = derValues(data);
  if (values === null) return;
  let at = 0;
  for (const { content } of values) {
    const start = content.byteOffset - data.byteOffset;
    assert.ok(start >= at + 2 && start + content.length <= data.length);
    at = start + content.length;
  }
  assert.equal(at, data.length);
};
