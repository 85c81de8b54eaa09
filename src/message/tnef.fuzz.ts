import assert from 'node:assert/strict';
import { hasTnefSignature, tnefFiles } from './index.ts';

const number = (value: number): Buffer => {
  const octets = Buffer.alloc(4);
  octets.writeUInt32LE(value >>> 0);
  return octets;
};

const attribute = (level: number, id: number, value: Uint8Array): Buffer =>
  Buffer.concat([Buffer.of(level), number(id), number(value.length), value, Buffer.alloc(2)]);

/** A list of one property of text, after one of a number and one with a name. */
const properties = (type: number, id: number, value: Buffer): Buffer =>
  Buffer.concat([
    number(3),
    number(0x0003 | (0x0e21 << 16)),
    number(7),
    number(0x001f | (0x8001 << 16)),
    Buffer.alloc(16),
    number(1),
    number(2),
    Buffer.from('x\0\0\0'),
    number(1),
    number(2),
    Buffer.from('y\0\0\0'),
    number(type | (id << 16)),
    number(1),
    number(value.length),
    value,
    Buffer.alloc((4 - (value.length % 4)) % 4),
  ]);

const signature = Buffer.from([0x78, 0x9f, 0x3e, 0x22, 1, 0]);

export const seeds: Uint8Array[] = [
  Buffer.concat([
    signature,
    attribute(1, 0x00069007, Buffer.concat([number(936), number(0)])),
    attribute(2, 0x00069002, Buffer.alloc(14)),
    // In GBK, as the code page says.
    attribute(2, 0x00018010, Buffer.from('d6d0cec42e74787400', 'hex')),
    attribute(2, 0x0006800f, Buffer.from('abc')),
    attribute(2, 0x00069002, Buffer.alloc(14)),
    attribute(2, 0x00018010, Buffer.from('LONGNA~1.PDF\0')),
    attribute(2, 0x00069005, properties(0x1f, 0x3707, Buffer.from('long name.pdf\0', 'utf16le'))),
    attribute(2, 0x00069002, Buffer.alloc(14)),
  ]),
  Buffer.concat([signature, attribute(2, 0x0006800f, Buffer.from('no attachment before'))]),
];

/** Files lie inside of the stream; names are well formed. */
export const run = (data: Uint8Array): void => {
  const octets = hasTnefSignature(data) ? data : Buffer.concat([signature, data]);
  for (const { name, start, end } of tnefFiles(octets)?.files ?? []) {
    assert.ok(start <= end && end <= octets.length);
    assert.ok(name === null || name.isWellFormed());
  }
};
