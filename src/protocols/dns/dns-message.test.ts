import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { run, seeds } from './dns-message.fuzz.ts';
import {
  type DnsData,
  type DnsMessage,
  type DnsRecord,
  decodeDnsMessage,
  dnsTypes,
  encodeDnsMessage,
  isDnsName,
  sameDnsName,
} from './index.ts';

const bytes = (hex: string): Uint8Array => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');

const message = (some: Partial<DnsMessage>): DnsMessage => ({
  id: 0x1234,
  isResponse: true,
  opcode: 0,
  isAuthoritative: false,
  isTruncated: false,
  recursionDesired: true,
  recursionAvailable: true,
  authenticData: false,
  checkingDisabled: false,
  rcode: 0,
  questions: [],
  answers: [],
  authorities: [],
  additionals: [],
  edns: null,
  ...some,
});

const why = (octets: Uint8Array): string => {
  const decoded = decodeDnsMessage(octets);
  assert.equal(decoded.kind, 'malformed');
  return decoded.kind === 'malformed' ? decoded.why : '';
};

test('a question is written octet for octet, with EDNS and DO (RFC 1035 §4.1, RFC 6891 §6.1.2)', () => {
  const octets = encodeDnsMessage(
    message({
      isResponse: false,
      recursionAvailable: false,
      authenticData: true,
      questions: [{ name: 'eXample.org', type: dnsTypes.TXT, class: 1 }],
      edns: { udpOctetsMax: 1232, version: 0, dnssecOk: true, options: [] },
    }),
  );
  assert.equal(
    Buffer.from(octets).toString('hex'),
    '1234 0120 0001 0000 0000 0001 07 6558616d706c65 03 6f7267 00 0010 0001 00 0029 04d0 00008000 0000'.replaceAll(
      ' ',
      '',
    ),
  );
});

test('an answer with pointers is read (RFC 1035 §4.1.4)', () => {
  const decoded = decodeDnsMessage(
    bytes(`1234 81a0 0001 0002 0000 0000 07 6578616d706c65 03 6f7267 00 000f 0001
      c00c 000f 0001 0000003c 0007 000a 02 6d78 c00c
      c00c 0010 0001 80000001 0004 01 61 01 62`),
  );
  assert.equal(decoded.kind, 'message');
  if (decoded.kind !== 'message') return;
  assert.equal(decoded.message.authenticData, true);
  assert.deepEqual(decoded.message.answers, [
    {
      name: 'example.org',
      type: 15,
      class: 1,
      ttl: 60,
      data: { kind: 'mx', preference: 10, exchange: 'mx.example.org' },
    },
    // RFC 2181 §8: the highest bit makes the TTL zero
    {
      name: 'example.org',
      type: 16,
      class: 1,
      ttl: 0,
      data: { kind: 'txt', strings: [Uint8Array.of(0x61), Uint8Array.of(0x62)] },
    },
  ]);
});

test('pointers that loop, point forwards or out, or come in thousands are refused', () => {
  const question = (name: string): Uint8Array => bytes(`1234 8180 0001 0000 0000 0000 ${name} 0001 0001`);
  assert.match(why(question('c00c')), /does not point backwards/);
  assert.match(why(question('01 61 c00c')), /does not point backwards/);
  assert.match(why(question('c0ff')), /does not point backwards/);
  assert.match(why(question('c0')), /./);
  assert.match(why(question('80 00')), /unknown kind of label/);
  // 8,000 pointers, each at the one before, in a record nobody reads, and a name at the last
  const chain = Buffer.alloc(16_000);
  for (let index = 0; index < 8_000; index++)
    chain.writeUInt16BE(0xc000 | (index === 0 ? 11 : 12 + 11 + 2 * (index - 1)), 2 * index);
  const octets = Buffer.concat([
    bytes('1234 8180 0000 0002 0000 0000'),
    bytes('00 00fa 0001 00000000 3e80'),
    chain,
    bytes(`${(0xc000 | (12 + 11 + 2 * 7_999)).toString(16)} 0001 0001 00000000 0004 7f000001`),
  ]);
  assert.match(why(octets), /more than 127 pointers/);
});

