import { isDeepStrictEqual } from 'node:util';
import { decodeDnsMessage, encodeDnsMessage } from './index.ts';

const hexOf = (...parts: readonly string[]): Uint8Array => Buffer.from(parts.join(''), 'hex');
const header = (counts: string): string => `1234 8180 ${counts}`.replaceAll(' ', '');
const exampleOrg = '076578616d706c65036f726700';

export const seeds: Uint8Array[] = [
  // a question with EDNS and DO
  hexOf('123401200001000000000001', exampleOrg, '00100001', '00002904d0000080000000'),
  // TXT of two strings, by a pointer
  hexOf(header('0001 0001 0000 0000'), exampleOrg, '00100001', 'c00c00100001000000e10006', '02613d02623b'),
  // MX and its address
  hexOf(
    header('0001 0001 0000 0001'),
    exampleOrg,
    '000f0001',
    'c00c000f00010000003c0007000a026d78c00c',
    'c02b000100010000003c0004c0000201',
  ),
  // NXDOMAIN with SOA
  hexOf(
    '12348183000100000001 0000'.replace(' ', ''),
    exampleOrg,
    '00010001',
    'c00c000600010000012c0018026e73c00c00c00c',
    '00000001000000020000000300000004',
  ),
  // a pointer at itself, and two at each other
  hexOf(header('0001 0000 0000 0000'), 'c00c', '00010001'),
  hexOf(header('0002 0000 0000 0000'), 'c010', '0001', 'c00c', '0001'),
  // a CNAME chain
  hexOf(header('0001 0001 0000 0000'), exampleOrg, '00010001', 'c00c000500010000003c0002c00c'),
];

/** What was read is written and read again as the same. */
export const run = (data: Uint8Array): void => {
  const decoded = decodeDnsMessage(data);
  if (decoded.kind === 'malformed') return;
  let octets: Uint8Array;
  try {
    octets = encodeDnsMessage(decoded.message);
  } catch (error) {
    // Names of pointers are short; written where no pointer may stand they can pass 65,535 octets.
    if (error instanceof RangeError && /octets$/.test(error.message)) return;
    throw error;
  }
  const again = decodeDnsMessage(octets);
  if (again.kind === 'malformed') throw new Error(`written, but not read: ${again.why}`);
  if (!isDeepStrictEqual(again.message, decoded.message)) throw new Error('read as something else');
};
