import { formatIp } from '#base/ip-address';
import {
  type DnsData,
  type DnsDecoded,
  type DnsEdns,
  type DnsMessage,
  type DnsQuestion,
  type DnsRecord,
  dnsTypes,
} from './message.ts';
import { labelText } from './name.ts';

const headerOctets = 12;
const nameOctetsMax = 255;
/** as many as a name can have labels */
const jumpsMax = 127;

/**
 * Reads a DNS message. What is behind its last record is ignored.
 *
 * @returns always; never throws
 * @source RFC 1035 §4.1, RFC 6891 §6.1, RFC 3597 §4 (no compression in types that are not known)
 */
export const decodeDnsMessage = (octets: Uint8Array): DnsDecoded => {
  try {
    return { kind: 'message', message: readMessage(new Reader(octets)) };
  } catch (error) {
    if (error instanceof Malformed) return { kind: 'malformed', why: error.message };
    throw error;
  }
};

/** Unwinds the reading; never leaves this file. */
class Malformed extends Error {}

class Reader {
  readonly #octets: Uint8Array;
  readonly #view: DataView;
  at = 0;
  /** nothing is read from here on */
  end: number;

  constructor(octets: Uint8Array) {
    // A Buffer's own slice would share memory.
    this.#octets = new Uint8Array(octets.buffer, octets.byteOffset, octets.byteLength);
    this.#view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
    this.end = octets.length;
  }

