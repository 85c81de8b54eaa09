import assert from 'node:assert/strict';
import { createLineReader } from './input-lines.ts';

const text = (value: string): Uint8Array => Buffer.from(value, 'latin1');

export const seeds: Uint8Array[] = [
  text('Subject: a\n\nb\n.\nc\n'),
  text('a\r\nb\rc\n.'),
  text('\r\r\n.\r\n'),
];

/** Whatever the pieces: the same text, with CRLF alone, and no line with a single dot. */
export const run = (data: Uint8Array): void => {
  for (const dotEnds of [true, false]) {
    const read = (size: number): string => {
      const reader = createLineReader({ dotEnds });
      let said = '';
      for (let at = 0; at < data.length; at += size) said += reader.read(data.subarray(at, at + size));
      return said + reader.rest();
    };
    const whole = read(data.length + 1);
    assert.equal(read(1), whole);
    assert.equal(read(3), whole);
    assert.doesNotMatch(whole.replaceAll('\r\n', ''), /[\r\n]/);
    if (dotEnds) assert.doesNotMatch(whole, /(?:^|\r\n)\.\r\n/);
  }
};