test('what is cut, too long or counts too much is malformed, never a crash', () => {
  assert.match(why(new Uint8Array()), /shorter than a header/);
  assert.match(why(bytes('1234 8180 ffff ffff ffff ffff')), /cut/);
  const whole = encodeDnsMessage(
    message({
      questions: [{ name: 'example.org', type: 16, class: 1 }],
      answers: [
        {
          name: 'example.org',
          type: 16,
          class: 1,
          ttl: 5,
          data: { kind: 'txt', strings: [Buffer.from('v=spf1 -all')] },
        },
      ],
      edns: {
        udpOctetsMax: 512,
        version: 0,
        dnssecOk: false,
        options: [{ code: 15, octets: Uint8Array.of(0, 6) }],
      },
    }),
  );
  for (let length = 0; length < whole.length; length++) why(whole.subarray(0, length));
  assert.match(
    why(bytes('1234 8180 0000 0001 0000 0000 00 0001 0001 00000000 0005 7f00000101')),
    /address of 5 octets/,
  );
  assert.match(why(bytes('1234 8180 0000 0001 0000 0000 00 0010 0001 00000000 0000')), /without a string/);
  assert.match(why(bytes('1234 8180 0000 0001 0000 0000 00 0005 0001 00000000 0002 0000')), /too many/);
  assert.match(
    why(bytes(`1234 8180 0000 0000 0000 0002 ${'00 0029 0200 00000000 0000'.repeat(2)}`)),
    /more than one OPT/,
  );
});

test('of a truncated message only the questions are read', () => {
  const decoded = decodeDnsMessage(bytes('1234 8380 0001 0005 0000 0000 00 0001 0001 c0'));
  assert.equal(decoded.kind === 'message' && decoded.message.isTruncated, true);
});

test('a name is at most 255 octets of labels of at most 63 (RFC 1035 §2.3.4)', () => {
  const label = 'a'.repeat(63);
  assert.equal(isDnsName(`${label}.${label}.${label}.${'b'.repeat(61)}`), true);
  assert.equal(isDnsName(`${label}.${label}.${label}.${'b'.repeat(62)}`), false);
  assert.equal(isDnsName(`${label}a.example`), false);
  for (const good of ['', '.', 'a', 'a.', '_dmarc.example.org', '\\000.example', 'a\\.b', 'a b'])
    assert.equal(isDnsName(good), true, good);
  for (const bad of ['..', '.a', 'a..b', 'é.example', 'a\\', '\\300'])
    assert.equal(isDnsName(bad), false, bad);
  assert.equal(sameDnsName('EXAMPLE.org.', 'example.ORG'), true);
  assert.equal(sameDnsName('a\\.', 'a'), false);
});

const label = fc.uint8Array({ minLength: 1, maxLength: 12 });
const name = fc
  .array(label, { maxLength: 5 })
  .map((labels) =>
    labels
      .map((octets) => [...octets].map((octet) => `\\${String(octet).padStart(3, '0')}`).join(''))
      .join('.'),
  );
const uint = (bits: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** bits - 1 });
const ip = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const typed: fc.Arbitrary<readonly [number, DnsData]> = fc.oneof(
  ip(4).map((octets) => [1, { kind: 'address', address: octets.join('.') }] as const),
  fc
    .tuple(fc.constantFrom(2, 5, 12, 39), name)
    .map(([type, each]) => [type, { kind: 'name', name: each }] as const),
  fc
    .tuple(uint(16), name)
    .map(([preference, exchange]) => [15, { kind: 'mx', preference, exchange }] as const),
  fc
    .array(fc.uint8Array({ maxLength: 255 }), { minLength: 1, maxLength: 4 })
    .map((strings) => [16, { kind: 'txt', strings }] as const),
  fc.uint8Array({ maxLength: 40 }).map((octets) => [52, { kind: 'other', octets }] as const),
  fc
    .tuple(name, name, uint(32), uint(32))
    .map(
      ([mname, rname, serial, minimum]) =>
        [6, { kind: 'soa', mname, rname, serial, refresh: 1, retry: 2, expire: 3, minimum }] as const,
    ),
);
const records = fc.array(
  fc
    .tuple(name, uint(31), typed)
    .map(([each, ttl, [type, data]]): DnsRecord => ({ name: each, type, class: 1, ttl, data })),
  { maxLength: 6 },
);

test('what is written is read back the same, whatever the names', () => {
  fc.assert(
    fc.property(
      uint(16),
      uint(12),
      records,
      records,
      records,
      (id, rcode, answers, authorities, additionals) => {
        const written = message({
          id,
          rcode,
          answers,
          authorities,
          additionals,
          edns: { udpOctetsMax: 1232, version: 0, dnssecOk: true, options: [] },
        });
        const first = decodeDnsMessage(encodeDnsMessage(written));
        assert.equal(first.kind, 'message');
        if (first.kind !== 'message') return;
        // Names come back with the escapes that they need and no others.
        assert.deepEqual(decodeDnsMessage(encodeDnsMessage(first.message)), first);
        assert.equal(first.message.rcode, rcode);
        assert.deepEqual(
          first.message.answers.map(({ type, ttl }) => [type, ttl]),
          answers.map(({ type, ttl }) => [type, ttl]),
        );
      },
    ),
  );
});

test('any octets are read or refused, and what was read is written and read as the same', () => {
  for (const seed of seeds) run(seed);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => run(octets)));
});
