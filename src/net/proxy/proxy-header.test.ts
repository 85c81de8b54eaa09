import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { proxyHeaderBytesMax, readProxyHeader } from './index.ts';
import { run, seeds } from './proxy-header.fuzz.ts';

const read = (text: string) => readProxyHeader(Buffer.from(text, 'latin1'));
const signature = '\r\n\r\n\0\r\nQUIT\n';
const endpoints = {
  source: { address: '192.0.2.1', port: 40_000 },
  destination: { address: '192.0.2.2', port: 25 },
};

test('version 1: addresses and ports of TCP over IPv4 and IPv6, nothing beyond the line (proxy-protocol.txt §2.1)', () => {
  const line = 'PROXY TCP4 192.0.2.1 192.0.2.2 40000 25\r\n';
  assert.deepEqual(read(`${line}EHLO x\r\n`), { kind: 'header', bytes: line.length, ...endpoints });
  const six = read('PROXY TCP6 2001:DB8::1 ::1 1 0\r\n');
  assert.deepEqual(six.kind === 'header' && six.source, { address: '2001:db8::1', port: 1 });
});

test('UNKNOWN, LOCAL, UNSPEC and Unix sockets say nothing of the peer', () => {
  for (const text of [
    'PROXY UNKNOWN\r\n',
    'PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n',
    `${signature}\x20\x00\x00\x00`,
    `${signature}\x20\x7f\x00\x03\x01\x02\x03`,
    `${signature}\x21\x00\x00\x00`,
    `${signature}\x21\x31\x00\xd8${'\0'.repeat(216)}`,
  ]) {
    const header = read(text);
    assert.deepEqual(header, { kind: 'header', bytes: text.length, source: null, destination: null }, text);
  }
});

test('version 2: binary addresses, TLVs passed over (proxy-protocol.txt §2.2)', () => {
  const addresses = '\xc0\0\x02\x01\xc0\0\x02\x02\x9c\x40\0\x19';
  const plain = `${signature}\x21\x11\0\x0c${addresses}`;
  assert.deepEqual(read(`${plain}more`), { kind: 'header', bytes: 28, ...endpoints });
  assert.deepEqual(read(`${signature}\x21\x11\0\x11${addresses}\x04\0\x02ab`), {
    kind: 'header',
    bytes: 33,
    ...endpoints,
  });
  const from = `\x20\x01\x0d\xb8${'\0'.repeat(11)}\x01`;
  const six = read(`${signature}\x21\x21\0\x24${from}${'\0'.repeat(15)}\x01\x9c\x40\0\x19`);
  assert.deepEqual(six.kind === 'header' && [six.source?.address, six.destination?.address], [
    '2001:db8::1',
    '::1',
  ]);
});

test('what is not exactly a header is refused', () => {
  for (const text of [
    'EHLO x\r\n',
    'P\r\n',
    'PROXY\r\n',
    'proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n',
    'PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n',
    'PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n',
    'PROXY TCP4 ::1 ::1 1 2\r\n',
    'PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n',
    'PROXY UNKNOWNS\r\n',
    'PROXY UNKNOWN a\rb\r\n',
    `PROXY UNKNOWN ${'x'.repeat(93)}\r\n`,
    `PROXY UNKNOWN ${'x'.repeat(93)}`,
    '\r\n\r\n\0\r\nQUIT\r',
    `${signature}\x11\x11\0\x0c${'\0'.repeat(12)}`,
    `${signature}\x22\x11\0\x0c${'\0'.repeat(12)}`,
    `${signature}\x21\x12\0\x0c${'\0'.repeat(12)}`,
    `${signature}\x21\x11\0\x0b${'\0'.repeat(11)}`,
    `${signature}\x21\x11\0\x0e${'\0'.repeat(14)}`,
    `${signature}\x21\x11\xff\xff`,
  ]) {
    assert.equal(read(text).kind, 'bad', JSON.stringify(text));
  }
  assert.equal(read(`PROXY UNKNOWN ${'x'.repeat(91)}\r\n`).kind, 'header', '107 octets');
});

test('a header is found at its last octet and not before, in every chunking', () => {
  for (const seed of seeds) run(seed);
  fc.assert(
    fc.property(
      fc.constantFrom(...seeds),
      fc.uint8Array({ maxLength: 40 }),
      fc.nat(60),
      (seed, noise, at) => {
        const octets = Buffer.from(seed);
        Buffer.from(noise).copy(octets, Math.min(at, octets.length));
        run(octets);
      },
    ),
    { numRuns: 2000 },
  );
  assert.ok(proxyHeaderBytesMax < 5_000);
});