  #need(count: number): number {
    const at = this.at;
    if (at + count > this.end) throw new Malformed(`cut at octet ${at}`);
    this.at += count;
    return at;
  }

  u8(): number {
    return this.#view.getUint8(this.#need(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#need(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#need(4));
  }

  take(count: number): Uint8Array {
    const at = this.#need(count);
    return this.#octets.slice(at, at + count);
  }

  /** @source RFC 1035 §4.1.4 */
  name(): string {
    const labels: string[] = [];
    let length = 1;
    let at = this.at;
    /** a pointer leads below this: no loop, and a bounded number of jumps */
    let below = at;
    let isInPlace = true;
    let jumps = 0;
    for (;;) {
      // A pointer may lead before the record's own data, but never behind its end.
      if (at >= (isInPlace ? this.end : this.#octets.length)) throw new Malformed(`name cut at octet ${at}`);
      const first = this.#octets[at] ?? 0;
      if (first === 0) {
        if (isInPlace) this.at = at + 1;
        return labels.join('.');
      }
      if (first >= 0xc0) {
        const second = this.#octets[at + 1];
        if (second === undefined || (isInPlace && at + 2 > this.end))
          throw new Malformed(`pointer cut at octet ${at}`);
        if (isInPlace) this.at = at + 2;
        isInPlace = false;
        const target = ((first & 0x3f) << 8) | second;
        if (target >= below) throw new Malformed(`pointer at octet ${at} does not point backwards`);
        if (++jumps > jumpsMax) throw new Malformed(`name of more than ${jumpsMax} pointers`);
        below = target;
        at = target;
        continue;
      }
      if (first > 63) throw new Malformed(`unknown kind of label at octet ${at}`);
      length += first + 1;
      if (length > nameOctetsMax) throw new Malformed(`name of more than ${nameOctetsMax} octets`);
      if (at + 1 + first > (isInPlace ? this.end : this.#octets.length))
        throw new Malformed(`label cut at octet ${at}`);
      labels.push(labelText(this.#octets.subarray(at + 1, at + 1 + first)));
      at += 1 + first;
    }
  }
}

const readMessage = (reader: Reader): DnsMessage => {
  if (reader.end < headerOctets) throw new Malformed('shorter than a header');
  const id = reader.u16();
  const flags = reader.u16();
  const counts = [reader.u16(), reader.u16(), reader.u16(), reader.u16()] as const;
  const isTruncated = (flags & 0x0200) !== 0;
  const questions: DnsQuestion[] = [];
  for (let index = 0; index < counts[0]; index++)
    questions.push({ name: reader.name(), type: reader.u16(), class: reader.u16() });
  // Who was cut asks again by TCP; where the cut went is of no interest.
  const sections = isTruncated ? [[], [], []] : counts.slice(1).map((count) => readRecords(reader, count));
  const [answers = [], authorities = [], rest = []] = sections;
  const opts = rest.filter((record): record is Opt => 'opt' in record);
  if (opts.length > 1) throw new Malformed('more than one OPT record');
  const opt = opts[0];
  return {
    id,
    isResponse: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 15,
    isAuthoritative: (flags & 0x0400) !== 0,
    isTruncated,
    recursionDesired: (flags & 0x0100) !== 0,
    recursionAvailable: (flags & 0x0080) !== 0,
    authenticData: (flags & 0x0020) !== 0,
    checkingDisabled: (flags & 0x0010) !== 0,
    rcode: (flags & 15) | ((opt?.rcodeUpper ?? 0) << 4),
    questions,
    answers: withoutOpt(answers),
    authorities: withoutOpt(authorities),
    additionals: withoutOpt(rest),
    edns: opt?.opt ?? null,
  };
};

interface Opt {
  readonly opt: DnsEdns;
  readonly rcodeUpper: number;
}

const withoutOpt = (records: readonly (DnsRecord | Opt)[]): DnsRecord[] =>
  records.filter((record): record is DnsRecord => !('opt' in record));

const readRecords = (reader: Reader, count: number): (DnsRecord | Opt)[] => {
  const records: (DnsRecord | Opt)[] = [];
  // A record has at least 11 octets, so that the octets bound the work, whatever the count says.
  for (let index = 0; index < count; index++) records.push(readRecord(reader));
  return records;
};

const readRecord = (reader: Reader): DnsRecord | Opt => {
  const name = reader.name();
  const type = reader.u16();
  const classField = reader.u16();
  const ttlField = reader.u32();
  const length = reader.u16();
  const whole = reader.end;
  const end = reader.at + length;
  if (end > whole) throw new Malformed(`record data cut at octet ${reader.at}`);
  reader.end = end;
  let record: DnsRecord | Opt;
  if (type === dnsTypes.OPT) {
    if (name !== '') throw new Malformed('an OPT record with a name');
    record = readOpt(reader, classField, ttlField);
  } else {
    // RFC 2181 §8: a TTL with the highest bit set is zero.
    const ttl = ttlField > 0x7fff_ffff ? 0 : ttlField;
    record = { name, type, class: classField, ttl, data: readData(reader, type, length) };
  }
  if (reader.at !== end) throw new Malformed(`record data with ${end - reader.at} octets too many`);
  reader.end = whole;
  return record;
};

const readOpt = (reader: Reader, udpOctetsMax: number, ttl: number): Opt => {
  const options: { code: number; octets: Uint8Array }[] = [];
  while (reader.at < reader.end) {
    const code = reader.u16();
    options.push({ code, octets: reader.take(reader.u16()) });
  }
  return {
    opt: { udpOctetsMax, version: (ttl >>> 16) & 255, dnssecOk: (ttl & 0x8000) !== 0, options },
    rcodeUpper: ttl >>> 24,
  };
};

const readData = (reader: Reader, type: number, length: number): DnsData => {
  switch (type) {
    case dnsTypes.A:
    case dnsTypes.AAAA:
      if (length !== (type === dnsTypes.A ? 4 : 16)) throw new Malformed(`an address of ${length} octets`);
      return { kind: 'address', address: formatIp(reader.take(length)) };
    case dnsTypes.NS:
    case dnsTypes.CNAME:
    case dnsTypes.PTR:
    case dnsTypes.DNAME:
      return { kind: 'name', name: reader.name() };
    case dnsTypes.MX:
      return { kind: 'mx', preference: reader.u16(), exchange: reader.name() };
    case dnsTypes.TXT: {
      const strings: Uint8Array[] = [];
      while (reader.at < reader.end) strings.push(reader.take(reader.u8()));
      if (strings.length === 0) throw new Malformed('a TXT record without a string');
      return { kind: 'txt', strings };
    }
    case dnsTypes.SOA:
      return {
        kind: 'soa',
        mname: reader.name(),
        rname: reader.name(),
        serial: reader.u32(),
        refresh: reader.u32(),
        retry: reader.u32(),
        expire: reader.u32(),
        minimum: reader.u32(),
      };
    default:
      return { kind: 'other', octets: reader.take(length) };
  }
};
