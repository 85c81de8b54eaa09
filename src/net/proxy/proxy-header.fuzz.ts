import { isIP } from 'node:net';
import { proxyHeaderBytesMax, readProxyHeader } from './proxy-header.ts';

const binary = (command: number, family: number, rest: string): Uint8Array => {
  const content = Buffer.from(rest, 'hex');
  const fixed = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
  const length = Buffer.alloc(2);
  length.writeUInt16BE(content.length);
  return Buffer.concat([fixed, Buffer.from([command, family]), length, content]);
};

export const seeds: Uint8Array[] = [
  Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 40000 25\r\nEHLO x\r\n'),
  Buffer.from('PROXY TCP6 2001:db8::1 2001:db8::2 40000 25\r\n'),
  Buffer.from('PROXY UNKNOWN anything\r\n'),
  Buffer.from('PROXY TCP4 0192.0.2.1 192.0.2.2 040000 99999\r\n'),
  Buffer.from('EHLO x\r\n'),
  binary(0x21, 0x11, 'c0000201c00002029c400019'),
  binary(0x21, 0x11, 'c0000201c00002029c400019040003abcdef'),
  binary(0x21, 0x21, `20010db8${'0'.repeat(23)}120010db8${'0'.repeat(23)}29c400019`),
  binary(0x20, 0x00, ''),
  binary(0x21, 0x31, '00'.repeat(216)),
  binary(0x21, 0x12, 'c0000201c00002029c400019'),
];

/** Whatever is found, it is found in every prefix, and not before all of it is there. */
export const run = (data: Uint8Array): void => {
  const octets = Buffer.from(data);
  if (octets.length === 0) return;
  const whole = readProxyHeader(octets);
  if (whole.kind === 'more' && octets.length >= proxyHeaderBytesMax) throw new Error('it never ends');
  for (let length = 1; length < Math.min(octets.length, proxyHeaderBytesMax); length++) {
    const part = readProxyHeader(octets.subarray(0, length));
    if (part.kind === 'more') continue;
    if (JSON.stringify(part) !== JSON.stringify(whole))
      throw new Error(`the prefix of ${length} reads otherwise`);
    break;
  }
  if (whole.kind !== 'header') return;
  if (whole.bytes > octets.length) throw new Error('it takes octets that are not there');
  if (readProxyHeader(octets.subarray(0, whole.bytes - 1)).kind !== 'more' && whole.bytes > 1)
    throw new Error('it was whole before its last octet');
  for (const end of [whole.source, whole.destination]) {
    if (end !== null && (isIP(end.address) === 0 || end.port > 65_535)) throw new Error('no endpoint');
  }
};
